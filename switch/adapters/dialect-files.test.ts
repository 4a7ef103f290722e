import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FieldValue } from '../iso8583/index.ts'
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
