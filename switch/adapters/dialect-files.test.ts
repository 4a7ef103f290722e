import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type FieldValue, messageFromJson, messageToJson } from '../iso8583/index.ts'
import { listDialects, readDialect } from './dialect-files.ts'

test('every preset loads under its own name', () => {
  const names = listDialects()
  assert.ok(names.includes('iso8583-1987-ascii'))
  for (const name of names) {
    const loaded = readDialect(name)
    assert.ok(loaded.ok, JSON.stringify(loaded))
    assert.equal(loaded.dialect.name, name)
  }
})

test('a file that is not there names the presets', () => {
  const loaded = readDialect('iso8583-1897-ascii')
  assert.ok(!loaded.ok)
  assert.match(loaded.problems[0]?.reason ?? '', /ENOENT.*iso8583-1987-ascii/)
})

test('1987 ASCII: an authorization, field 55 included, byte by byte', () => {
  const loaded = readDialect('iso8583-1987-ascii')
  assert.ok(loaded.ok)
  const fields: (FieldValue | undefined)[] = []
  fields[2] = '5413330089020011'
  fields[4] = '000000002599'
  fields[52] = '0123456789ABCDEF'
  fields[55] = new Map([['9F27', '80']])
  fields[90] = '010000012311221000000000012345600000000000'
  const encoded = loaded.dialect.encode({ mti: '0420', fields })
  assert.ok(encoded.ok)
  const before = '0420D000000000001200000000400000000016541333008902001100000000259901234567'
  assert.equal(
    Buffer.from(encoded.bytes).toString('latin1'),
    `${before}89ABCDEF004\x9f\x27\x01\x80${fields[90]}`,
  )
  const decoded = loaded.dialect.decode(encoded.bytes)
  assert.ok(decoded.ok)
  fields.forEach((value, field) => {
    assert.deepEqual(decoded.message.fields[field], value)
  })
})

test('1987 binary: a swiped sale, byte by byte', () => {
  const loaded = readDialect('iso8583-1987-binary')
  assert.ok(loaded.ok)
  const fields: (FieldValue | undefined)[] = []
  fields[2] = '5413330089020011'
  fields[4] = '000000002599'
  fields[22] = '021'
  fields[28] = 'D00000050'
  fields[35] = '5413330089020011D29122011234'
  fields[41] = 'T-000001'
  fields[70] = '301'
  const encoded = loaded.dialect.encode({ mti: '0200', fields })
  assert.ok(encoded.ok)
  assert.equal(
    Buffer.from(encoded.bytes).toString('hex').toUpperCase(),
    '0200' +
      'D000041020800000' +
      '0400000000000000' +
      '165413330089020011' +
      '000000002599' +
      '0021' +
      '4400000050' +
      '285413330089020011D29122011234' +
      '542D303030303031' +
      '0301',
  )
  const decoded = loaded.dialect.decode(encoded.bytes)
  assert.ok(decoded.ok)
  fields.forEach((value, field) => {
    assert.deepEqual(decoded.message.fields[field], value)
  })
})

test('the 1987 presets define every field from 2 to 128, under the same names', () => {
  const [ascii, binary] = ['iso8583-1987-ascii', 'iso8583-1987-binary'].map(readDialect)
  assert.ok(ascii?.ok && binary?.ok)
  for (let field = 2; field <= 128; field++) {
    assert.notEqual(ascii.dialect.fieldName(field), `field ${field}`)
    assert.equal(binary.dialect.fieldName(field), ascii.dialect.fieldName(field))
  }
})

function ascii(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex').toUpperCase()
}

/** Letters, digits and spaces in code page 037. */
function ebcdic(text: string): string {
  const code = (character: string): number => {
    if (character === ' ') return 0x40
    if (character >= '0' && character <= '9') return 0xf0 + Number(character)
    const letter = character.charCodeAt(0) - 65
    return letter < 9 ? 0xc1 + letter : letter < 18 ? 0xd1 + letter - 9 : 0xe2 + letter - 18
  }
  return Buffer.from([...text].map(code))
    .toString('hex')
    .toUpperCase()
}

