import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ebcdicOfLatin1 } from './code-page-037.ts'
import type { Encoding } from './dialect-words.ts'
import { messageBytesMax } from './limits.ts'
import { loadDialect } from './load-dialect.ts'
import type { Dialect, FieldValue, IsoMessage } from './message.ts'

/** A dialect's words, as a file has them. */
interface Words {
  readonly [word: string]: unknown
  readonly fields: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

function compile(words: Words): Dialect {
  const loaded = loadDialect(JSON.stringify(words), 'test')
  assert.ok(loaded.ok, JSON.stringify(loaded))
  return loaded.dialect
}

function message(mti: string, values: Readonly<Record<number, FieldValue>>): IsoMessage {
  const fields: (FieldValue | undefined)[] = []
  for (const [field, value] of Object.entries(values)) fields[Number(field)] = value
  return { mti, fields }
}

function present(fields: readonly (FieldValue | undefined)[]): [number, FieldValue][] {
  const pairs: [number, FieldValue][] = []
  fields.forEach((value, field) => {
    if (value !== undefined) pairs.push([field, value])
  })
  return pairs
}

const llAscii = { encoding: 'ascii', digits: 2 }
const plain: Words = {
  mti: 'ascii',
  bitmap: 'asciihex',
  fields: {
    2: { encoding: 'ascii', lengthPrefix: llAscii, maxLength: 19 },
    3: { encoding: 'ascii', length: 6 },
    11: { encoding: 'ascii', length: 6 },
    52: { encoding: 'asciihex', length: 8 },
    70: { encoding: 'ascii', length: 3 },
  },
}
const packed: Words = {
  header: [{ bytes: 2, value: '6001' }, { bytes: 1 }],
  mti: 'bcd',
  bitmap: 'binary',
  fields: {
    2: { encoding: 'bcd', lengthPrefix: { encoding: 'binary', bytes: 1 }, maxLength: 19 },
    4: { encoding: 'amount-bcd', length: 9 },
    19: { encoding: 'bcd', length: 3 },
    20: { encoding: 'bcd', length: 3, padding: 'right' },
    35: {
      encoding: 'nibbles',
      lengthPrefix: { encoding: 'bcd', digits: 2 },
      maxLength: 37,
      padding: 'right',
      fill: 'F',
    },
    36: {
      encoding: 'nibbles',
      lengthPrefix: { encoding: 'binary', bytes: 1 },
      lengthCounts: 'bytes',
      maxLength: 19,
      padding: 'right',
      fill: 'F',
    },
    42: { encoding: 'ebcdic', length: 5 },
    48: { encoding: 'utf8', lengthPrefix: { encoding: 'bcd', digits: 3 }, maxLength: 20 },
    55: { encoding: 'ber-tlv', lengthPrefix: { encoding: 'ebcdic', digits: 3 }, maxLength: 255 },
    64: { encoding: 'binary', length: 2 },
  },
}
const three: Words = {
  mti: 'ebcdic',
  bitmap: 'ebcdichex',
  tertiaryBitmap: true,
  fields: {
    3: { encoding: 'ebcdic', length: 2 },
    66: { encoding: 'ebcdic', length: 1 },
    130: { encoding: 'ebcdic', length: 1 },
  },
}

/** Our own vectors, worked out by hand from the words. */
const vectors: readonly {
  readonly title: string
  readonly words: Words
  readonly hex: string
  readonly message: IsoMessage
}[] = [
  {
    title: 'one bitmap, ASCII',
    words: plain,
    hex: ascii(
      '0100',
      '6020000000001000',
      '164761739001010119',
      '000000',
      '000123',
      '0123456789ABCDEF',
    ),
    message: message('0100', {
      2: '4761739001010119',
      3: '000000',
      11: '000123',
      52: '0123456789ABCDEF',
    }),
  },
  {
    title: 'a second bitmap, ASCII',
    words: plain,
    hex: ascii('0800', '8020000000000000', '0400000000000000', '000124', '301'),
    message: message('0800', { 11: '000124', 70: '301' }),
  },
  {
    title: 'odd digits, fills on both sides, track 2 with D, cut to bytes',
    words: packed,
    hex:
      '600100' + // header: fixed, then free and written as zero
      '0200' +
      '5000300030000000' + // 2, 4, 19, 20, 35, 36
      '13' + // 19 digits
      '04761739001010119047' +
      '4400000150' + // D00000150
      '0978' +
      '9780' +
      '05' +
      '12D34F' +
      '02' +
      '123F',
    message: message('0200', {
      2: '4761739001010119047',
      4: 'D00000150',
      19: '978',
      20: '978',
      35: '12D34',
      36: '123',
    }),
  },
  {
    title: 'EBCDIC, UTF-8 counted in characters, BER-TLV out of order, binary',
    words: packed,
    hex:
      '600100' +
      '0210' +
      '0000000000410201' + // 42, 48, 55, 64
      'C16082F140' + // A-b1 and a space
      '0003' +
      'C3A9E282ACF09F9882' + // é€😂
      'F0F1F4' + // 14 bytes
      '9F02020100' +
      '820101' +
      'DF810102AABB' +
      'CAFE',
    message: message('0210', {
      42: 'A-b1 ',
      48: 'é€😂',
      55: new Map([
        ['9F02', '0100'],
        ['82', '01'],
        ['DF8101', 'AABB'],
      ]),
      64: 'CAFE',
    }),
  },
  {
    title: 'three bitmaps in EBCDIC hex',
    words: three,
    hex: ebcdic('0100', 'A000000000000000', 'C000000000000000', '4000000000000000', 'AB78'),
    message: message('0100', { 3: 'AB', 66: '7', 130: '8' }),
  },
  {
    title: 'sixteen bitmap bytes without bit 1',
    words: { ...plain, bitmaps: 2 },
    hex: ascii('0800', '0020000000000000', '0000000000000000', '000125'),
    message: message('0800', { 11: '000125' }),
  },
]

function ascii(...texts: readonly string[]): string {
  return Buffer.from(texts.join('')).toString('hex').toUpperCase()
}

function ebcdic(...texts: readonly string[]): string {
  const bytes = Buffer.from(texts.join(''), 'latin1')
  return Buffer.from(bytes.map((byte) => ebcdicOfLatin1[byte] as number)).toString('hex')
}

for (const vector of vectors) {
  test(`vector: ${vector.title}`, () => {
    const dialect = compile(vector.words)
    const hex = vector.hex.toUpperCase()
    const decoded = dialect.decode(Buffer.from(hex, 'hex'))
    assert.ok(decoded.ok, JSON.stringify(decoded))
    assert.equal(decoded.message.mti, vector.message.mti)
    assert.deepEqual(present(decoded.message.fields), present(vector.message.fields))
    const encoded = dialect.encode(vector.message)
    assert.ok(encoded.ok, JSON.stringify(encoded))
    assert.equal(Buffer.from(encoded.bytes).toString('hex').toUpperCase(), hex)
  })
}

const oneTlv = {
  encoding: 'ber-tlv',
  lengthPrefix: { encoding: 'binary', bytes: 1 },
  maxLength: 255,
}
const tlv: Words = { mti: 'bcd', bitmap: 'binary', fields: { 55: oneTlv } }
const tlvStart = '01000000000000000200'

/** Messages that must be refused: the code, the field that is blamed, the offset, and the guess. */
const malformed: readonly {
  readonly words: Words
  readonly hex: string
  readonly code: string
  readonly field: string
  readonly offset: number
  readonly says: RegExp
}[] = [
  { words: plain, hex: '', code: 'truncated', field: 'mti', offset: 0, says: /no message/ },
  {
    words: plain,
    hex: '0800',
    code: 'truncated',
    field: 'mti',
    offset: 0,
    says: /the MTI needs 4 bytes, there are 2/,
  },
  {
    words: plain,
    hex: '08000020000000000000000126',
    code: 'bad_character',
    field: 'mti',
    offset: 0,
    says: /read as ascii, the bytes look like bcd/,
  },
  {
    words: plain,
    hex: `001A${ascii('0800', '0020000000000000', '000126')}`,
    code: 'bad_character',
    field: 'mti',
    offset: 0,
    says: /take the length of the frame off/,
  },
  {
    words: packed,
    hex: '60020001000000000000000000',
    code: 'bad_header',
    field: 'mti',
    offset: 0,
    says: /header part 1/,
  },
  {
    words: plain,
    hex: ascii('0800', '002000000000000'),
    code: 'truncated',
    field: 'bitmap',
    offset: 4,
    says: /16 bytes, there are 15/,
  },
  {
    words: plain,
    hex: ascii('0800', '8020000000000000', '0004'),
    code: 'truncated',
    field: 'bitmap',
    offset: 20,
    says: /bit 1 says that a second bitmap follows/,
  },
  {
    words: { ...plain, bitmap: 'binary' },
    hex: ascii('0800', '0020000000000000', '000126'),
    code: 'unknown_field',
    field: '4',
    offset: 18,
    says: /read as binary, the bytes look like ASCII hex/,
  },
  {
    words: plain,
    hex: ascii('0800', '002000000000000g', '000126'),
    code: 'bad_character',
    field: 'bitmap',
    offset: 19,
    says: /upper-case hex/,
  },
  {
    words: plain,
    hex: ascii('0800', '1020000000000000', '000126'),
    code: 'unknown_field',
    field: '4',
    offset: 20,
    says: /the dialect has no field 4/,
  },
  {
    words: plain,
    hex: ascii('0800', '0020000000000000', '0000000000000000', '000126'),
    code: 'trailing_bytes',
    field: 'end',
    offset: 26,
    says: /bitmaps: 2/,
  },
  {
    words: plain,
    hex: `${ascii('0800', '0020000000000000', '000126')}03`,
    code: 'trailing_bytes',
    field: 'end',
    offset: 26,
    says: /end-of-text/,
  },
  {
    words: plain,
    hex: `${ascii('0100', '4000000000000000')}F1F6`,
    code: 'bad_length',
    field: '2',
    offset: 20,
    says: /EBCDIC digits/,
  },
  {
    words: plain,
    hex: ascii('0100', '4000000000000000', '20', '0'.repeat(20)),
    code: 'bad_length',
    field: '2',
    offset: 20,
    says: /20 characters, 19 at most/,
  },
  {
    words: plain,
    hex: ascii('0100', '2000000000000000', '12345'),
    code: 'truncated',
    field: '3',
    offset: 20,
    says: /6 bytes, there are 5/,
  },
  {
    words: plain,
    hex: `${ascii('0100', '2000000000000000', '1234')}F5F6`,
    code: 'bad_character',
    field: '3',
    offset: 24,
    says: /looks like EBCDIC/,
  },
  {
    words: packed,
    hex: '600100020000002000000000001978',
    code: 'bad_fill',
    field: '19',
    offset: 13,
    says: /fill nibble/,
  },
  {
    words: packed,
    hex: '60010002000000200000000000F978',
    code: 'bad_fill',
    field: '19',
    offset: 13,
    says: /fill: F/,
  },
  {
    words: packed,
    hex: '60010002000000200000000000097A',
    code: 'bad_character',
    field: '19',
    offset: 14,
    says: /the low nibble/,
  },
  {
    words: packed,
    hex: '6001000200100000000000000058000001F0',
    code: 'bad_character',
    field: '4',
    offset: 13,
    says: /C or D/,
  },
  {
    words: packed,
    hex: '60010002000000000000010000000180',
    code: 'bad_character',
    field: '48',
    offset: 15,
    says: /UTF-8/,
  },
  {
    words: tlv,
    hex: `${tlvStart}019F`,
    code: 'bad_tlv',
    field: '55',
    offset: 11,
    says: /tag is cut/,
  },
  {
    words: tlv,
    hex: `${tlvStart}069F8181810100`,
    code: 'bad_tlv',
    field: '55',
    offset: 11,
    says: /over 4 bytes/,
  },
  {
    words: tlv,
    hex: `${tlvStart}0182`,
    code: 'bad_tlv',
    field: '55',
    offset: 12,
    says: /is missing/,
  },
  {
    words: tlv,
    hex: `${tlvStart}0382020A`,
    code: 'bad_tlv',
    field: '55',
    offset: 12,
    says: /says 2 bytes, 1 are left/,
  },
  {
    words: tlv,
    hex: `${tlvStart}028280`,
    code: 'bad_tlv',
    field: '55',
    offset: 12,
    says: /takes 0 bytes/,
  },
  {
    words: tlv,
    hex: `${tlvStart}0682FF80000000`,
    code: 'bad_tlv',
    field: '55',
    offset: 12,
    says: /takes 127 bytes/,
  },
  {
    words: tlv,
    hex: `${tlvStart}0482810101`,
    code: 'bad_tlv',
    field: '55',
    offset: 12,
    says: /longer than it needs/,
  },
  {
    words: tlv,
    hex: `${tlvStart}0482008200`,
    code: 'bad_tlv',
    field: '55',
    offset: 13,
    says: /twice/,
  },
]

malformed.forEach(({ words, hex, code, field, offset, says }, i) => {
  test(`malformed ${i}: ${code} in ${field}`, () => {
    const result = compile(words).decode(Buffer.from(hex, 'hex'))
    assert.ok(!result.ok)
    const { problem } = result
    assert.deepEqual([problem.code, problem.field, problem.offset], [code, field, offset])
    assert.match(problem.message, says)
  })
})

test('a message over the limit is refused unread', () => {
  const result = compile(plain).decode(new Uint8Array(messageBytesMax + 1))
  assert.ok(!result.ok)
  assert.equal(result.problem.code, 'too_long')
})

/** Values that can not be encoded. */
const unwritable: readonly [Words, IsoMessage, string, string][] = [
  [plain, message('800', {}), 'bad_value', 'mti'],
  [plain, message('08O0', {}), 'bad_value', 'mti'],
  [plain, message('0800', { 3: '12345' }), 'bad_length', '3'],
  [plain, message('0800', { 3: '1234567' }), 'bad_length', '3'],
  [plain, message('0800', { 3: '12345\u00e9' }), 'bad_character', '3'],
  [plain, message('0800', { 3: new Map() }), 'bad_value', '3'],
  [plain, message('0800', { 2: '1'.repeat(20) }), 'bad_length', '2'],
  [plain, message('0800', { 4: '000000000100' }), 'unknown_field', '4'],
  [plain, message('0800', { 150: '1' }), 'unknown_field', '150'],
  [plain, message('0800', { 1: '1' }), 'unknown_field', '1'],
  [plain, message('0800', { 52: '0123456789abcdef' }), 'bad_character', '52'],
  [plain, message('0800', { 52: '0123456789ABCDE' }), 'bad_value', '52'],
  [packed, message('0800', { 19: '97D' }), 'bad_character', '19'],
  [packed, message('0800', { 35: '12=34' }), 'bad_character', '35'],
  [packed, message('0800', { 4: 'X00000150' }), 'bad_character', '4'],
  [packed, message('0800', { 42: '12345'.replace('5', '\u20ac') }), 'bad_character', '42'],
  [packed, message('0800', { 48: '\ud83d' }), 'bad_character', '48'],
  [packed, message('0800', { 55: '9F0201' }), 'bad_value', '55'],
  [packed, message('0800', { 55: new Map([['9F', '00']]) }), 'bad_tlv', '55'],
  [packed, message('0800', { 55: new Map([['8282', '00']]) }), 'bad_tlv', '55'],
  [packed, message('0800', { 55: new Map([['82', '0']]) }), 'bad_tlv', '55'],
  [packed, message('0800', { 55: new Map([['82', '00'.repeat(300)]]) }), 'bad_length', '55'],
]

unwritable.forEach(([words, value, code, field], i) => {
  test(`unwritable ${i}: ${code} in ${field}`, () => {
    const result = compile(words).encode(value)
    assert.ok(!result.ok)
    assert.deepEqual([result.problem.code, result.problem.field], [code, field])
  })
})

test('a message that would be over the limit is refused, whichever field it is', () => {
  const long = {
    encoding: 'ascii',
    lengthPrefix: { encoding: 'ascii', digits: 5 },
    maxLength: 40_000,
  }
  const dialect = compile({ ...plain, fields: { 47: long, 48: long } })
  const result = dialect.encode(message('0800', { 47: 'A'.repeat(40_000), 48: 'B'.repeat(40_000) }))
  assert.ok(!result.ok)
  assert.deepEqual([result.problem.code, result.problem.field], ['too_long', '48'])
})

test('an empty second bitmap comes back as it was', () => {
  const dialect = compile(plain)
  const bytes = Buffer.from(ascii('0800', '8020000000000000', '0000000000000000', '000126'), 'hex')
  const decoded = dialect.decode(bytes)
  assert.ok(decoded.ok)
  assert.equal(decoded.message.bitmaps, 2)
  const encoded = dialect.encode(decoded.message)
  assert.ok(encoded.ok)
  assert.deepEqual(Buffer.from(encoded.bytes), bytes)
})

test("encoded bytes are the caller's: the next message does not change them", () => {
  const dialect = compile(plain)
  const first = dialect.encode(message('0800', { 11: '000001' }))
  const second = dialect.encode(message('0810', { 11: '999999' }))
  assert.ok(first.ok && second.ok)
  assert.equal(Buffer.from(first.bytes).toString(), '08000020000000000000000001')
})

test('a dialect keeps nothing of one message for the next', () => {
  const dialect = compile(packed)
  const vector = vectors.find(({ words }) => words === packed)
  assert.ok(vector !== undefined)
  const bytes = Buffer.from(vector.hex, 'hex')
  assert.ok(!dialect.decode(bytes.subarray(0, 30)).ok)
  const again = dialect.decode(bytes)
  assert.ok(again.ok)
  assert.deepEqual(present(again.message.fields), present(vector.message.fields))
})

// ---- Properties: any dialect, any message, any bytes ----

const textOf: Readonly<Record<'ascii' | 'ebcdic' | 'utf8', fc.Arbitrary<string>>> = {
  ascii: fc.nat(0x7f).map((code) => String.fromCharCode(code)),
  ebcdic: fc.nat(0xff).map((code) => String.fromCharCode(code)),
  utf8: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
}
const digit = fc.constantFrom(...'0123456789')
const nibble = fc.constantFrom(...'0123456789D')
const hexByte = fc.nat(255).map((byte) => byte.toString(16).toUpperCase().padStart(2, '0'))
const tag = fc.constantFrom('82', '95', '5F2A', '9F02', '9F1E', 'DF8101', 'DF818201', '70', '00')

function repeated(unit: fc.Arbitrary<string>, count: number): fc.Arbitrary<string> {
  return fc.array(unit, { minLength: count, maxLength: count }).map((units) => units.join(''))
}

/** A value of so many units; for tags, of that many bytes at most. */
function fieldValue(encoding: Encoding, units: number): fc.Arbitrary<FieldValue> {
  switch (encoding) {
    case 'ascii':
    case 'ebcdic':
    case 'utf8':
      return repeated(textOf[encoding], units)
    case 'bcd':
      return repeated(digit, units)
    case 'nibbles':
      return repeated(nibble, units)
    case 'binary':
    case 'asciihex':
      return repeated(hexByte, units)
    case 'amount-bcd':
      return fc.tuple(fc.constantFrom('C', 'D'), repeated(digit, units - 1)).map((t) => t.join(''))
    case 'ber-tlv':
      return fc
        .uniqueArray(
          fc.tuple(
            tag,
            fc.nat(3).chain((n) => repeated(hexByte, n)),
          ),
          {
            selector: ([name]) => name,
            maxLength: Math.floor(units / 8),
          },
        )
        .map((entries) => new Map(entries))
  }
}

/** One field's words with a value for it. */
const fieldWithValue = fc
  .record({
    encoding: fc.constantFrom<Encoding>(
      ...(['ascii', 'ebcdic', 'utf8', 'bcd', 'nibbles', 'binary'] as const),
      ...(['asciihex', 'amount-bcd', 'ber-tlv'] as const),
    ),
    units: fc.integer({ min: 2, max: 40 }),
    isFixed: fc.boolean(),
    lengthPrefix: fc.constantFrom(
      { encoding: 'ascii', digits: 3 },
      { encoding: 'ebcdic', digits: 4 },
      { encoding: 'bcd', digits: 3 },
      { encoding: 'bcd', digits: 4 },
      { encoding: 'binary', bytes: 1 },
      { encoding: 'binary', bytes: 2 },
    ),
    countsBytes: fc.boolean(),
    padding: fc.constantFrom('left', 'right'),
    fill: fc.constantFrom('0', 'F'),
  })
  .chain((choice) => {
    const { encoding } = choice
    const hasNibbles = ['bcd', 'nibbles', 'amount-bcd'].includes(encoding)
    const isFixed = choice.isFixed && encoding !== 'ber-tlv'
    const isFilledByCount = !isFixed && choice.countsBytes && hasNibbles && choice.fill === '0'
    const isOdd = encoding === 'amount-bcd' ? 1 : 0
    const units = isFilledByCount ? choice.units - (choice.units % 2) + isOdd : choice.units
    const words = {
      encoding,
      ...(isFixed ? { length: units } : { lengthPrefix: choice.lengthPrefix, maxLength: 255 }),
      ...(!isFixed && choice.countsBytes ? { lengthCounts: 'bytes' } : {}),
      ...(hasNibbles ? { padding: choice.padding, fill: choice.fill } : {}),
    }
    return fieldValue(encoding, units).map((value) => ({ words, value }))
  })

const dialectWithMessage = fc
  .record({
    header: fc.constantFrom<unknown>([], [{ bytes: 3 }], [{ bytes: 2, value: '6001' }]),
    mti: fc.constantFrom('ascii', 'bcd', 'ebcdic'),
    bitmap: fc.constantFrom('binary', 'asciihex', 'ebcdichex'),
    bitmaps: fc.constantFrom(1, 2),
    tertiaryBitmap: fc.boolean(),
    digits: fc.nat(9999).map((n) => String(n).padStart(4, '0')),
    fields: fc.uniqueArray(
      fc.tuple(fc.integer({ min: 2, max: 192 }), fieldWithValue, fc.boolean()),
      { selector: ([number]) => number, maxLength: 25 },
    ),
  })
  .map(({ digits, fields, ...words }) => {
    const most = words.tertiaryBitmap ? 192 : 128
    const kept = fields.filter(([n]) => n <= most && !(words.tertiaryBitmap && n === 65))
    return {
      words: { ...words, fields: Object.fromEntries(kept.map(([n, field]) => [n, field.words])) },
      message: message(
        digits,
        Object.fromEntries(kept.filter((k) => k[2]).map(([n, field]) => [n, field.value])),
      ),
    }
  })

test('any message of any dialect is read as it was written', () => {
  fc.assert(
    fc.property(dialectWithMessage, ({ words, message: written }) => {
      const dialect = compile(words)
      const encoded = dialect.encode(written)
      assert.ok(encoded.ok, JSON.stringify(encoded))
      const decoded = dialect.decode(encoded.bytes)
      assert.ok(decoded.ok, JSON.stringify(decoded))
      assert.equal(decoded.message.mti, written.mti)
      assert.deepEqual(present(decoded.message.fields), present(written.fields))
    }),
    { numRuns: 400 },
  )
})

/** What decodes must encode to the same bytes; what does not must say where. */
function checkAnyBytes(dialect: Dialect, bytes: Uint8Array, isFree: (at: number) => boolean): void {
  const decoded = dialect.decode(bytes)
  if (!decoded.ok) {
    const { problem } = decoded
    assert.ok(problem.offset >= 0 && problem.offset <= bytes.length, JSON.stringify(problem))
    assert.match(problem.field, /^(mti|bitmap|end|[0-9]+)$/)
    return
  }
  const encoded = dialect.encode(decoded.message)
  assert.ok(encoded.ok, JSON.stringify(encoded))
  const same = Buffer.from(bytes).map((byte, i) =>
    isFree(i) ? (encoded.bytes[i] as number) : byte,
  )
  assert.deepEqual(Buffer.from(encoded.bytes), same)
}

test('a message with bytes changed, cut or added never throws, and what decodes encodes back', () => {
  const change = fc.record({
    at: fc.nat(400),
    byte: fc.nat(255),
    kind: fc.constantFrom('set', 'flip', 'cut', 'insert'),
  })
  fc.assert(
    fc.property(dialectWithMessage, fc.array(change, { maxLength: 3 }), (sample, changes) => {
      const dialect = compile(sample.words)
      const encoded = dialect.encode(sample.message)
      assert.ok(encoded.ok)
      let bytes = Buffer.from(encoded.bytes)
      for (const { at, byte, kind } of changes) {
        const i = bytes.length === 0 ? 0 : at % bytes.length
        if (kind === 'set') bytes[i] = byte
        else if (kind === 'flip') bytes[i] = (bytes[i] ?? 0) ^ (1 << (byte & 7))
        else if (kind === 'cut') bytes = bytes.subarray(0, i)
        else bytes = Buffer.concat([bytes.subarray(0, i), Buffer.of(byte), bytes.subarray(i)])
      }
      checkAnyBytes(dialect, bytes, freeBytes(sample.words))
    }),
    { numRuns: 600 },
  )
})

/** The bytes that are read as anything: a header without value, and bit 1 where it says nothing. */
function freeBytes(words: Words): (at: number) => boolean {
  const header = words.header as { bytes: number; value?: string }[]
  const first = header[0]
  const headerBytes = first?.bytes ?? 0
  const bitmapAt = headerBytes + (words.mti === 'bcd' ? 2 : 4)
  return (at) =>
    (first !== undefined && first.value === undefined && at < headerBytes) ||
    (words.bitmaps === 2 && at === bitmapAt)
}

test('random bytes never throw', () => {
  const dialects = [plain, packed, three, tlv].map(compile)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(3), (bytes, i) => {
      const dialect = dialects[i] as Dialect
      assert.doesNotThrow(() => dialect.decode(bytes))
    }),
    { numRuns: 2000 },
  )
})

test('random values never throw', () => {
  const dialect = compile(packed)
  const anyMessage = fc.record({ mti: fc.anything(), fields: fc.anything() })
  const anyFields = fc.record({ mti: fc.constant('0100'), fields: fc.array(fc.anything()) })
  fc.assert(
    fc.property(fc.oneof(anyMessage, anyFields), (value) => {
      assert.doesNotThrow(() => dialect.encode(value as IsoMessage))
    }),
    { numRuns: 2000 },
  )
})
