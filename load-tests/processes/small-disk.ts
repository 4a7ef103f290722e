// A disk of its own that can be made full at any moment: a tmpfs, where this process may mount one.

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

export interface SmallDisk {
  /** Holds `data`, which is the disk. */
  readonly folder: string
  /** The disk now ends where its files end, but for a page or two. */
  fill(): void
  resize(megabytes: number): void
  remove(): void
}

/** What stays free on a disk that is full: less than one group of records. */
const LEFT_KIB = 8

/** Undefined where that is not allowed (not root, no tmpfs). Removed with this process, too. */
export function mountSmallDisk(megabytes: number): SmallDisk | undefined {
  const folder = mkdtempSync(path.join(tmpdir(), 'switchyard-disk-'))
  const data = path.join(folder, 'data')
  mkdirSync(data)
  const mount = (options: string) =>
    spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', data]).status === 0
  if (!mount(`size=${megabytes}m`)) {
    rmSync(folder, { recursive: true })
    return undefined
  }
  const resize = (size: string) => {
    if (!mount(`remount,size=${size}`)) throw new Error(`${data} can't be resized to ${size}`)
  }
  let isThere = true
  const remove = () => {
    if (!isThere) return
    isThere = false
    spawnSync('umount', [data])
    rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', remove)
  return {
    folder,
    fill() {
      const { blocks, bfree, bsize } = statfsSync(data)
      const usedKiB = Math.ceil(((blocks - bfree) * bsize) / 1_024)
      resize(`${usedKiB + LEFT_KIB}k`)
    },
    resize: (size) => resize(`${size}m`),
    remove() {
      process.off('exit', remove)
      remove()
    },
  }
}
