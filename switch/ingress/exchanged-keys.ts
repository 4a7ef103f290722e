// Keys that acquirers send in key-exchange messages: kept sealed, and durable before the
// acknowledgement leaves. The newest of each peer, in one small file that is replaced whole.

import type { CardVault } from '../card-data/index.ts'
import type { FieldParts, IsoMessage } from '../iso8583/index.ts'
import type { Disk } from '../ports.ts'
import type { SealedCard } from '../store/index.ts'
import { KEY_EXCHANGES_WAITING_MAX } from './limits.ts'

/** Where a key exchange of ISO 8583:1987 has its keys and what they are for. */
const KEY_FIELDS = [48, 53, 70, 96, 120, 121, 122, 123, 124, 125, 126, 127] as const

const FILE = /^keys-([0-9]{1,15})\.json$/

/** One peer's newest keys; base64. */
interface Entry {
  readonly keyId: number
  readonly iv: string
  readonly sealed: string
}

export class ExchangedKeys {
  readonly #disk: Disk
  readonly #vault: CardVault
  readonly #entries: Map<string, Entry>
  #generation: number
  /** One file is written after the other. */
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  private constructor(disk: Disk, vault: CardVault, entries: Map<string, Entry>, newest: number) {
    this.#disk = disk
    this.#vault = vault
    this.#entries = entries
    this.#generation = newest
  }

  /** Takes up what an earlier process kept. Rejects with the disk's error. */
  static async open(disk: Disk, vault: CardVault): Promise<ExchangedKeys> {
    const generations = (await disk.list())
      .map((name) => FILE.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map(Number)
      .sort((a, b) => b - a)
    // A crash may have left a newest one that is torn: the one before it is still whole.
    for (const generation of generations) {
      const entries = await readEntries(disk, generation)
      if (entries !== undefined) return new ExchangedKeys(disk, vault, entries, generations[0] ?? 0)
    }
    return new ExchangedKeys(disk, vault, new Map(), generations[0] ?? 0)
  }

  /** Whether any keys of this peer are kept. */
  has(peer: string): boolean {
    return this.#entries.has(peer)
  }

  /** False: not durable, or too many wait, so it may not be acknowledged. Never rejects. */
  keep(peer: string, message: IsoMessage): Promise<boolean> {
    if (this.#waiting >= KEY_EXCHANGES_WAITING_MAX) return Promise.resolve(false)
    this.#waiting++
    const kept: Record<string, unknown> = {}
    for (const field of KEY_FIELDS) {
      const value = message.fields[field]
      if (value !== undefined) kept[field] = typeof value === 'string' ? value : plain(value)
    }
    const sealed = this.#vault.sealText(JSON.stringify(kept))
    const result = this.#last.then(() => this.#replace(peer, sealed))
    this.#last = result.then(() => this.#waiting--)
    return result
  }

  async #replace(peer: string, sealed: SealedCard): Promise<boolean> {
    const entry: Entry = {
      keyId: sealed.keyId,
      iv: Buffer.from(sealed.iv).toString('base64'),
      sealed: Buffer.from(sealed.sealed).toString('base64'),
    }
    const next = new Map(this.#entries).set(peer, entry)
    const old = this.#generation++
    try {
      const file = await this.#disk.open(nameOf(this.#generation))
      await file.append(Buffer.from(`${JSON.stringify([...next])}\n`))
      await file.sync()
      await file.close()
      if ((await this.#disk.list()).includes(nameOf(old))) await this.#disk.remove(nameOf(old))
    } catch {
      return false
    }
    this.#entries.set(peer, entry)
    return true
  }
}

function nameOf(generation: number): string {
  return `keys-${generation}.json`
}

async function readEntries(
  disk: Disk,
  generation: number,
): Promise<Map<string, Entry> | undefined> {
  const file = await disk.open(nameOf(generation))
  const bytes = await file.read(0, file.sizeBytes)
  await file.close()
  try {
    return new Map(JSON.parse(Buffer.from(bytes).toString('utf8')) as [string, Entry][])
  } catch {
    return undefined
  }
}

function plain(parts: FieldParts): Record<string, unknown> {
  return Object.fromEntries(
    [...parts].map(([tag, value]) => [tag, typeof value === 'string' ? value : plain(value)]),
  )
}
