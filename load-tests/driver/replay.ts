// Past traffic, offered again: a file of requests with their times, at their own pace or another.
//
// NDJSON: a line a request, as POST /v1/authorizations takes it, with `at` beside its fields: ISO
// 8601, or milliseconds since 1970. Without `at`, `transmittedAt` is its time.
// CSV: a header of field names, inner ones with dots (`card.pan`), then a line a request; RFC 4180.

import { readFileSync } from 'node:fs'
import { requestsMax } from './limits.ts'
import { cardOf, type MixedRequest, type MixOptions, mixedRequest } from './mix.ts'

export interface Replay {
  /** When each request is due, milliseconds from the start, in order. */
  readonly timesMs: readonly number[]
  readonly bodies: readonly ReplayedBody[]
}

export interface ReplayedBody {
  /** JSON. */
  readonly text: string
  readonly pan: string
  readonly terminalId: string
}

type Fields = Record<string, unknown>

/** Reads a file; a string says what is wrong with it, and in which line. `speed`: 2 is twice as fast. */
export function readReplay(file: string, speed: number): Replay | string {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    return `${file} can't be read (${(error as NodeJS.ErrnoException).code})`
  }
  const read = parseReplay(text, file.endsWith('.csv'), speed)
  return typeof read === 'string' ? `${file}: ${read}` : read
}

export function parseReplay(text: string, isCsv: boolean, speed: number): Replay | string {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  const header = isCsv ? cellsOf(lines.shift() ?? '') : []
  if (lines.length === 0) return 'there is no request in it'
  if (lines.length > requestsMax) return `more than ${requestsMax} requests`
  const found: { readonly atMs: number; readonly body: ReplayedBody }[] = []
  for (const [i, line] of lines.entries()) {
    const number = i + (isCsv ? 2 : 1)
    const fields = isCsv ? fieldsOf(header, cellsOf(line)) : objectIn(line)
    if (fields === undefined) return `line ${number} is no ${isCsv ? 'row' : 'JSON object'}`
    const { at, ...request } = fields
    const atMs = timeOf(at ?? request.transmittedAt)
    if (Number.isNaN(atMs)) return `line ${number} has no time: give it "at" or "transmittedAt"`
    const body = bodyOf(request)
    if (body === undefined) return `line ${number} has no card.pan`
    found.push({ atMs, body })
  }
  found.sort((one, other) => one.atMs - other.atMs)
  const startMs = found[0]?.atMs ?? 0
  return {
    timesMs: found.map(({ atMs }) => (atMs - startMs) / speed),
    bodies: found.map(({ body }) => body),
  }
}

/** The requests of a replay, by their numbers. */
export function replayedRequest(replay: Replay, mix: MixOptions, index: number): MixedRequest {
  const { text, pan, terminalId } = replay.bodies[index] as ReplayedBody
  return { ...mixedRequest(mix, index), home: cardOf(mix, 0).home, pan, terminalId, body: text }
}

function objectIn(line: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(line)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Fields) : undefined
  } catch {
    return undefined
  }
}

function timeOf(value: unknown): number {
  if (typeof value === 'number') return value
  if (typeof value !== 'string') return Number.NaN
  return /^[0-9]+$/.test(value) ? Number(value) : Date.parse(value)
}

function bodyOf(request: Fields): ReplayedBody | undefined {
  const { card, terminal } = request as {
    readonly card?: { readonly pan?: unknown }
    readonly terminal?: { readonly id?: unknown }
  }
  if (typeof card?.pan !== 'string') return undefined
  const text = asciiOf(JSON.stringify(request))
  return { text, pan: card.pan, terminalId: String(terminal?.id ?? '') }
}

/** The generator counts characters as bytes. */
function asciiOf(json: string): string {
  return json.replace(
    /[^\0-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Fields that are numbers in a request; all others are texts. */
const numbers = new Set(['amount', 'merchant.latitude', 'merchant.longitude'])

function fieldsOf(header: readonly string[], cells: readonly string[]): Fields | undefined {
  if (cells.length !== header.length) return undefined
  const fields: Fields = {}
  for (const [i, name] of header.entries()) {
    const cell = cells[i] as string
    if (cell === '') continue
    const [outer = '', inner] = name.split('.')
    const value = numbers.has(name) ? Number(cell) : cell
    if (inner === undefined) fields[outer] = value
    else fields[outer] = { ...(fields[outer] as Fields | undefined), [inner]: value }
  }
  return fields
}

/** Of one line: cells in quotes may hold commas and doubled quotes. */
function cellsOf(line: string): string[] {
  const cells: string[] = []
  for (const [, quoted, plain] of line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)) {
    cells.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'))
  }
  return cells
}
