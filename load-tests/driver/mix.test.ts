import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { passesLuhn } from '#switch'
import { jsonBodyOf, type MixOptions, mixedRequest, panOf } from './mix.ts'

const options: MixOptions = {
  seed: 42,
  cards: 500,
  secondIssuerPercent: 10,
  startedAtMs: Date.UTC(2026, 10, 22, 10),
  ratePerSecond: 100,
}

test('every card number is a 16-digit PAN of its BIN with a valid check digit', () => {
  fc.assert(
    fc.property(fc.nat(10_000_000), fc.constantFrom('476173', '541333'), (number, bin) => {
      const pan = panOf(bin, number)
      assert.match(pan, /^[0-9]{16}$/)
      assert.ok(pan.startsWith(bin) && passesLuhn(pan))
    }),
  )
})

test('different card numbers are different PANs', () => {
  const pans = new Set(Array.from({ length: 20_000 }, (_, i) => panOf('476173', i)))
  assert.equal(pans.size, 20_000)
})

test('a request is a function of seed and number', () => {
  assert.deepEqual(mixedRequest(options, 7), mixedRequest(options, 7))
  assert.notDeepEqual(mixedRequest(options, 7), mixedRequest(options, 8))
  assert.notDeepEqual(mixedRequest(options, 7), mixedRequest({ ...options, seed: 43 }, 7))
})

test('requests are ASCII JSON that says what the books are told', () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), (index) => {
      const request = mixedRequest(options, index)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII is the point.
      assert.match(jsonBodyOf(request), /^[\x00-\x7f]+$/)
      const body = JSON.parse(jsonBodyOf(request))
      assert.equal(body.amount, request.amount)
      assert.equal(body.card.pan, request.pan)
      assert.equal(body.terminal.id, request.terminalId)
      assert.ok(request.terminalId.length <= 8 && body.merchant.id.length <= 15)
      assert.ok(body.amount >= 1000 && body.amount <= 9_000)
    }),
  )
})

test('cards, merchants and devices repeat, and a card keeps its home and device', () => {
  const byCard = new Map<string, { device: string; country: string }>()
  const merchants = new Map<string, number>()
  for (let i = 0; i < 5_000; i++) {
    const body = JSON.parse(jsonBodyOf(mixedRequest(options, i)))
    const facts = { device: body.device.id, country: body.merchant.country }
    assert.deepEqual(byCard.get(body.card.pan) ?? facts, facts)
    byCard.set(body.card.pan, facts)
    merchants.set(body.merchant.id, (merchants.get(body.merchant.id) ?? 0) + 1)
  }
  assert.ok(byCard.size <= options.cards && byCard.size > options.cards * 0.9)
  // A few merchants take much of the trade: the busiest far more than the mean.
  const mean = 5_000 / merchants.size
  assert.ok(Math.max(...merchants.values()) > mean * 5)
})

test('the share of the second issuer is about what was asked, its amounts end in 00', () => {
  let second = 0
  for (let i = 0; i < 5_000; i++) {
    const { pan, amount } = mixedRequest({ ...options, cards: 5_000 }, i)
    if (!pan.startsWith('541333')) continue
    second++
    assert.equal(amount % 100, 0)
  }
  assert.ok(second > 350 && second < 650, String(second))
})
