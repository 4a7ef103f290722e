// Reads a model folder from the file system.

import { open } from 'node:fs/promises'
import path from 'node:path'
import type { ModelFolder } from '../onnx/index.ts'

/** The model folder at `folder`. Nothing is opened before it is read. */
export function openModelFolder(folder: string): ModelFolder {
  return {
    path: folder,
    async read(name, sizeBytesMax) {
      const file = path.join(folder, name)
      try {
        const handle = await open(file, 'r')
        try {
          // The size of the opened file: another one may take its name while we read.
          const { size } = await handle.stat()
          if (size > sizeBytesMax) {
            const message = `${name} has ${size} bytes, at most ${sizeBytesMax} are read`
            return { ok: false, cause: 'too_large', message }
          }
          return { ok: true, bytes: await handle.readFile() }
        } finally {
          await handle.close()
        }
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException
        const cause = code === 'ENOENT' || code === 'ENOTDIR' ? 'missing' : 'unreadable'
        return { ok: false, cause, message: `${name} can't be read: ${message}` }
      }
    },
  }
}
