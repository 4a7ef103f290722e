import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { before, test } from 'node:test'
import { DEFAULT_GENERATE_OPTIONS, generateTransactions } from './generate.ts'
import { FRAUD_KINDS, type GeneratedTransaction } from './purchase.ts'

const OPTIONS = { ...DEFAULT_GENERATE_OPTIONS, days: 16, customers: 6_000 }
const DAY_MS = 86_400_000

let transactions: readonly GeneratedTransaction[] = []
before(() => {
  transactions = [...generateTransactions(OPTIONS)]
})

function hashOf(seed: number): string {
  const hash = createHash('sha256')
  const small = { ...OPTIONS, days: 4, customers: 300, seed }
  for (const each of generateTransactions(small)) hash.update(JSON.stringify(each))
  return hash.digest('hex')
}

test('the same seed gives the same transactions, another seed others', () => {
  assert.equal(hashOf(5), hashOf(5))
  assert.notEqual(hashOf(5), hashOf(6))
})

test('transactions come in event time, inside the period, answered after they arrived', () => {
  let lastMs = OPTIONS.startMs
  for (const { request, answeredAtMs } of transactions) {
    assert.ok(Number.isInteger(request.arrivedAtMs))
    assert.ok(request.arrivedAtMs >= lastMs)
    assert.ok(request.arrivedAtMs < OPTIONS.startMs + OPTIONS.days * DAY_MS)
    assert.ok(answeredAtMs > request.arrivedAtMs)
    lastMs = request.arrivedAtMs
  }
})

test('every kind of fraud is there, and fraud is rare', () => {
  const counts = new Map<string, number>()
  for (const { kind } of transactions) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  for (const kind of FRAUD_KINDS) assert.ok((counts.get(kind) ?? 0) >= 10, kind)
  const share = 1 - (counts.get('genuine') ?? 0) / transactions.length
  assert.ok(share > 0.003 && share < 0.02, `${share}`)
})

test('requests are well formed', () => {
  const hashes = new Set<string>()
  const channels = new Set<string>()
  for (const { request, responseCode } of transactions) {
    assert.ok(Number.isInteger(request.amount) && request.amount > 0)
    assert.match(request.eventHash, /^[0-9a-f]{16}$/)
    assert.match(request.card.bin, /^(476173|541333)[0-9]{2}$/)
    assert.match(request.merchant.id, /^M-[0-9]+$/)
    assert.ok((request.terminal?.id?.length ?? 8) === 8)
    assert.match(responseCode, /^[0-9]{2}$/)
    hashes.add(request.eventHash)
    channels.add(request.channel)
  }
  assert.equal(hashes.size, transactions.length)
  assert.deepEqual([...channels].sort(), ['atm', 'ecommerce', 'moto', 'pos', 'qr', 'recurring'])
})

test('no card number is anywhere, only tokens', () => {
  for (const { request } of transactions.slice(0, 20_000)) {
    assert.match(request.card.token, /^card_[0-9a-f]{8}_[0-9a-f]{8}$/)
    const { id: _id, eventHash: _hash, arrivedAtMs: _at, ...rest } = request
    assert.doesNotMatch(JSON.stringify(rest), /[0-9]{12}/)
  }
})

test('unknown is common among honest transactions', () => {
  const genuine = transactions.filter(({ kind }) => kind === 'genuine')
  const shareOf = (matches: (each: GeneratedTransaction) => boolean) =>
    genuine.filter(matches).length / genuine.length
  const online = genuine.filter(({ request }) => request.channel === 'ecommerce')
  const bare = online.filter(({ request }) => request.device === undefined)
  assert.ok(bare.length / online.length > 0.05)
  assert.ok(shareOf(({ request }) => request.customer === undefined) > 0.2)
  assert.ok(shareOf(({ request }) => request.merchant.latitude === undefined) > 0.2)
  assert.ok(shareOf(({ request }) => request.card.country === undefined) > 0.02)
  const cards = new Map<string, number>()
  for (const { request } of genuine) {
    cards.set(request.card.token, (cards.get(request.card.token) ?? 0) + 1)
  }
  const once = [...cards.values()].filter((count) => count === 1).length
  assert.ok(once / cards.size > 0.05, `${once} of ${cards.size} cards are seen once`)
})
