// Adapter: the Disk port on a folder of the file system. Files have mode 0600, the folder 0700.
// A file is there for good once `open` has resolved: its folder is flushed too.

import * as fs from 'node:fs'
import { chmod, mkdir, readdir, rename, statfs, unlink } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import type { Disk, DiskFile } from '../ports.ts'
import { type FolderLock, type LockProblem, lockFolder } from './folder-lock.ts'

// Callbacks of node:fs made promises: half the cost of its FileHandle.
const open = promisify(fs.open)
const close = promisify(fs.close)
const fdatasync = promisify(fs.fdatasync)
const fsync = promisify(fs.fsync)
const ftruncate = promisify(fs.ftruncate)
const fstat = promisify(fs.fstat)

export interface FileDisk extends Disk {
  /** Gives the folder free for another process. The disk's files are closed by their users. */
  close(): Promise<void>
}

export interface FileDiskProblem {
  readonly code: LockProblem['code'] | 'folder_failed'
  readonly message: string
}

export type OpenedFileDisk =
  | { readonly ok: true; readonly disk: FileDisk }
  | { readonly ok: false; readonly problem: FileDiskProblem }

/** Opens the folder for writing: makes it where absent, and takes its lock. */
export async function openFileDisk(folder: string): Promise<OpenedFileDisk> {
  try {
    const made = await mkdir(folder, { recursive: true, mode: 0o700 })
    await chmod(folder, 0o700)
    await flushFolder(folder)
    if (made !== undefined) await flushFolder(path.dirname(made))
  } catch (error) {
    // The system's words name the folder.
    const message = `it can't be used: ${(error as Error).message}`
    return { ok: false, problem: { code: 'folder_failed', message } }
  }
  const locked = await lockFolder(folder)
  if (!locked.ok) return locked
  return { ok: true, disk: createFileDisk(folder, locked.lock) }
}

/** The same folder for reading only, beside whoever holds it. Writing rejects with EBADF. */
export function openFileDiskForReading(folder: string): Disk {
  return {
    list: () => listFiles(folder),
    open: async (name) => fileOf(name, await open(path.join(folder, name), 'r')),
    remove: () => refuseChange(folder),
    rename: () => refuseChange(folder),
  }
}

function createFileDisk(folder: string, lock: FolderLock): FileDisk {
  return {
    list: () => listFiles(folder),
    open: async (name) => fileOf(name, await openOrCreate(folder, name)),
    remove: async (name) => {
      await unlink(path.join(folder, name))
      await flushFolder(folder)
    },
    rename: async (name, to) => {
      await rename(path.join(folder, name), path.join(folder, to))
      await flushFolder(folder)
    },
    close: () => lock.release(),
  }
}

/** Bytes that may still be written to the folder's file system by this user. */
export async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}

async function refuseChange(folder: string): Promise<never> {
  throw new Error(`${folder} is open for reading`)
}

async function listFiles(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort()
}

async function openOrCreate(folder: string, name: string): Promise<number> {
  const file = path.join(folder, name)
  try {
    return await open(file, 'r+')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const descriptor = await open(file, 'wx+', 0o600)
  await flushFolder(folder)
  return descriptor
}

async function flushFolder(folder: string): Promise<void> {
  const descriptor = await open(folder, 'r')
  try {
    await fsync(descriptor)
  } finally {
    await close(descriptor)
  }
}

async function fileOf(name: string, descriptor: number): Promise<DiskFile> {
  let { size } = await fstat(descriptor)
  return {
    name,
    get sizeBytes() {
      return size
    },
    async append(bytes) {
      // What a failed write left behind the size is overwritten or cut, never read.
      let done = 0
      while (done < bytes.length) done += await writeAt(descriptor, bytes, done, size + done)
      size += bytes.length
    },
    sync: () => fdatasync(descriptor),
    read: (position, lengthBytes) => readAt(descriptor, position, lengthBytes, size),
    async truncate(sizeBytes) {
      await ftruncate(descriptor, sizeBytes)
      await fsync(descriptor)
      size = Math.min(size, sizeBytes)
    },
    close: () => close(descriptor),
  }
}

function writeAt(
  descriptor: number,
  bytes: Uint8Array,
  offset: number,
  position: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.write(descriptor, bytes, offset, bytes.length - offset, position, (error, written) => {
      if (error === null) resolve(written)
      else reject(error)
    })
  })
}

async function readAt(
  descriptor: number,
  position: number,
  lengthBytes: number,
  sizeBytes: number,
): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(lengthBytes, sizeBytes - position)))
  let done = 0
  while (done < bytes.length) {
    const more = await readOnce(descriptor, bytes, done, position + done)
    if (more === 0) break
    done += more
  }
  return bytes.subarray(0, done)
}

function readOnce(
  descriptor: number,
  bytes: Buffer,
  offset: number,
  position: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(descriptor, bytes, offset, bytes.length - offset, position, (error, count) => {
      if (error === null) resolve(count)
      else reject(error)
    })
  })
}
