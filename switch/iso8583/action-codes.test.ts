import assert from 'node:assert/strict'
import test from 'node:test'
import { isApproval } from '../response-codes.ts'
import { actionCodeIn, responseCodeOf } from './action-codes.ts'
import { EDITIONS } from './edition.ts'

const CODES = Array.from({ length: 10_000 }, (_, i) => String(i))

test('the codes that the switch gives, in three editions', () => {
  for (const [code, of1993, of2003] of [
    ['00', '000', '0000'],
    ['08', '001', '0001'],
    ['10', '002', '0002'],
    ['11', '003', '0003'],
    ['03', '109', '1009'],
    ['05', '100', '1000'],
    ['09', '923', '9123'],
    ['12', '902', '9102'],
    ['13', '110', '1010'],
    ['14', '111', '1011'],
    ['25', '914', '9114'],
    ['30', '904', '9100'],
    ['51', '116', '1016'],
    ['54', '101', '1001'],
    ['59', '102', '1002'],
    ['61', '121', '1021'],
    ['65', '123', '1023'],
    ['70', '112', '1012'],
    ['1A', '190', '1067'],
    ['91', '907', '9107'],
    ['92', '908', '9108'],
    ['94', '913', '9113'],
    ['96', '909', '9109'],
  ] as const) {
    assert.equal(actionCodeIn(EDITIONS[1987], code, '0110'), code)
    assert.equal(actionCodeIn(EDITIONS[1993], code, '0110'), of1993)
    assert.equal(actionCodeIn(EDITIONS[2003], code, '0110'), of2003)
    assert.equal(responseCodeOf(EDITIONS[1993], of1993), code)
    assert.equal(responseCodeOf(EDITIONS[2003], of2003), code)
  }
})

test('yes has a code of its own for reversals, network management and advices', () => {
  for (const [mti, of1993, of2003] of [
    ['0210', '000', '0000'],
    ['0230', '900', '9000'],
    ['0430', '400', '4000'],
    ['0410', '400', '4000'],
    ['0810', '800', '8000'],
  ] as const) {
    assert.equal(actionCodeIn(EDITIONS[1993], '00', mti), of1993)
    assert.equal(actionCodeIn(EDITIONS[2003], '00', mti), of2003)
    assert.equal(responseCodeOf(EDITIONS[1993], of1993), '00')
    assert.equal(responseCodeOf(EDITIONS[2003], of2003), '00')
  }
})

test('no decline turns into an approval, either way', () => {
  const twoCharacters = CODES.slice(0, 100).map((code) => code.padStart(2, '0'))
  for (const code of [...twoCharacters, '1A', 'ZZ']) {
    for (const year of [1993, 2003] as const) {
      const edition = EDITIONS[year]
      const there = actionCodeIn(edition, code, '0110')
      assert.equal(there.length, edition.codeDigits, code)
      const isYes = isApproval(code, true) || code === '16'
      assert.equal(there.startsWith('0'), isYes, code)
      assert.ok(!isApproval(responseCodeOf(edition, there), true) || isYes, code)
    }
  }
})

test('all of 000 to 099 approve, nothing else of a request’s answer does', () => {
  for (const code of CODES.slice(0, 1_000).map((one) => one.padStart(3, '0'))) {
    const isYes = code.startsWith('0') || ['400', '800', '900', '901'].includes(code)
    assert.equal(isApproval(responseCodeOf(EDITIONS[1993], code), false), isYes, code)
  }
  for (const odd of ['', '00', '0000', 'A00', '1']) {
    assert.equal(responseCodeOf(EDITIONS[1993], odd), odd, 'no code of 1993, and none of ours')
  }
})
