import assert from 'node:assert/strict'
import test from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { maskPan, Pan, passesLuhn } from './pan.ts'

const TEST_PAN = '4761739001010119'

test('a PAN parses when it has 12 to 19 digits and passes Luhn', () => {
  assert.ok(Pan.parse(TEST_PAN))
  for (const wrong of [
    '4761739001010110',
    '47617390010',
    '4761 7390 0101 0119',
    '',
    `${TEST_PAN}\n`,
  ]) {
    assert.equal(Pan.parse(wrong), undefined)
  }
})

test('whatever prints a PAN prints its mask', () => {
  const pan = Pan.parse(TEST_PAN)
  assert.ok(pan)
  for (const printed of [
    String(pan),
    `${pan}`,
    JSON.stringify({ pan }),
    inspect(pan),
    inspect({ deep: { pan } }),
    inspect(pan, { showHidden: true }),
  ]) {
    assert.ok(printed.includes('476173******0119'), printed)
    assert.ok(!printed.includes(TEST_PAN), printed)
  }
})

test('the BIN has 8 digits, 6 of a PAN below 16', () => {
  assert.equal(Pan.parse(TEST_PAN)?.bin, '47617390')
  assert.equal(Pan.parse('371449635398431')?.bin, '371449')
})

test('Luhn: one changed digit never passes', () => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[0-9]{11,18}$/),
      fc.nat(17),
      fc.integer({ min: 1, max: 9 }),
      (body, at, by) => {
        const check = [...'0123456789'].find((digit) => passesLuhn(body + digit))
        assert.ok(check !== undefined)
        const digits = body + check
        const index = at % digits.length
        const changed = (Number(digits[index]) + by) % 10
        assert.ok(!passesLuhn(digits.slice(0, index) + changed + digits.slice(index + 1)))
      },
    ),
  )
})

test('a mask keeps six and four digits and the length', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9]{12,19}$/), (digits) => {
      const mask = maskPan(digits)
      assert.equal(mask.length, digits.length)
      assert.equal(mask.replaceAll('*', '').length, 10)
    }),
  )
})
