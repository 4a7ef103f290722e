import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HANDBOOK_COLUMNS, OWN_COLUMNS } from './columns.ts'
import {
  CUSTOMER_DAYS,
  DAY_MS,
  type KnownTransaction,
  LABEL_DELAY_MS,
  TERMINAL_DAYS,
  withHistory,
} from './history.ts'
import type { HandbookTransaction } from './transactions.ts'

const START_MS = Date.UTC(2018, 6, 1)

/** Some weeks of a few customers at a few terminals, in order of time. */
const stream: fc.Arbitrary<readonly HandbookTransaction[]> = fc
  .array(
    fc.record({
      atMs: fc.integer({ min: 0, max: 60 * 24 }).map((hours) => START_MS + hours * 3_600_000),
      customer: fc.constantFrom('1', '2', '3'),
      terminal: fc.constantFrom('7', '8'),
      amount: fc.integer({ min: 1, max: 30_000 }),
      fraud: fc.boolean(),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .map((drawn) =>
    drawn
      .sort((one, other) => one.atMs - other.atMs)
      .map((each, index) => ({ ...each, id: 1_000 + index })),
  )

async function all(transactions: readonly HandbookTransaction[]): Promise<KnownTransaction[]> {
  const known: KnownTransaction[] = []
  for await (const each of withHistory(transactions, () => true)) known.push(each)
  return known
}

async function row(
  transactions: readonly HandbookTransaction[],
  index: number,
): Promise<readonly number[]> {
  const known = (await all(transactions))[index] as KnownTransaction
  return [...HANDBOOK_COLUMNS, ...OWN_COLUMNS].map(({ value }) => value(known))
}

test('windows equal a plain count over the list of transactions', async () => {
  await fc.assert(
    fc.asyncProperty(stream, async (transactions) => {
      for (const [index, known] of (await all(transactions)).entries()) {
        const { transaction, customer, genuine, fraud } = known
        const { atMs } = transaction
        const own = transactions
          .slice(0, index + 1)
          .filter((each) => each.customer === transaction.customer)
        for (const days of CUSTOMER_DAYS) {
          const amounts = own
            .filter((each) => each.atMs > atMs - days * DAY_MS)
            .map(({ amount }) => amount)
          assert.equal(customer.count(days), amounts.length)
          assert.equal(
            customer.sum(days),
            amounts.reduce((sum, amount) => sum + amount, 0),
          )
          assert.equal(customer.max(days), Math.max(...amounts))
        }
        const endMs = atMs - LABEL_DELAY_MS
        const labelled = transactions.filter(
          (each) => each.terminal === transaction.terminal && each.atMs <= endMs,
        )
        for (const days of TERMINAL_DAYS) {
          const inWindow = labelled.filter((each) => each.atMs > endMs - days * DAY_MS)
          assert.equal(fraud.count(days), inWindow.filter((each) => each.fraud).length)
          assert.equal(genuine.count(days), inWindow.filter((each) => !each.fraud).length)
        }
      }
    }),
    { numRuns: 60 },
  )
})

test('no column knows a label before its delay, nor anything that comes later', async () => {
  await fc.assert(
    fc.asyncProperty(stream, fc.nat(), async (transactions, seed) => {
      const index = seed % transactions.length
      const { atMs } = transactions[index] as HandbookTransaction
      const told = transactions.map((each) =>
        each.atMs > atMs - LABEL_DELAY_MS ? { ...each, fraud: !each.fraud } : each,
      )
      const unlikely = told.map((each, at) => (at > index ? { ...each, amount: 1 } : each))
      assert.deepEqual(await row(unlikely, index), await row(transactions, index))
    }),
    { numRuns: 60 },
  )
})

test('a label counts once its delay is over, and an ordinary amount points at the terminal', async () => {
  const bought = { customer: '1', terminal: '7', amount: 1_000, fraud: false }
  const fraud = { ...bought, fraud: true }
  const transactions: HandbookTransaction[] = [
    { ...bought, id: 1, atMs: START_MS },
    { ...fraud, id: 2, atMs: START_MS + 1_000 },
    { ...fraud, id: 3, atMs: START_MS + 2_000, amount: 50_000 },
    { ...bought, id: 4, atMs: START_MS + LABEL_DELAY_MS, customer: '2' },
    { ...bought, id: 5, atMs: START_MS + LABEL_DELAY_MS + 5_000, customer: '2' },
  ]
  const known = await all(transactions)
  const counts = known.map(({ genuine, fraud: frauds, ordinaryFraud }) => [
    genuine.count(1),
    frauds.count(1),
    ordinaryFraud.count(1),
  ])
  assert.deepEqual(counts.slice(3), [
    [1, 0, 0],
    [1, 2, 1],
  ])
  assert.equal(known[4]?.fraud.secondsSinceLast, 3)
})

test('transactions that are not in the order of time are refused', async () => {
  const bought = { customer: '1', terminal: '7', amount: 1_000, fraud: false }
  const disordered = [
    { ...bought, id: 1, atMs: START_MS + 1 },
    { ...bought, id: 2, atMs: START_MS },
  ]
  await assert.rejects(all(disordered), /transaction 2 is out of order/)
})

test('the Handbook has 15 columns, and every name stands once', () => {
  assert.equal(HANDBOOK_COLUMNS.length, 15)
  for (const columns of [HANDBOOK_COLUMNS, OWN_COLUMNS]) {
    assert.equal(new Set(columns.map(({ name }) => name)).size, columns.length)
  }
})
