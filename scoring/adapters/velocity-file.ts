// Adapter: the file in which embedded velocity outlives an orderly restart. It is taken, not read:
// after a crash there is none, since an old one would say less than happened and look complete.

import { open, readFile, rename, rm } from 'node:fs/promises'

export type SnapshotTaken =
  | { readonly kind: 'taken'; readonly bytes: Buffer }
  | { readonly kind: 'none' }
  | { readonly kind: 'unreadable'; readonly message: string }

/** Reads the file and removes it. */
export async function takeSnapshot(file: string): Promise<SnapshotTaken> {
  try {
    const bytes = await readFile(file)
    await rm(file)
    return { kind: 'taken', bytes }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? { kind: 'none' } : { kind: 'unreadable', message }
  }
}

/** Whole or not at all; only its owner may read it. Rejects with the system's error. */
export async function writeSnapshot(file: string, bytes: Uint8Array): Promise<void> {
  const draft = `${file}.new`
  const handle = await open(draft, 'w', 0o600)
  try {
    await handle.writeFile(bytes)
    await handle.datasync()
  } finally {
    await handle.close()
  }
  await rename(draft, file)
}
