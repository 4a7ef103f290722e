import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import {
  EDITIONS,
  formatOriginal,
  momentOf,
  momentOfLocal,
  mtiIn,
  mtiOf,
  networkCodeIn,
  networkCodeOf,
  parseOriginal,
  sentAtIn,
} from './edition.ts'

const YEARS = [1987, 1993, 2003] as const

test('MTIs of every class go there and back; network management ends with 4 from 1993 on', () => {
  for (const [mti, of1993, of2003] of [
    ['0100', '1100', '2100'],
    ['0101', '1101', '2101'],
    ['0120', '1120', '2120'],
    ['0230', '1230', '2230'],
    ['0420', '1420', '2420'],
    ['0421', '1421', '2421'],
    ['0800', '1804', '2804'],
    ['0810', '1814', '2814'],
  ] as const) {
    assert.equal(mtiIn(EDITIONS[1987], mti), mti)
    assert.equal(mtiIn(EDITIONS[1993], mti), of1993)
    assert.equal(mtiIn(EDITIONS[2003], mti), of2003)
    for (const one of [mti, of1993, of2003]) assert.equal(mtiOf(one), mti)
  }
})

test('network codes: sign-on, sign-off, key change, echo', () => {
  for (const [code, later] of [
    ['001', '801'],
    ['002', '802'],
    ['161', '811'],
    ['301', '831'],
    ['999', '999'],
  ] as const) {
    for (const year of [1993, 2003] as const) {
      assert.equal(networkCodeIn(EDITIONS[year], code), later)
      assert.equal(networkCodeOf(EDITIONS[year], later), code)
    }
    assert.equal(networkCodeIn(EDITIONS[1987], code), code)
    assert.equal(networkCodeOf(EDITIONS[1987], code), code)
  }
  assert.equal(networkCodeIn(EDITIONS[1993], '101'), '811')
})

test('original data elements byte by byte', () => {
  const original = { mti: '0100', stan: '000123', acquiringInstitution: '100001' }
  const cases = [
    [
      1987,
      '1122095959',
      '010000012311221000000000010000100000000000'.replace('1122100000', '1122095959'),
    ],
    [1993, '261122095959', '110000012326112209595906100001'],
    [2003, '20261122095959', '210000000000012320261122095959100001'],
  ] as const
  for (const [year, sentAt, text] of cases) {
    assert.equal(formatOriginal(EDITIONS[year], { ...original, sentAt }), text)
  }
  // With and without the institution's length, both are seen in 1993.
  for (const rest of ['06100001', '100001']) {
    const fields = []
    fields[56] = `1100000123261122095959${rest}`
    const parsed = parseOriginal(EDITIONS[1993], { mti: '1420', fields })
    assert.deepEqual(parsed, { ...original, sentAt: '261122095959' })
  }
})

test('what was formatted is parsed, and nothing else throws', () => {
  const digits = (length: number) => fc.stringMatching(new RegExp(`^[0-9]{${length}}$`))
  fc.assert(
    fc.property(
      fc.constantFrom(...YEARS),
      fc.constantFrom('0100', '0200', '0220'),
      digits(6).filter((stan) => stan !== '000000'),
      digits(14),
      fc.stringMatching(/^[1-9][0-9]{0,10}$/),
      (year, mti, stan, time, acquiringInstitution) => {
        const edition = EDITIONS[year]
        const sentAt = time.slice(0, edition.sentAtDigits)
        const padded = stan.padStart(edition.traceDigits, '0')
        const original = { mti, stan: padded, sentAt, acquiringInstitution }
        const fields: string[] = []
        fields[edition.originalField] = formatOriginal(edition, original)
        assert.deepEqual(parseOriginal(edition, { mti: '0420', fields }), original)
      },
    ),
  )
  fc.assert(
    fc.property(fc.constantFrom(...YEARS), fc.string(), (year, text) => {
      const fields: string[] = []
      fields[EDITIONS[year].originalField] = text
      parseOriginal(EDITIONS[year], { mti: '0420', fields })
    }),
  )
})

test('zeros, another edition and half an element name nothing', () => {
  for (const text of ['0'.repeat(42), `1100000123${'1122095959'}${'0'.repeat(22)}`, '0100000123']) {
    const fields = []
    fields[90] = text
    assert.equal(parseOriginal(EDITIONS[1987], { mti: '0420', fields }), undefined)
  }
})

test('dates get the year that is nearest', () => {
  const at = Date.UTC(2026, 11, 31, 23, 59, 59)
  assert.equal(momentOf('1231235959', Date.UTC(2027, 0, 1)), at)
  assert.equal(sentAtIn(EDITIONS[1987], at), '1231235959')
  assert.equal(sentAtIn(EDITIONS[1993], at), '261231235959')
  assert.equal(sentAtIn(EDITIONS[2003], at), '20261231235959')
  assert.equal(momentOfLocal('261231235959'), at)
  assert.equal(momentOfLocal('20261231235959'), at)
  for (const wrong of ['261331000000', '', '20261231']) {
    assert.equal(momentOfLocal(wrong), undefined)
  }
  assert.equal(momentOf('0230000000', at), undefined)
})
