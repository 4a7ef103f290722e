import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ebcdicOfLatin1 } from './code-page-037.ts'
import { loadDialect, printDialectProblem } from './load-dialect.ts'
import type { Dialect, FieldValue, IsoMessage } from './message.ts'
import { messageFromJson, messageToJson } from './message-json.ts'

type Words = Readonly<Record<string, unknown>>

function compile(fields: Words, rest: Words = {}): Dialect {
  const words = { mti: 'bcd', bitmap: 'binary', ...rest, fields }
  const loaded = loadDialect(JSON.stringify(words), 'test')
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(printDialectProblem).join('\n'))
  return loaded.dialect
}

/** Nested objects as nested maps. */
function toValue(parts: unknown): FieldValue {
  if (typeof parts === 'string') return parts
  return new Map(Object.entries(parts as object).map(([key, part]) => [key, toValue(part)]))
}

function messageWith(field: number, value: FieldValue): IsoMessage {
  const fields: (FieldValue | undefined)[] = []
  fields[field] = value
  return { mti: '0100', fields }
}

/** The start of a message that has one field, of the first 64. */
function start(field: number): string {
  const bitmap = Buffer.alloc(8)
  bitmap[(field - 1) >> 3] = 128 >> ((field - 1) & 7)
  return `0100${bitmap.toString('hex')}`.toUpperCase()
}

function ascii(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex').toUpperCase()
}

function ebcdic(text: string): string {
  const bytes = Buffer.from(text, 'latin1').map((byte) => ebcdicOfLatin1[byte] as number)
  return Buffer.from(bytes).toString('hex').toUpperCase()
}

const lll = { encoding: 'ascii', digits: 3 }
const nameAndPlace = {
  encoding: 'ascii',
  length: 12,
  subfields: {
    1: { name: 'Name', length: 7, content: 'ans' },
    2: { length: 3 },
    10: { length: 2, content: 'a' },
  },
}
const entryMode = {
  encoding: 'bcd',
  length: 3,
  subfields: { 1: { length: 2 }, 2: { length: 1 } },
}
const amounts = {
  encoding: 'ascii',
  lengthPrefix: lll,
  subfields: {
    1: { length: 2 },
    2: { lengthPrefix: { encoding: 'ascii', digits: 1 }, maxLength: 5 },
    3: { encoding: 'binary' },
  },
}
/** A category, then tags of two digits; one of them divided again, one a list of its own. */
const elements = {
  encoding: 'ebcdic',
  lengthPrefix: { encoding: 'ebcdic', digits: 3 },
  subfieldTags: {
    encoding: 'ebcdic',
    digits: 2,
    lengthPrefix: { encoding: 'ebcdic', digits: 2 },
    first: ['category'],
  },
  subfields: {
    category: { length: 1, content: 'a' },
    42: {
      subfieldTags: {
        encoding: 'ebcdic',
        digits: 2,
        lengthPrefix: { encoding: 'ebcdic', digits: 2 },
      },
      subfields: { '01': { subfields: { 1: { length: 1 }, 2: { length: 1 } } } },
    },
    92: { maxLength: 3, content: 'n' },
  },
}
const dataSets = {
  encoding: 'binary',
  lengthPrefix: { encoding: 'binary', bytes: 1 },
  subfieldTags: {
    encoding: 'binary',
    bytes: 1,
    lengthPrefix: { encoding: 'binary', bytes: 2 },
  },
  subfields: { '5C': { encoding: 'ber-tlv' }, '66': { encoding: 'bcd' } },
}
const customPayment = {
  encoding: 'binary',
  lengthPrefix: { encoding: 'binary', bytes: 1 },
  privateBitmap: { encoding: 'binary', bytes: 3 },
  subfields: {
    1: { encoding: 'ebcdic', length: 1 },
    2: { encoding: 'bcd', length: 15, content: 'n' },
    20: { encoding: 'binary', length: 5 },
  },
}
const switchData = {
  encoding: 'ascii',
  lengthPrefix: { encoding: 'ascii', digits: 6 },
  maxLength: 9999,
  privateBitmap: { encoding: 'binary', bytes: 8 },
  subfields: {
    2: { lengthPrefix: { encoding: 'ascii', digits: 2 }, maxLength: 32 },
    25: {
      name: 'Chip data',
      lengthPrefix: { encoding: 'ascii', digits: 4 },
      maxLength: 8000,
      privateBitmap: { encoding: 'asciihex', bytes: 8 },
      subfields: { 3: { name: 'Amount, other', length: 12, content: 'n' } },
    },
  },
}

