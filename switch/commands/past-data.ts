// Where past payments come from: a file, or the store (stored-past.ts). Both are only read.

import { createReadStream, existsSync, statSync } from 'node:fs'
import { createGunzip } from 'node:zlib'
import type { BadLine, PastPayment } from '#scoring'
import { loadBacktest } from '#scoring'

export interface DataOptions {
  readonly data?: string
  readonly store?: string
  readonly map: readonly string[]
  readonly set: readonly string[]
  readonly decimalAmounts?: boolean
  /** Stored labels that were known later don't count. */
  readonly asOf?: number
}

export interface PastData {
  /** For the head of a report. */
  readonly name: string
  readonly chunks: AsyncIterable<readonly PastPayment[]>
  /** Of the bytes there are, how many were read: 0 to 1. */
  readonly progress: () => number
  /** Lines that could not be read; always empty for a store. */
  readonly bad: BadLines
  /** Why reading stopped; undefined where it came to its end. */
  readonly problem: () => string | undefined
  /** What somebody should know about the columns. */
  readonly notes: () => readonly string[]
}

/** Counts bad lines, and keeps the first by name. */
export class BadLines {
  count = 0
  readonly first: BadLine[] = []
  readonly #namedMax: number

  constructor(namedMax: number) {
    this.#namedMax = namedMax
  }

  readonly add = (bad: BadLine): void => {
    this.count++
    if (this.first.length < this.#namedMax) this.first.push(bad)
  }
}

/** The data that the options name; undefined after saying why there is none. */
export async function openPastData(options: DataOptions): Promise<PastData | undefined> {
  if (options.data !== undefined && options.store !== undefined) {
    console.error('give --data or --store, not both')
    return undefined
  }
  return options.data === undefined ? openStore(options) : openFile(options.data, options)
}

/** Bytes of a file, unpacked where its name ends in .gz. `onBytes` is told how many were read. */
export function bytesOf(file: string, onBytes: (bytes: number) => void): AsyncIterable<Uint8Array> {
  const raw = createReadStream(file, { highWaterMark: 1 << 18 })
  raw.on('data', (chunk) => onBytes(chunk.length))
  if (!file.endsWith('.gz')) return raw
  const unpacked = createGunzip({ chunkSize: 1 << 18 })
  raw.on('error', (error) => unpacked.destroy(error))
  return raw.pipe(unpacked)
}

/** What is said of a file that `formatOf` does not know. */
export const FORMAT_UNKNOWN = 'must end in .csv, .ndjson, .csv.gz or .ndjson.gz'

/** By the name of the file; undefined for another one. */
export function formatOf(file: string): 'csv' | 'ndjson' | undefined {
  const match = /\.(csv|tsv|ndjson|jsonl)(\.gz)?$/i.exec(file)
  if (match === null) return undefined
  return /^(csv|tsv)$/i.test(match[1] ?? '') ? 'csv' : 'ndjson'
}

async function openFile(file: string, options: DataOptions): Promise<PastData | undefined> {
  const { createPaymentReader, badLinesMax, badLinesNamedMax, COLUMNS } = await loadBacktest()
  const format = formatOf(file)
  if (format === undefined || !existsSync(file)) {
    console.error(`${file} ${format === undefined ? FORMAT_UNKNOWN : 'is not there'}`)
    return undefined
  }
  const names = COLUMNS.map(({ name }) => name)
  const renamed = pairs(options.map, '--map theirs=ours', (theirs, ours) => [ours, theirs], names)
  const defaults = pairs(options.set, '--set column=value', (name, value) => [name, value], names)
  if (renamed === undefined || defaults === undefined) return undefined
  const { decimalAmounts = false } = options
  const reader = createPaymentReader({ format, renamed, defaults, decimalAmounts })
  const bad = new BadLines(badLinesNamedMax)
  let read = 0
  let problem: string | undefined
  async function* chunks() {
    try {
      for await (const chunk of reader.payments(
        bytesOf(file, (bytes) => {
          read += bytes
        }),
        bad.add,
      )) {
        yield chunk
        if (bad.count <= badLinesMax) continue
        problem = `${file} has more than ${badLinesMax} lines that can't be read: is it another layout?`
        return
      }
    } catch (error) {
      problem = `can't read ${file}: ${(error as Error).message}`
    }
    problem ??= reader.problem?.message
  }
  const size = Math.max(1, statSync(file).size)
  const unused = () => reader.head?.unused ?? []
  return {
    name: file,
    chunks: chunks(),
    progress: () => Math.min(1, read / size),
    bad,
    problem: () => problem,
    notes: () => (unused().length === 0 ? [] : [`columns not used: ${unused().join(', ')}`]),
  }
}

/** `a=b` words as a map; undefined after saying which is none or names no column. */
function pairs(
  words: readonly string[],
  usage: string,
  order: (left: string, right: string) => readonly [string, string],
  names: readonly string[],
): ReadonlyMap<string, string> | undefined {
  const map = new Map<string, string>()
  for (const word of words) {
    const at = word.indexOf('=')
    const [name, other] = order(word.slice(0, Math.max(0, at)), word.slice(at + 1))
    if (at < 1 || !names.includes(name)) {
      console.error(
        `${usage}: ${at < 1 ? word : `${name} is no column`}; see rules backtest --columns`,
      )
      return undefined
    }
    map.set(name, other)
  }
  return map
}

async function openStore({ store, asOf }: DataOptions): Promise<PastData | undefined> {
  const { openStoredPast, storePlace } = await import('./stored-past.ts')
  const place = await storePlace(store)
  if (place === undefined) return undefined
  const past = await openStoredPast(place, asOf ?? Number.POSITIVE_INFINITY)
  return past && { ...past, bad: new BadLines(0) }
}
