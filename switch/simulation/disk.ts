// A disk in memory that can be full, fail, hang, and lose power at any call.
//
// Each file has what is on stable storage and what was written since the last sync. A process that
// is killed loses nothing of the second (the page cache outlives it); a power cut keeps, of every
// 512-byte sector that was not synced, either the new bytes, the old ones or nothing: as the seed
// says, so that a later sector may survive an earlier one that did not.

import type { Disk, DiskFile } from '../ports.ts'
import type { SeededRandom } from './random.ts'

const SECTOR_BYTES = 512

/** How the process ends at a crash point: with its page cache kept, or with the power cut. */
export type CrashKind = 'kill' | 'power'

/** An error as the operating system gives it. */
export type DiskErrorCode = 'ENOSPC' | 'EIO'

export interface SimulatedDiskOptions {
  readonly random: SeededRandom
  /** Bytes of all files together, beyond which appends get ENOSPC. */
  readonly capacityBytes?: number
}

interface StoredFile {
  /** What a reader sees. */
  bytes: Uint8Array
  sizeBytes: number
  /** So many of them survive a power cut for certain. */
  durableBytes: number
}

/** A system error's shape. */
class DiskError extends Error {
  readonly code: DiskErrorCode

  constructor(code: DiskErrorCode, call: string) {
    super(`${code}: simulated, ${call}`)
    this.code = code
  }
}

export class SimulatedDisk implements Disk {
  readonly #random: SeededRandom
  readonly #files: Map<string, StoredFile>
  #capacityBytes: number
  #calls = 0
  #crashAtCall = Number.POSITIVE_INFINITY
  #crashPart: number | undefined
  #crashed: (() => void) | null = null
  #isDown = false
  #failing: { code: DiskErrorCode; call: string } | null = null
  #isHanging = false

  constructor(options: SimulatedDiskOptions, files: Map<string, StoredFile> = new Map()) {
    this.#random = options.random
    this.#capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY
    this.#files = files
  }

  /** Port calls so far: `crashAt` counts in these. */
  get calls(): number {
    return this.#calls
  }

  get isDown(): boolean {
    return this.#isDown
  }