/** A field's words, its bytes, and its value as the command line shows it. */
const vectors: readonly [string, number, Words, string, string][] = [
  [
    'positions',
    43,
    nameAndPlace,
    ascii('CORNER BERDE'),
    '{"1": "CORNER ", "2": "BER", "10": "DE"}',
  ],
  ['digits cut inside a byte', 22, entryMode, '0051', '{"1": "05", "2": "1"}'],
  ['a rest in bytes', 54, amounts, `${ascii('007003ABC')}FE`, '{"1": "00", "2": "ABC", "3": "FE"}'],
  ['an end before the last', 54, amounts, ascii('006003ABC'), '{"1": "00", "2": "ABC"}'],
  ['nothing at all', 54, amounts, ascii('000'), '{}'],
  [
    'tags in tags, one that is not known',
    48,
    elements,
    ebcdic('024R420601021992031237702zz'),
    '{"category": "R", "42": {"01": {"1": "1", "2": "9"}}, "92": "123", "77": "zz"}',
  ],
  [
    'data sets of BER-TLV and digits',
    63,
    dataSets,
    '0F5C00049F26010166000142990001FF',
    '{"5C": {"9F26": "01"}, "66": "42", "99": "FF"}',
  ],
  [
    'a private bitmap of three bytes',
    62,
    customPayment,
    '11C00010C101234567890123450102030405',
    '{"1": "A", "2": "123456789012345", "20": "0102030405"}',
  ],
  [
    'a private bitmap in a private bitmap',
    62,
    switchData,
    `${ascii('000044')}4000008000000000${ascii('023A00282000000000000000000000000150')}`,
    '{"2": "3A", "25": {"3": "000000000150"}}',
  ],
]

for (const [title, field, words, hex, value] of vectors) {
  test(`vector: ${title}`, () => {
    const dialect = compile({ [field]: words })
    const json = `{"mti": "0100", "fields": {"${field}": ${value}}}`
    const decoded = dialect.decode(Buffer.from(start(field) + hex, 'hex'))
    assert.ok(decoded.ok, JSON.stringify(decoded))
    assert.equal(messageToJson(decoded.message), json)
    const read = messageFromJson(json)
    assert.ok(read.ok)
    const encoded = dialect.encode(read.message)
    assert.ok(encoded.ok, JSON.stringify(encoded))
    assert.equal(Buffer.from(encoded.bytes).toString('hex').toUpperCase(), start(field) + hex)
  })
}

/** Fields that can not be read: the code, the path that is blamed, the offset, what is said. */
const malformed: readonly [number, Words, string, string, string, number, RegExp][] = [
  [43, nameAndPlace, ascii('CORNER BER1E'), 'bad_content', '43.10', 20, /letters and spaces/],
  [43, nameAndPlace, `${ascii('CORN')}07${ascii('R BERDE')}`, 'bad_content', '43.1', 14, /Name/],
  [54, amounts, ascii('0010'), 'truncated', '54.1', 13, /needs 2 bytes, there are 1 in field 54/],
  [54, amounts, ascii('004004A'), 'truncated', '54.2', 16, /4 bytes, there are 1 in field 54/],
  [54, amounts, ascii('009006ABCDEF'), 'bad_length', '54.2', 15, /6 characters, 5 at most/],
  [48, elements, ebcdic('004R42x'), 'truncated', '48.42', 16, /2 bytes, there are 1/],
  [48, elements, ebcdic('003R4x'), 'bad_subfield', '48', 15, /a tag in field 48 .* 2 ebcdic/],
  [48, elements, ebcdic('002R4'), 'bad_subfield', '48', 14, /2 ebcdic digits/],
  [48, elements, ebcdic('011R7701a7701b'), 'bad_subfield', '48.77', 19, /comes twice/],
  [
    48,
    elements,
    ebcdic('008R7709abc'),
    'truncated',
    '48.77',
    18,
    /9 bytes, there are 3 in field 48/,
  ],
  [
    48,
    elements,
    ebcdic('011R4206010319'),
    'truncated',
    '48.42.01',
    22,
    /3 bytes, there are 2 in field 48\.42/,
  ],
  [48, elements, ebcdic('012R42070103199'), 'trailing_bytes', '48.42.01', 24, /subfields of field/],
  [48, elements, ebcdic('008R9203a12'), 'bad_content', '48.92', 18, /48\.92 must be digits/],
  [63, dataSets, '055C00029F26', 'bad_tlv', '63.5C', 16, /length of tag 9F26 is missing/],
  [62, customPayment, '0480000810', 'unknown_field', '62.21', 13, /no subfield 62\.21/],
  [62, customPayment, '02C000', 'truncated', '62', 11, /the bitmap of field 62 needs 3 bytes/],
  [62, customPayment, '05800000C1C2', 'trailing_bytes', '62', 15, /subfields of field 62.* 1 byte/],
  [62, customPayment, '03800000', 'truncated', '62.1', 14, /1 byte, there are 0 in field 62/],
  [
    62,
    switchData,
    `${ascii('000040')}0000008000000000${ascii('00282000000000000000000000000A50')}`,
    'bad_content',
    '62.25.3',
    53,
    /62\.25\.3 \(Amount, other\) must be digits/,
  ],
  [
    62,
    switchData,
    `${ascii('000040')}0000008000000000${ascii('0028200000000000000g000000000150')}`,
    'bad_character',
    '62.25',
    43,
    /the bitmap of field 62\.25 \(Chip data\) must be upper-case hex/,
  ],
]

