import assert from 'node:assert/strict'
import { test } from 'node:test'
import { foldOf, isInFolds } from './folds.ts'
import { DAY_MS } from './history.ts'
import type { HandbookTransaction } from './transactions.ts'

const START = '2018-07-25'
const START_MS = Date.parse(START)

/** Each of 21 days has a purchase of each customer; `frauds` lists "customer@day". */
function days(frauds: readonly string[], count = 21): readonly HandbookTransaction[] {
  const customers = ['a', 'b', 'c', 'd']
  return Array.from({ length: count }, (_, day) => day).flatMap((day) =>
    customers.map((customer, index) => ({
      id: day * customers.length + index,
      atMs: START_MS + day * DAY_MS + 3_600_000,
      customer,
      terminal: '1',
      amount: 100,
      fraud: frauds.includes(`${customer}@${day}`),
    })),
  )
}

test('a week trains, a week waits for labels, a week is tested', () => {
  const transactions = days(['a@0', 'a@3'])
  const fold = foldOf(transactions, START)
  const dayOfRow = (index: number) => Math.floor(index / 4)
  assert.deepEqual([...new Set(Array.from(fold.train, dayOfRow))], [0, 1, 2, 3, 4, 5, 6])
  assert.deepEqual([...new Set(Array.from(fold.test, dayOfRow))], [14, 15, 16, 17, 18, 19, 20])
})

test('a customer is left out from the day on which a fraud is known', () => {
  // b on day 8, which is known on test day 2 (7 + 2 - 1); c on day 13, which is never known.
  const transactions = days(['a@0', 'b@8', 'c@13', 'd@14'])
  const fold = foldOf(transactions, START)
  const tested = Array.from(fold.test, (index) => {
    const { customer, atMs } = transactions[index] as HandbookTransaction
    return `${customer}${Math.floor((atMs - START_MS) / DAY_MS) - 14}`
  })
  assert.ok(!tested.some((each) => each.startsWith('a')))
  assert.deepEqual(
    tested.filter((each) => each.startsWith('b')),
    ['b0', 'b1'],
  )
  assert.equal(tested.filter((each) => each.startsWith('c')).length, 7)
  assert.equal(tested.filter((each) => each.startsWith('d')).length, 7)
})

test('a file that lacks a day, or any fraud in training, says so', () => {
  assert.throws(() => foldOf(days(['a@0'], 20), START), /no transactions on 2018-08-14/)
  assert.throws(() => foldOf(days(['a@9']), START), /no fraud in the week of training/)
})

test('columns are needed from the first day of training to the last of testing', () => {
  assert.ok(!isInFolds(Date.parse('2018-07-24T23:59:59Z')))
  assert.ok(isInFolds(Date.parse('2018-07-25T00:00:00Z')))
  assert.ok(isInFolds(Date.parse('2018-09-04T23:59:59Z')))
  assert.ok(!isInFolds(Date.parse('2018-09-05T00:00:00Z')))
})
