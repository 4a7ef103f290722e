// Reading and writing a 20-field authorization, in text and in bytes. Room for other libraries'
// codecs on the same message: a case each.

import {
  createFraming,
  type Dialect,
  defaultFraming,
  type FieldValue,
  type IsoMessage,
  loadDialect,
} from '#switch'
import { readDialect } from '../../switch/adapters/dialect-files.ts'
import { measure } from '../measure.ts'

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

const ascii = readDialect('iso8583-1987-ascii')
const packed = loadDialect(JSON.stringify(packedWords), 'packed')
if (!ascii.ok || !packed.ok) throw new Error('a dialect does not load')

const framing = createFraming(defaultFraming)
const frame = framed(encoded(ascii.dialect))
let frames = 0
const splitter = framing.createSplitter(
  () => {
    frames++
  },
  (problem) => {
    throw new Error(problem.message)
  },
)

await measure([
  ...cases('1987 ascii', ascii.dialect),
  ...cases('bcd and binary', packed.dialect),
  { name: 'iso8583 frame', run: () => framing.encode(frame) },
  {
    name: 'iso8583 split one frame',
    run: () => {
      splitter.push(frame)
      return frames
    },
  },
])

function cases(name: string, dialect: Dialect) {
  const bytes = encoded(dialect)
  return [
    { name: `iso8583 pack 20 fields, ${name}`, run: () => dialect.encode(message) },
    { name: `iso8583 unpack 20 fields, ${name}`, run: () => dialect.decode(bytes) },
  ]
}

function encoded(dialect: Dialect): Uint8Array {
  const result = dialect.encode(message)
  if (!result.ok) throw new Error(result.problem.message)
  return result.bytes
}

function framed(payload: Uint8Array): Uint8Array {
  const result = framing.encode(payload)
  if (!result.ok) throw new Error(result.problem.message)
  return result.bytes
}