malformed.forEach(([field, words, hex, code, path, offset, says], i) => {
  test(`malformed ${i}: ${code} in ${path}`, () => {
    const decoded = compile({ [field]: words }).decode(Buffer.from(start(field) + hex, 'hex'))
    assert.ok(!decoded.ok)
    const { problem } = decoded
    assert.deepEqual([problem.code, problem.field, problem.offset], [code, path, offset])
    assert.match(problem.message, says)
  })
})

/** Values that can not be written. */
const unwritable: readonly [number, Words, unknown, string, string][] = [
  [43, nameAndPlace, 'CORNER BERDE', 'bad_value', '43'],
  [43, nameAndPlace, { 1: 'CORNER ', 2: 'BER' }, 'bad_subfield', '43.10'],
  [43, nameAndPlace, { 1: 'CORNER ', 2: 'BER', 10: 'DE', 11: '' }, 'unknown_field', '43.11'],
  [43, nameAndPlace, { 1: 'CORNER', 2: 'BER', 10: 'DE' }, 'bad_length', '43.1'],
  [43, nameAndPlace, { 1: 'CORNER ', 2: 'BER', 10: '1E' }, 'bad_content', '43.10'],
  [54, amounts, { 1: '00', 3: 'FE' }, 'bad_subfield', '54.2'],
  [54, amounts, { 1: '00', 2: 'A', 3: 'fe' }, 'bad_character', '54.3'],
  [22, entryMode, { 1: '05', 2: 'x' }, 'bad_character', '22.2'],
  [22, entryMode, { 1: '05' }, 'bad_subfield', '22.2'],
  [22, entryMode, { 1: '05', 2: '1', 3: '1' }, 'unknown_field', '22.3'],
  [48, elements, { 92: '123' }, 'bad_subfield', '48.category'],
  [48, elements, { category: 'R', 92: '12345' }, 'bad_length', '48.92'],
  [48, elements, { category: 'R', 77: 'x'.repeat(100) }, 'bad_length', '48.77'],
  [48, elements, { category: 'R', 7: 'x' }, 'unknown_field', '48.7'],
  [48, elements, { category: 'R', 42: { '01': { 1: '22' } } }, 'bad_length', '48.42.01.1'],
  [62, customPayment, { 3: '1' }, 'unknown_field', '62.3'],
  [62, switchData, { 25: { 3: '1' } }, 'bad_length', '62.25.3'],
  [62, switchData, { 25: '3' }, 'bad_value', '62.25'],
]

unwritable.forEach(([field, words, value, code, path], i) => {
  test(`unwritable ${i}: ${code} in ${path}`, () => {
    const encoded = compile({ [field]: words }).encode(messageWith(field, toValue(value)))
    assert.ok(!encoded.ok)
    assert.deepEqual([encoded.problem.code, encoded.problem.field], [code, path])
  })
})

