import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { readDialect } from '../adapters/dialect-files.ts'
import { EDITIONS } from './edition.ts'
import { isIncrement, messageIn, messageOf } from './edition-message.ts'
import type { FieldValue, IsoMessage } from './message.ts'

const NOW_MS = Date.UTC(2026, 10, 22, 10, 5)

function message(mti: string, fields: Readonly<Record<number, FieldValue>>): IsoMessage {
  const all: (FieldValue | undefined)[] = []
  for (const [field, value] of Object.entries(fields)) all[Number(field)] = value
  return { mti, fields: all }
}

const authorization = {
  2: '4761739001010119',
  3: '000000',
  4: '000000002599',
  7: '1122100000',
  11: '000123',
  14: '2912',
  18: '5411',
  22: '051',
  25: '00',
  32: '100001',
  37: '632610000123',
  41: 'T-0001  ',
  42: 'M-1001         ',
  43: `${'Corner Shop'.padEnd(25)}${'Berlin'.padEnd(13)}DE`,
  48: '9203123',
  49: '978',
}

test('an authorization of 1987 as 1993 and 2003 write it', () => {
  const in1993 = messageIn(EDITIONS[1993], message('0100', authorization), NOW_MS)
  assert.equal(in1993.mti, '1100')
  const { fields } = in1993
  assert.deepEqual(
    [4, 11, 12, 18, 22, 24, 26, 43, 49].map((field) => fields[field]),
    [
      '000000002599',
      '000123',
      '261122100000',
      undefined,
      '019101509000',
      '100',
      '5411',
      `Corner Shop\\\\Berlin\\${' '.repeat(13)}DE `,
      '978',
    ],
  )
  const in2003 = messageIn(EDITIONS[2003], message('0100', authorization), NOW_MS)
  assert.equal(in2003.mti, '2100')
  assert.equal(in2003.fields[4], '9782000000002599')
  assert.equal(in2003.fields[11], '000000000123')
  assert.equal(in2003.fields[12], '20261122100000')
  assert.deepEqual(in2003.fields[49], new Map([['2', '123']]))
  assert.equal(in2003.fields[48], undefined)
  const series = { ...authorization, 48: '92031236305MCC01' }
  const named = messageIn(EDITIONS[2003], message('0100', series), NOW_MS)
  assert.deepEqual([named.fields[48], named.fields[49]], ['6305MCC01', new Map([['2', '123']])])
  assert.equal(messageOf(EDITIONS[2003], named).fields[48], series[48])
  const yen = messageIn(EDITIONS[2003], message('0100', { ...authorization, 49: '392' }), NOW_MS)
  assert.equal(yen.fields[4], '3920000000002599')
})

test('what each message is for has a function code, answers have none', () => {
  const of = (mti: string, change: Readonly<Record<number, string>>) =>
    messageIn(EDITIONS[1993], message(mti, { ...authorization, ...change }), NOW_MS).fields[24]
  const original = `0100000122112209595900000100001${'0'.repeat(11)}`
  assert.equal(of('0100', { 25: '06' }), '101')
  assert.equal(of('0100', { 90: original }), '106')
  assert.equal(of('0100', { 3: '310000' }), '108')
  assert.equal(of('0200', {}), '200')
  assert.equal(of('0220', { 90: original }), '201')
  assert.equal(of('0220', {}), '200')
  assert.equal(of('0420', { 90: original }), '400')
  assert.equal(of('0420', { 90: original, 95: `000000000100${'0'.repeat(30)}` }), '401')
  assert.equal(of('0800', { 70: '301' }), '831')
  assert.equal(of('0810', { 70: '301' }), '831')
  assert.equal(of('0110', { 39: '00' }), undefined)
})

