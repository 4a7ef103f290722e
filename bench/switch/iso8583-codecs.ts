// One 20-field authorization in the codecs that are compared: ours in three dialects, and npm
// `iso_8583` on the bytes that it writes itself, which one of ours reads and writes too.

import { createRequire } from 'node:module'
import { type Dialect, type FieldValue, type IsoMessage, loadDialect } from '#switch'
import { readDialect } from '../../switch/adapters/dialect-files.ts'
import type { BenchCase } from '../measure.ts'

/** A chip purchase as an acquirer sends it: 20 fields, the PAN one of the test range. */
const values: Readonly<Record<number, FieldValue>> = {
  2: '4761739001010119',
  3: '000000',
  4: '000000002599',
  7: '1122100000',
  11: '000123',
  12: '110000',
  13: '1122',
  14: '2912',
  18: '5411',
  19: '276',
  22: '051',
  23: '001',
  25: '00',
  32: '10000000001',
  37: '632610000123',
  41: 'T-000001',
  42: 'M-1001         ',
  43: 'CORNER SHOP           BERLIN          DE',
  49: '978',
  52: '0123456789ABCDEF',
}

const digits = (length: number) => ({ encoding: 'bcd', length })
const text = (length: number) => ({ encoding: 'ascii', length })
const packedWords = {
  mti: 'bcd',
  bitmap: 'binary',
  fields: {
    2: { encoding: 'bcd', lengthPrefix: { encoding: 'bcd', digits: 2 }, maxLength: 19 },
    ...Object.fromEntries([3, 11, 12].map((n) => [n, digits(6)])),
    4: digits(12),
    7: digits(10),
    ...Object.fromEntries([13, 14, 18].map((n) => [n, digits(4)])),
    ...Object.fromEntries([19, 22, 23, 49].map((n) => [n, digits(3)])),
    25: digits(2),
    32: { encoding: 'bcd', lengthPrefix: { encoding: 'bcd', digits: 2 }, maxLength: 11 },
    37: text(12),
    41: text(8),
    42: text(15),
    43: text(40),
    52: { encoding: 'binary', length: 8 },
  },
}

const message: IsoMessage = { mti: '0100', fields: [] }
for (const [field, value] of Object.entries(values)) message.fields[Number(field)] = value

/** What npm `iso_8583` writes after its 2-byte length: ASCII, and always two binary bitmaps. */
const fixed = (length: number) => ({ encoding: 'ascii', length })
const variable = { encoding: 'ascii', lengthPrefix: { encoding: 'ascii', digits: 2 } }
const npmWords = {
  mti: 'ascii',
  bitmap: 'binary',
  fields: {
    ...Object.fromEntries(
      Object.entries(values).map(([field, value]) => [field, fixed((value as string).length)]),
    ),
    2: variable,
    32: variable,
    52: { encoding: 'binary', length: 8 },
  },
}

export const ascii = load(readDialect('iso8583-1987-ascii'))
const packed = load(loadDialect(JSON.stringify(packedWords), 'packed'))
const likeNpm = load(loadDialect(JSON.stringify(npmWords), 'like npm iso_8583'))

/** What is used of npm `iso_8583`, which ships no types. */
interface NpmCodec {
  getBufferMessage(): Buffer
  getIsoJSON(bytes: Buffer): Readonly<Record<string, string>>
}
const NpmIso8583 = createRequire(import.meta.url)('iso_8583') as new (
  message?: Readonly<Record<string, FieldValue>>,
) => NpmCodec

const npmMessage = { 0: message.mti, ...values }
const npmBytes = new NpmIso8583(npmMessage).getBufferMessage()
const npmPayload = npmBytes.subarray(2)
const npmRead = likeNpm.decode(npmPayload)
if (!npmRead.ok || !sameAs(npmRead.message)) {
  throw new Error('npm iso_8583 does not write the message that we compare')
}

/** Packing and unpacking by npm `iso_8583`, and by us on the same bytes. */
export const npmCases: readonly BenchCase[] = [
  {
    name: 'npm iso_8583 pack 20 fields',
    run: () => new NpmIso8583(npmMessage).getBufferMessage(),
  },
  { name: 'npm iso_8583 unpack 20 fields', run: () => new NpmIso8583().getIsoJSON(npmBytes) },
]

export const ourCases: readonly BenchCase[] = [
  ...casesOf('the bytes of npm iso_8583', likeNpm, npmRead.message, npmPayload),
  ...casesOf('1987 ascii', ascii, message, encoded(ascii)),
  ...casesOf('bcd and binary', packed, message, encoded(packed)),
]

function casesOf(name: string, dialect: Dialect, written: IsoMessage, bytes: Uint8Array) {
  return [
    { name: `iso8583 pack 20 fields, ${name}`, run: () => dialect.encode(written) },
    { name: `iso8583 unpack 20 fields, ${name}`, run: () => dialect.decode(bytes) },
  ]
}

function sameAs(read: IsoMessage): boolean {
  return message.fields.every((value, field) => read.fields[field] === value)
}

function load(loaded: ReturnType<typeof loadDialect>): Dialect {
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.dialect
}

/** The message in a dialect's bytes. */
export function encoded(dialect: Dialect): Uint8Array {
  const result = dialect.encode(message)
  if (!result.ok) throw new Error(result.problem.message)
  return result.bytes
}