test('a broken content rule still gives the whole message, a broken structure what was read', () => {
  const fields = {
    4: { encoding: 'ascii', length: 3, content: 'n' },
    11: { encoding: 'ascii', length: 2 },
  }
  const dialect = compile(fields)
  const start = '01001020000000000000'
  const content = dialect.decode(Buffer.from(start + ascii('1x327'), 'hex'))
  assert.ok(!content.ok)
  assert.deepEqual([content.problem.field, content.problem.offset], ['4', 11])
  assert.deepEqual([content.partial.fields[4], content.partial.fields[11]], ['1x3', '27'])
  const cut = dialect.decode(Buffer.from(start + ascii('1232'), 'hex'))
  assert.ok(!cut.ok)
  assert.equal(cut.problem.field, '11')
  assert.deepEqual([cut.partial.mti, cut.partial.fields[4]], ['0100', '123'])
  const next = dialect.decode(Buffer.from(start + ascii('12327'), 'hex'))
  assert.ok(next.ok, 'nothing is left of the message before')
})

test('an MTI of another edition is blamed where the words say a version', () => {
  const fields = { 11: { encoding: 'bcd', length: 6 } }
  for (const [version, digit] of [
    [1987, 0],
    [1993, 1],
    [2003, 2],
  ] as const) {
    const dialect = compile(fields, { version })
    for (let first = 0; first < 10; first++) {
      const isRight = first === digit || first > 2
      const mti = `${first}100`
      const bytes = Buffer.from(`${mti}0020000000000000000001`, 'hex')
      const decoded = dialect.decode(bytes)
      assert.equal(decoded.ok, isRight, `${version} ${mti}`)
      if (!decoded.ok) {
        assert.deepEqual([decoded.problem.code, decoded.problem.field], ['bad_content', 'mti'])
        assert.match(decoded.problem.message, new RegExp(`the dialect of ${version}`))
      }
      assert.equal(dialect.encode({ mti, fields: [] }).ok, isRight)
    }
    assert.equal(dialect.version, version)
  }
  assert.ok(compile(fields).decode(Buffer.from('21000020000000000000000001', 'hex')).ok)
})

/** Words that do not go together, and the reason. */
const refused: readonly [Words, string][] = [
  [{ encoding: 'ascii', length: 4, subfields: { 1: { length: 3 } } }, 'subfields: take 3'],
  [{ encoding: 'ascii', length: 4, subfields: {} }, 'must have one at least'],
  [
    { encoding: 'ascii', length: 4, subfields: { x: { length: 4 } } },
    "subfields.x: a subfield's key",
  ],
  [
    { encoding: 'ascii', length: 4, subfields: { 1: { lenght: 4 } } },
    'subfields.1.lenght: unknown word',
  ],
  [
    { encoding: 'ascii', length: 4, subfields: { 1: {}, 2: { length: 1 } } },
    'subfields.1: needs `length`',
  ],
  [
    { encoding: 'utf8', length: 4, subfields: { 1: { length: 4 } } },
    'an utf8 field can not be divided',
  ],
  [
    { encoding: 'bcd', length: 4, subfields: { 1: { encoding: 'ascii', length: 4 } } },
    'subfields.1.encoding: must be that',
  ],
  [
    {
      encoding: 'bcd',
      length: 4,
      privateBitmap: { encoding: 'binary', bytes: 1 },
      subfields: { 1: { length: 4 } },
    },
    'packed digits are divided by position only',
  ],
  [
    {
      encoding: 'binary',
      length: 4,
      privateBitmap: { encoding: 'binary', bytes: 1 },
      subfields: { 9: { length: 3 } },
    },
    'key is 1 to 8 here',
  ],
  [
    { encoding: 'binary', length: 4, privateBitmap: { encoding: 'binary', bytes: 1 } },
    'privateBitmap: needs `subfields`',
  ],
  [
    { ...elements, subfields: { category: { length: 1 }, 123: {} } },
    'subfields.123: a tag has 2 digits',
  ],
  [{ ...elements, subfields: { 92: {} } }, 'first names category, which is no subfield'],
  [
    { ...elements, subfields: { category: { length: 1 }, 92: { length: 3 } } },
    'subfields.92: its length stands in the list',
  ],
  [{ encoding: 'binary', length: 4, content: 'n' }, 'content: is for text and digits'],
  [{ encoding: 'ascii', length: 4, content: 'YYDD' }, 'content: must be one of n, a'],
]