/** Messages of the presets, worked out by hand: the bytes, and the message as JSON. */
const vectors: readonly { preset: string; title: string; hex: string; json: string }[] = [
  {
    preset: 'iso8583-1993-ascii',
    title: 'a reversal advice with DE56',
    hex: ascii(
      '14206030018000000100' +
        '164761739001010119' +
        '000000' +
        '000123' +
        '261122100000' +
        '400' +
        '4021' +
        '30110000012326112210000006123456',
    ),
    json:
      '{"mti": "1420", "fields": {"2": "4761739001010119", "3": "000000", "11": "000123", ' +
      '"12": "261122100000", "24": "400", "25": "4021", "56": "110000012326112210000006123456"}}',
  },
  {
    preset: 'iso8583-1993-binary',
    title: 'the same in bytes',
    hex:
      '14206030018000000100' +
      '164761739001010119' +
      '000000' +
      '000123' +
      '261122100000' +
      '0400' +
      '4021' +
      '30110000012326112210000006123456',
    json:
      '{"mti": "1420", "fields": {"2": "4761739001010119", "3": "000000", "11": "000123", ' +
      '"12": "261122100000", "24": "400", "25": "4021", "56": "110000012326112210000006123456"}}',
  },
  {
    preset: 'iso8583-2003-ascii',
    title: 'an authorization with an amount of sixteen digits and parts in 43 and 49',
    hex: ascii(
      '2100' +
        '5030000000208000' +
        '164761739001010119' +
        '9782000000002599' +
        '000000000123' +
        '20261122110000' +
        '0040' +
        '5200000000000000' +
        '11Corner Shop06BerlinDE ' +
        '0021' +
        '4000000000000000' +
        '03123',
    ),
    json:
      '{"mti": "2100", "fields": {"2": "4761739001010119", "4": "9782000000002599", ' +
      '"11": "000000000123", "12": "20261122110000", ' +
      '"43": {"2": "Corner Shop", "4": "Berlin", "7": "DE "}, "49": {"2": "123"}}}',
  },
  {
    preset: 'visa-base1',
    title: 'private bitmaps of 62 and 63',
    hex:
      '01007220048000808006' +
      '104761739001010119' +
      '000000' +
      '000000002599' +
      '1122100000' +
      '000123' +
      '0510' +
      '59' +
      ebcdic('TERM0001') +
      '0978' +
      '13C000020000000000C10123456789012345C140' +
      '058000000002',
    json:
      '{"mti": "0100", "fields": {"2": "4761739001010119", "3": "000000", "4": "000000002599", ' +
      '"7": "1122100000", "11": "000123", "22": "0510", "25": "59", "41": "TERM0001", ' +
      '"49": "978", "62": {"1": "A", "2": "123456789012345", "23": "A "}, "63": {"1": "0002"}}}',
  },
  {
    preset: 'visa-base1',
    title: 'a chip field of the third bitmap, and a data set',
    hex:
      '0110' +
      '8000000000000200' +
      '8000000000000000' +
      '4000000000000000' +
      '0A0100079F360200018200' +
      'E0F8C8',
    json: '{"mti": "0110", "fields": {"55": {"01": {"9F36": "0001", "82": ""}}, "130": "E0F8C8"}}',
  },
  {
    preset: 'mastercard-cis',
    title: 'DE48 subelements, DE61, DE63 and DE112',
    hex:
      ebcdic('0100') +
      'A02000000001000A0000000000010000' +
      ebcdic(
        '000000' +
          '000123' +
          '019R420701032129203123' +
          '026102510000600027610115     ' +
          '012MCC123456789' +
          '010001004ABCD',
      ),
    json:
      '{"mti": "0100", "fields": {"3": "000000", "11": "000123", ' +
      '"48": {"TCC": "R", "42": {"01": {"1": "2", "2": "1", "3": "2"}}, "92": "123"}, ' +
      '"61": {"1": "1", "2": "0", "3": "2", "4": "5", "5": "1", "6": "0", "7": "0", "8": "0", ' +
      '"9": "0", "10": "6", "11": "0", "12": "00", "13": "276", "14": "10115     "}, ' +
      '"63": {"1": "MCC", "2": "123456789"}, "112": {"001": "ABCD"}}}',
  },
  {
    preset: 'postilion',
    title: 'field 127 and chip data in 127.25',
    hex:
      ascii('0200') +
      'A0200000000000000000000000000022' +
      ascii('000000' + '000123' + '015510101513344002' + '000061') +
      '4000008000000000' +
      ascii('11SWITCHKEY01' + '0036') +
      '2010000000000000' +
      ascii('0000000001500123456789ABCDEF'),
    json:
      '{"mti": "0200", "fields": {"3": "000000", "11": "000123", ' +
      '"123": {"1": "5", "2": "1", "3": "0", "4": "1", "5": "0", "6": "1", "7": "5", "8": "1", ' +
      '"9": "3", "10": "3", "11": "4", "12": "4", "13": "0", "14": "02"}, ' +
      '"127": {"2": "SWITCHKEY01", "25": {"3": "000000000150", "12": "0123456789ABCDEF"}}}}',
  },
]

for (const { preset, title, hex, json } of vectors) {
  test(`${preset}: ${title}`, () => {
    const loaded = readDialect(preset)
    assert.ok(loaded.ok)
    const decoded = loaded.dialect.decode(Buffer.from(hex, 'hex'))
    assert.ok(decoded.ok, JSON.stringify(decoded))
    assert.equal(messageToJson(decoded.message), json)
    const read = messageFromJson(json)
    assert.ok(read.ok)
    const encoded = loaded.dialect.encode(read.message)
    assert.ok(encoded.ok, JSON.stringify(encoded))
    assert.equal(Buffer.from(encoded.bytes).toString('hex').toUpperCase(), hex)
  })
}

test('every preset has a vector here and a page in the docs', () => {
  const pages = new URL('../docs/dialects/', import.meta.url)
  const index = readFileSync(new URL('README.md', pages), 'utf8')
  for (const name of listDialects()) {
    assert.ok(
      name.startsWith('iso8583-1987') || vectors.some((v) => v.preset === name),
      `${name} has no vector`,
    )
    const page = readFileSync(new URL(`${name}.md`, pages), 'utf8')
    for (const part of [`# ${name}\n`, '## Sources', '## Not covered']) {
      assert.ok(page.includes(part), `${name}: ${part}`)
    }
    assert.ok(index.includes(`(${name}.md)`), `${name} is not in the index`)
  }
})
