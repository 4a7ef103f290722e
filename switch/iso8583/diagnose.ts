// What an unknown message may be: every dialect under every framing, best first, with reasons. It
// judges by how far the message can be read, and by what its fields say once it is read.

import { passesLuhn } from '../card-data/index.ts'
import { type Content, contentFault } from './content.ts'
import { createFraming, type FramingSpec } from './framing.ts'
import type { Dialect, IsoMessage, IsoProblem } from './message.ts'

/** One way to read the bytes, and how good it is. */
export interface Diagnosis {
  readonly dialect: string
  /** What stands around the message, for people: `none`, `2-byte length`. */
  readonly framing: string
  /** Bytes before the message that the framing takes. */
  readonly payloadAt: number
  /** 0 to 100. Over 60: the whole message can be read. */
  readonly score: number
  readonly mti: string
  /** Fields that were read. */
  readonly fields: number
  /** Why it can not be read; offsets count from the message's own start. */
  readonly problem: IsoProblem | null
  /** Sentences, without card data. */
  readonly reasons: readonly string[]
}

const tpdu = { destination: '0000', source: '0000' }

/** What is tried, by what it is called. */
const framings: readonly (readonly [string, FramingSpec])[] = [
  ['2-byte length', { encoding: 'binary', bytes: 2 }],
  ['2-byte length that counts itself', { encoding: 'binary', bytes: 2, countsItself: true }],
  ['2-byte length and a TPDU', { encoding: 'binary', bytes: 2, tpdu }],
  ['2-byte length and a trailing 03', { encoding: 'binary', bytes: 2, trailer: '03' }],
  [
    'Visa header of 2 + 2 bytes',
    { encoding: 'binary', bytes: 2, reservedBytes: 2, countsReserved: false, frameBytesMax: 2048 },
  ],
  ['4-byte length', { encoding: 'binary', bytes: 4 }],
  ['4-byte length that counts itself', { encoding: 'binary', bytes: 4, countsItself: true }],
  ['2-byte BCD length', { encoding: 'bcd', bytes: 2 }],
  ['4 ASCII digits', { encoding: 'ascii', bytes: 4 }],
  ['4 ASCII digits that count themselves', { encoding: 'ascii', bytes: 4, countsItself: true }],
]

interface Unframed {
  readonly name: string
  readonly payload: Uint8Array
  readonly payloadAt: number
}

/** All ways to read `bytes`, best first. Time is bounded by dialects times framings. */
export function diagnose(bytes: Uint8Array, dialects: readonly Dialect[]): readonly Diagnosis[] {
  const found: Diagnosis[] = []
  for (const unframed of unframe(bytes)) {
    for (const dialect of dialects) found.push(judge(dialect, unframed))
  }
  return found.sort((a, b) => b.score - a.score || a.payloadAt - b.payloadAt)
}

/** The first message of the bytes, under every framing that splits them without a rest. */
function unframe(bytes: Uint8Array): Unframed[] {
  const ways: Unframed[] = [{ name: 'none', payload: bytes, payloadAt: 0 }]
  for (const [name, spec] of framings) {
    let first: Uint8Array | null = null
    let isBroken = false
    const splitter = createFraming({ frameBytesMax: 65_535, ...spec }).createSplitter(
      (payload) => {
        first ??= payload
      },
      () => {
        isBroken = true
      },
    )
    splitter.push(bytes)
    const payload = first as Uint8Array | null
    if (isBroken || splitter.bufferedBytes > 0 || payload === null) continue
    const payloadAt = payload.byteOffset - bytes.byteOffset
    // More stands before it where keep-alives of length zero do: a longer length is likelier.
    const head = spec.bytes + (spec.reservedBytes ?? 0) + (spec.tpdu === undefined ? 0 : 5)
    if (payloadAt === head) ways.push({ name, payload, payloadAt })
  }
  const skip = (name: string, count: number): void => {
    ways.push({ name, payload: bytes.subarray(count), payloadAt: count })
  }
  if (bytes[0] === 0x60 && bytes.length > 5) skip('TPDU of 5 bytes', 5)
  const { payload, payloadAt } = ways.find((way) => way.name.startsWith('Visa')) ?? ways[0] ?? {}
  const headerBytes = payload?.[0]
  if ((headerBytes === 0x16 || headerBytes === 0x1a) && bytes.length > 30) {
    skip(`Visa message header of ${headerBytes} bytes`, (payloadAt ?? 0) + headerBytes)
  }
  return ways
}

function judge(dialect: Dialect, { name, payload, payloadAt }: Unframed): Diagnosis {
  const decoded = dialect.decode(payload)
  const message = decoded.ok ? decoded.message : decoded.partial
  const fields = message.fields.filter((value) => value !== undefined).length
  const reasons = payloadAt > 0 ? [`${payloadAt} bytes before the message fit: ${name}`] : []
  const base = { dialect: dialect.name, framing: name, payloadAt, mti: message.mti, fields }
  if (!decoded.ok) {
    const { problem } = decoded
    const share = Math.min(1, problem.offset / Math.max(1, payload.length))
    const at = `byte ${problem.offset} of ${payload.length}, in ${problem.field}`
    reasons.push(`stops at ${at}: ${problem.message}`)
    return { ...base, score: Math.round(share * 50), problem, reasons }
  }
  reasons.push(`reads whole: ${message.mti} with ${fields} fields`)
  const { passed, failed } = checkValues(message)
  for (const what of passed) reasons.push(what)
  for (const what of failed) reasons.push(`but ${what}`)
  const share = (passed.length + 1) / (passed.length + failed.length * 2 + 1)
  // A message of no fields proves little.
  const score = Math.round(60 + 40 * share * Math.min(1, (fields + 1) / 4))
  return { ...base, score, problem: null, reasons }
}

/** What a field holds in every edition; 12 and 39 differ, so they are not asked. */
const rules: readonly (readonly [number, Content])[] = [
  [3, 'n'],
  [4, 'n'],
  [7, 'MMDDhhmmss'],
  [11, 'n'],
  [14, 'n'],
  [18, 'n'],
  [37, 'an'],
  [41, 'ans'],
  [42, 'ans'],
  [49, 'an'],
]

function checkValues(message: IsoMessage): { passed: string[]; failed: string[] } {
  const passed: string[] = []
  const failed: string[] = []
  const kind = message.mti.slice(1, 2)
  if (kind >= '1' && kind <= '8') passed.push('the MTI is of a known class')
  else failed.push('the MTI is of no known class')
  const pan = message.fields[2]
  if (typeof pan === 'string' && /^[0-9]{12,19}$/.test(pan)) {
    if (passesLuhn(pan)) passed.push('field 2 passes the Luhn check')
    else failed.push('field 2 fails the Luhn check')
  }
  for (const [field, content] of rules) {
    const value = message.fields[field]
    if (typeof value !== 'string') continue
    const isRight = contentFault(content, value) < 0
    if (isRight) passed.push(`field ${field} is ${content}`)
    else failed.push(`field ${field} is not ${content}`)
  }
  return { passed, failed }
}