refused.forEach(([field, reason], i) => {
  test(`refused ${i}: ${reason}`, () => {
    const words = { mti: 'bcd', bitmap: 'binary', fields: { 48: field } }
    const loaded = loadDialect(JSON.stringify(words), 'x')
    assert.ok(!loaded.ok)
    const printed = loaded.problems.map(printDialectProblem)
    assert.ok(
      printed.some((line) => line.includes(reason)),
      printed.join('\n'),
    )
  })
})

test('subfields are four levels deep at most', () => {
  const nest = (depth: number): Words =>
    depth === 0 ? { length: 1 } : { length: 1, subfields: { 1: nest(depth - 1) } }
  compile({ 48: { encoding: 'ascii', ...nest(4) } })
  const words = { mti: 'bcd', bitmap: 'binary', fields: { 48: { encoding: 'ascii', ...nest(5) } } }
  const loaded = loadDialect(JSON.stringify(words), 'x')
  assert.ok(!loaded.ok)
  assert.match(loaded.problems[0]?.reason ?? '', /4 levels deep at most/)
})

// ---- Properties: any subfields, any value, any bytes ----

interface Sample {
  readonly words: Words
  /** Undefined only for a subfield that may be absent. */
  readonly value: FieldValue
}

const letter = fc.constantFrom(...'ABC 019')
const digit = fc.constantFrom(...'0123456789')
const hexByte = fc.nat(255).map((byte) => byte.toString(16).toUpperCase().padStart(2, '0'))

function repeated(unit: fc.Arbitrary<string>, count: number): fc.Arbitrary<string> {
  return fc.array(unit, { minLength: count, maxLength: count }).map((units) => units.join(''))
}

const leaf: fc.Arbitrary<Sample> = fc
  .record({
    encoding: fc.constantFrom('ascii', 'ebcdic', 'bcd', 'binary', 'asciihex'),
    units: fc.integer({ min: 1, max: 6 }),
    prefix: fc.constantFrom(
      null,
      { encoding: 'ascii', digits: 2 },
      { encoding: 'bcd', digits: 3 },
      { encoding: 'binary', bytes: 1 },
    ),
  })
  .chain(({ encoding, units, prefix }) => {
    const unit =
      encoding === 'bcd'
        ? digit
        : encoding.endsWith('i') || encoding === 'ebcdic'
          ? letter
          : hexByte
    const size = prefix === null ? { length: units } : { lengthPrefix: prefix }
    return repeated(unit, units).map((value) => ({ words: { encoding, ...size }, value }))
  })

/** A field with subfields of each kind, its own length said before it. */
function divided(part: fc.Arbitrary<Sample>): fc.Arbitrary<Sample> {
  const shell = { encoding: 'ascii', lengthPrefix: { encoding: 'binary', bytes: 2 } }
  const positions = fc
    .tuple(fc.array(part, { minLength: 1, maxLength: 4 }), fc.nat(4))
    .map(([parts, kept]) => ({
      words: { ...shell, subfields: Object.fromEntries(parts.map((p, i) => [i + 1, p.words])) },
      value: new Map(parts.slice(0, kept).map((p, i) => [String(i + 1), p.value])),
    }))
  const slices = fc
    .array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 })
    .chain((sizes) =>
      fc.tuple(fc.constant(sizes), fc.tuple(...sizes.map((size) => repeated(digit, size)))),
    )
    .map(([sizes, values]) => ({
      words: {
        encoding: 'bcd',
        length: sizes.reduce((sum, size) => sum + size, 0),
        subfields: Object.fromEntries(sizes.map((length, i) => [i + 1, { length }])),
      },
      value: new Map(values.map((value, i) => [String(i + 1), value])),
    }))
  const bitmap = fc
    .tuple(
      fc.constantFrom('binary', 'asciihex', 'ebcdichex'),
      fc.integer({ min: 1, max: 16 }),
      fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 128 }), part, fc.boolean()), {
        selector: ([bit]) => bit,
        minLength: 1,
        maxLength: 6,
      }),
    )
    .map(([encoding, bytes, found]) => {
      const parts = found.map(([bit, sample, isThere]) => {
        return [String(((bit - 1) % (bytes * 8)) + 1), sample, isThere] as const
      })
      const unique = [...new Map(parts.map((p) => [p[0], p])).values()]
      unique.sort((a, b) => Number(a[0]) - Number(b[0]))
      return {
        words: {
          ...shell,
          privateBitmap: { encoding, bytes },
          subfields: Object.fromEntries(unique.map(([key, sample]) => [key, sample.words])),
        },
        value: new Map(unique.filter((p) => p[2]).map(([key, sample]) => [key, sample.value])),
      }
    })
  const text = fc.nat(12).chain((count) => repeated(letter, count))
  const tags = fc
    .tuple(
      fc.constantFrom('ascii', 'ebcdic', 'bcd'),
      fc.uniqueArray(fc.tuple(fc.integer({ min: 10, max: 99 }), text, fc.boolean()), {
        selector: ([tag]) => tag,
        maxLength: 5,
      }),
      fc.option(part, { nil: null }),
    )
    .map(([encoding, found, first]) => {
      const prefix = { encoding: 'ascii', digits: 2 }
      const list = { encoding, digits: 2, lengthPrefix: prefix }
      const known = found.filter((entry) => entry[2]).map(([tag]) => [tag, {}])
      const value = new Map<string, FieldValue>()
      if (first !== null) value.set('lead', first.value)
      for (const [tag, content] of found) value.set(String(tag), content)
      return {
        words: {
          ...shell,
          subfieldTags: first === null ? list : { ...list, first: ['lead'] },
          subfields: {
            ...(first === null ? {} : { lead: first.words }),
            ...Object.fromEntries(known),
          },
        },
        value,
      }
    })
  return fc.oneof(positions, slices, bitmap, tags)
}