  get freeBytes(): number {
    return Math.max(0, this.#capacityBytes - this.usedBytes)
  }

  /** Bytes of all files. */
  get usedBytes(): number {
    let bytes = 0
    for (const file of this.#files.values()) bytes += file.sizeBytes
    return bytes
  }

  /**
   * The process ends at the `call`-th port call from now on (1 is the next): that call may have had
   * its effect, a part of it or none, and neither it nor any later one ever settles. `part`, 0 to
   * 1, says how much; without it the seed does.
   */
  crashAt(call: number, part?: number): Promise<void> {
    this.#crashAtCall = this.#calls + call
    this.#crashPart = part
    return new Promise((resolve) => {
      this.#crashed = resolve
    })
  }

  /** From now on each call named so rejects; null ends it. */
  failWith(code: DiskErrorCode | null, call: 'append' | 'sync' | 'open' | 'read' = 'append'): void {
    this.#failing = code === null ? null : { code, call }
  }

  /** From now on no call settles. */
  hang(): void {
    this.#isHanging = true
  }

  setCapacity(capacityBytes: number): void {
    this.#capacityBytes = capacityBytes
  }

  /** The disk that the next process finds. This one is down. */
  restart(kind: CrashKind): SimulatedDisk {
    this.#isDown = true
    const files = new Map<string, StoredFile>()
    for (const [name, file] of this.#files) {
      const left = kind === 'kill' ? file.bytes.slice(0, file.sizeBytes) : this.#afterPower(file)
      const durableBytes = kind === 'kill' ? file.durableBytes : left.length
      files.set(name, { bytes: left, sizeBytes: left.length, durableBytes })
    }
    return new SimulatedDisk({ random: this.#random, capacityBytes: this.#capacityBytes }, files)
  }

  /** Changes bytes behind everybody's back, as a failing disk does. */
  damage(name: string, offset: number, change: (bytes: Uint8Array) => Uint8Array): void {
    const file = this.#file(name)
    const bytes = file.bytes.slice(0, file.sizeBytes)
    const changed = change(bytes.subarray(offset))
    const result = new Uint8Array(offset + changed.length)
    result.set(bytes.subarray(0, offset))
    result.set(changed, offset)
    file.bytes = result
    file.sizeBytes = result.length
    file.durableBytes = result.length
  }

  /** What is in a file now. */
  contents(name: string): Uint8Array {
    const file = this.#file(name)
    return file.bytes.slice(0, file.sizeBytes)
  }

  async list(): Promise<readonly string[]> {
    await this.#call('list')
    return [...this.#files.keys()].sort()
  }

  async open(name: string): Promise<DiskFile> {
    await this.#call('open', (part) => {
      if (part > 0) this.#create(name)
    })
    this.#create(name)
    return this.#handle(name)
  }

  async remove(name: string): Promise<void> {
    await this.#call('remove', (part) => {
      if (part > 0) this.#files.delete(name)
    })
    this.#files.delete(name)
  }

  async rename(name: string, to: string): Promise<void> {
    const move = () => {
      const file = this.#files.get(name)
      if (file === undefined) return
      this.#files.delete(name)
      this.#files.set(to, file)
    }
    await this.#call('rename', (part) => {
      if (part > 0.5) move()
    })
    this.#file(name)
    move()
  }

  #create(name: string): void {
    if (this.#files.has(name)) return
    this.#files.set(name, { bytes: new Uint8Array(0), sizeBytes: 0, durableBytes: 0 })
  }

  #handle(name: string): DiskFile {
    const file = this.#file(name)
    // As on a real disk: what another handle appends is not in this one's length.
    let sizeBytes = file.sizeBytes
    return {
      name,
      get sizeBytes() {
        return sizeBytes
      },
      append: async (bytes) => {
        // The caller may reuse its buffer once this settles, and so may a crashed world's next one.
        const copy = bytes.slice()
        await this.#call('append', (part) => extend(file, copy.subarray(0, part * copy.length)))
        const roomBytes = this.#capacityBytes - this.usedBytes
        if (roomBytes < copy.length) {
          extend(file, copy.subarray(0, Math.max(0, roomBytes)))
          throw new DiskError('ENOSPC', 'append')
        }
        extend(file, copy)
        sizeBytes = file.sizeBytes
      },
      sync: async () => {
        // What is appended while it runs is not covered.
        const syncedBytes = file.sizeBytes
        const settle = () => {
          file.durableBytes = Math.min(syncedBytes, file.sizeBytes)
        }
        await this.#call('sync', (part) => {
          if (part === 1) settle()
        })
        settle()
      },
      read: async (position, lengthBytes) => {
        await this.#call('read')
        return file.bytes.slice(position, Math.min(sizeBytes, position + lengthBytes))
      },
      truncate: async (newSizeBytes) => {
        const cut = () => {
          file.sizeBytes = Math.min(file.sizeBytes, newSizeBytes)
          sizeBytes = file.sizeBytes
          file.durableBytes = file.sizeBytes
        }
        await this.#call('truncate', (part) => {
          if (part > 0.5) cut()
        })
        cut()
      },
      close: () => this.#call('close'),
    }
  }

  /**
   * Every port call passes here. At the crash point the effect is had in a random part, 0 to 1.
   * Settles a few turns later, so that callers overlap as they do on a real disk.
   */
  async #call(call: string, partly?: (part: number) => void): Promise<void> {
    this.#calls++
    if (this.#isDown || this.#isHanging) await never()
    if (this.#calls >= this.#crashAtCall) {
      this.#isDown = true
      partly?.(this.#crashPart ?? this.#drawPart())
      this.#crashed?.()
      await never()
    }
    for (let turns = this.#random.below(4); turns > 0; turns--) await undefined
    if (this.#isDown || this.#isHanging) await never()
    if (this.#failing?.call === call) throw new DiskError(this.#failing.code, call)
  }

  #drawPart(): number {
    const dice = this.#random.below(4)
    return dice === 0 ? 0 : dice === 1 ? 1 : this.#random.fraction()
  }

  /** A file after a power cut: sector by sector, what was synced or what came after it. */
  #afterPower(file: StoredFile): Uint8Array {
    const { durableBytes } = file
    const written = file.bytes.subarray(0, file.sizeBytes)
    if (written.length <= durableBytes) return written.slice()
    // The length is metadata: it may be behind the bytes, never short of what was synced.
    const grownBytes = this.#random.below(written.length - durableBytes + 1)
    const left = new Uint8Array(durableBytes + grownBytes)
    left.set(written.subarray(0, durableBytes))
    for (let at = durableBytes; at < left.length; ) {
      const end = Math.min(left.length, (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES)
      if (this.#random.chance(0.7)) left.set(written.subarray(at, end), at)
      at = end
    }
    return left
  }

  #file(name: string): StoredFile {
    const file = this.#files.get(name)
    if (file === undefined) throw new Error(`the simulated disk has no file ${name}`)
    return file
  }
}

function extend(file: StoredFile, bytes: Uint8Array): void {
  const sizeBytes = file.sizeBytes + bytes.length
  if (sizeBytes > file.bytes.length) {
    const larger = new Uint8Array(Math.max(4096, file.bytes.length * 2, sizeBytes))
    larger.set(file.bytes.subarray(0, file.sizeBytes))
    file.bytes = larger
  }
  file.bytes.set(bytes, file.sizeBytes)
  file.sizeBytes = sizeBytes
}

function never(): Promise<never> {
  return new Promise(() => {})
}
