// Notices that the files of a rules folder have changed, however they were written: in place, by
// another file's rename, by a checkout that replaces the folders. The system's notices only hurry a
// look; what counts is whether names, sizes or times differ from the last look, twice the same.

import { type FSWatcher, watch } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import type { TimerHandle, Timers } from '#scoring'
import { RULES_LOOK_EVERY_MS, RULES_SETTLE_MS } from '../limits.ts'

const FOLDERS = ['packs', 'lists'] as const
const WATCHED = /\.(ya?ml|csv)$/

export interface RulesWatchOptions {
  readonly rulesDir: string
  readonly timers: Timers
  /** Told the files that differ, `packs/card-testing.yaml`, once they have come to rest. */
  readonly onChange: (files: readonly string[]) => void
}

/** Names with size, inode and times: enough to see that a file is another one. */
type Look = ReadonlyMap<string, string>

export class RulesWatch {
  readonly #options: RulesWatchOptions
  readonly #watchers = new Map<string, FSWatcher>()
  #taken: Look
  #seen: Look
  #timer: TimerHandle
  #looking = false
  #closed = false

  private constructor(options: RulesWatchOptions, first: Look) {
    this.#options = options
    this.#taken = first
    this.#seen = first
    this.#watch()
    this.#lookIn(RULES_LOOK_EVERY_MS)
  }

  /** Changes count from the files as they are now. */
  static async start(options: RulesWatchOptions): Promise<RulesWatch> {
    return new RulesWatch(options, await look(options.rulesDir))
  }

  close(): void {
    this.#closed = true
    this.#options.timers.clear(this.#timer)
    for (const watcher of this.#watchers.values()) watcher.close()
  }

  /** Folders may come and go: each look watches those that are there and not watched. */
  #watch(): void {
    for (const folder of ['.', ...FOLDERS]) {
      if (this.#watchers.has(folder)) continue
      try {
        const watcher = watch(path.join(this.#options.rulesDir, folder), { persistent: false })
        watcher.on('change', () => this.#lookIn(RULES_SETTLE_MS))
        // A folder that is gone, or more watches than the system allows: the slow look remains.
        watcher.on('error', () => this.#unwatch(folder))
        this.#watchers.set(folder, watcher)
      } catch {
        // The same.
      }
    }
  }

  #unwatch(folder: string): void {
    this.#watchers.get(folder)?.close()
    this.#watchers.delete(folder)
  }

  #lookIn(delayMs: number): void {
    const { timers } = this.#options
    timers.clear(this.#timer)
    if (!this.#closed) this.#timer = timers.set(delayMs, () => void this.#look())
  }

  async #look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    const now = await look(this.#options.rulesDir)
    this.#looking = false
    if (this.#closed) return
    if (differing(this.#seen, now).length > 0) {
      // Still being written: looked at again when it rests. A replaced folder is watched anew.
      this.#seen = now
      for (const folder of [...this.#watchers.keys()]) this.#unwatch(folder)
      this.#watch()
      this.#lookIn(RULES_SETTLE_MS)
      return
    }
    const files = differing(this.#taken, now)
    this.#taken = now
    this.#lookIn(RULES_LOOK_EVERY_MS)
    if (files.length > 0) this.#options.onChange(files)
  }
}

async function look(rulesDir: string): Promise<Look> {
  const found = new Map<string, string>()
  for (const folder of FOLDERS) {
    const names = await readdir(path.join(rulesDir, folder)).catch(() => [])
    for (const name of names.filter((one) => WATCHED.test(one))) {
      const file = await stat(path.join(rulesDir, folder, name)).catch(() => undefined)
      if (file?.isFile() !== true) continue
      found.set(`${folder}/${name}`, `${file.ino} ${file.size} ${file.mtimeMs} ${file.ctimeMs}`)
    }
  }
  return found
}

function differing(before: Look, now: Look): string[] {
  const names = new Set([...before.keys(), ...now.keys()])
  return [...names].filter((name) => before.get(name) !== now.get(name)).sort()
}