const anyPart = fc.oneof(leaf, divided(fc.oneof(leaf, divided(leaf))))
const sampleFields = fc.uniqueArray(fc.tuple(fc.integer({ min: 2, max: 128 }), anyPart), {
  selector: ([number]) => number,
  minLength: 1,
  maxLength: 6,
})

function written(samples: readonly (readonly [number, Sample])[]) {
  const dialect = compile(Object.fromEntries(samples.map(([n, sample]) => [n, sample.words])))
  const fields: (FieldValue | undefined)[] = []
  for (const [number, sample] of samples) fields[number] = sample.value
  const message = { mti: '0100', fields }
  const encoded = dialect.encode(message)
  assert.ok(encoded.ok, JSON.stringify(encoded))
  return { dialect, message, bytes: encoded.bytes }
}

test('any message of any dialect with subfields is read as it was written', () => {
  fc.assert(
    fc.property(sampleFields, (samples) => {
      const { dialect, message, bytes } = written(samples)
      const decoded = dialect.decode(bytes)
      assert.ok(decoded.ok, JSON.stringify(decoded))
      assert.equal(messageToJson(decoded.message), messageToJson(message))
      const read = messageFromJson(messageToJson(decoded.message))
      assert.ok(read.ok)
      const again = dialect.encode(read.message)
      assert.ok(again.ok, JSON.stringify(again))
      assert.deepEqual(Buffer.from(again.bytes), Buffer.from(bytes))
    }),
    { numRuns: 300 },
  )
})

test('changed bytes never throw, are blamed on a path, and encode back where they decode', () => {
  const change = fc.record({ at: fc.nat(500), byte: fc.nat(255), isCut: fc.boolean() })
  fc.assert(
    fc.property(
      sampleFields,
      fc.array(change, { minLength: 1, maxLength: 3 }),
      (samples, changes) => {
        const { dialect, bytes } = written(samples)
        let changed = Buffer.from(bytes)
        for (const { at, byte, isCut } of changes) {
          const i = changed.length === 0 ? 0 : at % changed.length
          if (isCut) changed = changed.subarray(0, i)
          else changed[i] = byte
        }
        const decoded = dialect.decode(changed)
        if (!decoded.ok) {
          assert.match(decoded.problem.field, /^(mti|bitmap|end|[0-9]+(\.[0-9A-Za-z]+)*)$/)
          assert.ok(decoded.problem.offset >= 0 && decoded.problem.offset <= changed.length)
          return
        }
        const encoded = dialect.encode(decoded.message)
        assert.ok(encoded.ok, JSON.stringify(encoded))
        assert.deepEqual(Buffer.from(encoded.bytes), changed)
      },
    ),
    { numRuns: 600 },
  )
})
