import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CURRENCIES, currencyByCode, currencyByNumeric } from './currency.ts'

test('currencies carry DE49 and exponent', () => {
  assert.deepEqual(currencyByCode('EUR'), { code: 'EUR', numeric: '978', exponent: 2 })
  assert.deepEqual(currencyByCode('JPY'), { code: 'JPY', numeric: '392', exponent: 0 })
  assert.deepEqual(currencyByNumeric('048'), { code: 'BHD', numeric: '048', exponent: 3 })
  assert.equal(currencyByCode('HRK'), undefined)
  assert.equal(currencyByCode('eur'), undefined)
  assert.equal(currencyByNumeric('999'), undefined)
})

test('letters and numbers are well formed and unique, and the runtime knows the letters', () => {
  assert.equal(new Set(CURRENCIES.map((currency) => currency.numeric)).size, CURRENCIES.length)
  assert.ok(CURRENCIES.length > 150)
  const known = new Set(Intl.supportedValuesOf('currency'))
  // Not in every supported runtime's ICU.
  const newer = new Set(['VED', 'XCG', 'ZWG'])
  for (const { code, numeric } of CURRENCIES) {
    assert.match(code, /^[A-Z]{3}$/)
    assert.match(numeric, /^\d{3}$/)
    assert.ok(known.has(code) || newer.has(code), code)
  }
})