for (const year of [1993, 2003] as const) {
  const edition = EDITIONS[year]

  test(`${year}: what is carried there and back says the same`, () => {
    fc.assert(
      fc.property(
        fc.constantFrom('0100', '0200', '0120', '0220', '0420', '0421', '0800'),
        fc.constantFrom('051', '071', '901', '010', '810', '100', '030', '000'),
        fc.constantFrom('00', '02', '07', '08', '59'),
        fc.integer({ min: 1, max: 999_999_999_999 }),
        fc.option(fc.nat({ max: 500 }), { nil: undefined }),
        (mti, entryMode, condition, amount, standing) => {
          const digits = String(amount).padStart(12, '0')
          const isReversal = mti[1] === '4'
          const original = `0100000122112209595900000100001${'0'.repeat(11)}`
          const isPartial = isReversal && standing !== undefined && standing < amount
          const stands = `${String(standing).padStart(12, '0')}${'0'.repeat(30)}`
          const sent = message(mti, {
            ...authorization,
            4: digits,
            22: entryMode,
            25: entryMode === '810' ? '59' : condition,
            ...(isReversal ? { 90: original } : {}),
            ...(isPartial ? { 95: stands } : {}),
            ...(mti === '0800' ? { 70: '001' } : {}),
          })
          const back = messageOf(edition, messageIn(edition, sent, NOW_MS))
          assert.equal(back.mti, mti)
          for (const field of [2, 3, 4, 7, 11, 14, 18, 32, 37, 41, 42, 43, 48, 49, 70, 90, 95]) {
            assert.deepEqual(back.fields[field], sent.fields[field], `${year} DE${field}`)
          }
          const withPin = year === 1993 ? entryMode.slice(2) : '0'
          assert.equal(String(back.fields[22]).slice(2), withPin)
        },
      ),
      { numRuns: 500 },
    )
  })

  test(`${year}: every preset of it can write what is carried over`, () => {
    const loaded = readDialect(`iso8583-${year}-ascii`)
    assert.ok(loaded.ok)
    for (const mti of ['0100', '0220', '0420', '0800', '0110']) {
      const fields = { ...authorization, ...(mti === '0800' ? { 70: '001' } : {}) }
      const written = messageIn(edition, message(mti, fields), NOW_MS)
      const encoded = loaded.dialect.encode(written)
      assert.ok(encoded.ok, JSON.stringify(encoded))
      const decoded = loaded.dialect.decode(encoded.bytes)
      assert.ok(decoded.ok)
    }
  })

  test(`${year}: no message makes it throw`, () => {
    const value = fc.oneof(
      fc.string(),
      fc.stringMatching(/^[0-9]{0,40}$/),
      fc.constant(new Map([['2', 'x']])),
    )
    const fields = fc.array(fc.option(value, { nil: undefined }), { maxLength: 129 })
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9]{4}$/), fields, (mti, drawn) => {
        messageOf(edition, { mti, fields: drawn })
        messageIn(edition, { mti, fields: drawn }, NOW_MS)
        isIncrement(edition, { mti, fields: drawn })
      }),
      { numRuns: 2_000 },
    )
  })
}

test('of the two amounts of a partial reversal the smaller one stands, on whichever side it is', () => {
  for (const [stands, was] of [
    ['000000001000', '000000002599'],
    ['000000002599', '000000001000'],
  ]) {
    const raw = message('1420', { 4: stands as string, 24: '401', 30: `${was}${'0'.repeat(12)}` })
    const { fields } = messageOf(EDITIONS[1993], raw)
    assert.equal(fields[4], '000000002599')
    assert.equal(fields[95], `000000001000${'0'.repeat(30)}`)
  }
  const full = message('1420', { 4: '000000002599', 24: '400', 30: '0'.repeat(24) })
  assert.equal(messageOf(EDITIONS[1993], full).fields[95], undefined)
})

test('a trace number of twelve digits that is not ours is kept whole', () => {
  const long = message('2110', { 11: '123456000123' })
  assert.equal(messageOf(EDITIONS[2003], long).fields[11], '123456000123')
  const ours = message('2110', { 11: '000000000123' })
  assert.equal(messageOf(EDITIONS[2003], ours).fields[11], '000123')
})
