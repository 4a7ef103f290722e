import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { averagePrecision, cardPrecision, rocAuc } from './measures.ts'

const scored = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.boolean()), { minLength: 2, maxLength: 60 })
  .filter((rows) => rows.some(([, fraud]) => fraud) && rows.some(([, fraud]) => !fraud))

test('ROC AUC is the share of pairs in the right order', () => {
  fc.assert(
    fc.property(scored, (rows) => {
      let right = 0
      let pairs = 0
      for (const [high, fraud] of rows) {
        for (const [low, otherFraud] of rows) {
          if (!fraud || otherFraud) continue
          pairs++
          right += high > low ? 1 : high === low ? 0.5 : 0
        }
      }
      const scores = rows.map(([score]) => score)
      const auc = rocAuc(
        scores,
        rows.map(([, fraud]) => fraud),
      )
      assert.ok(Math.abs(auc - right / pairs) < 1e-12)
    }),
  )
})

test('average precision sums precision times the gain in recall over all thresholds', () => {
  fc.assert(
    fc.property(scored, (rows) => {
      const frauds = rows.filter(([, fraud]) => fraud).length
      let expected = 0
      let recallBefore = 0
      const thresholds = [...new Set(rows.map(([score]) => score))].sort((a, b) => b - a)
      for (const threshold of thresholds) {
        const flagged = rows.filter(([score]) => score >= threshold)
        const found = flagged.filter(([, fraud]) => fraud).length
        expected += (found / flagged.length) * (found / frauds - recallBefore)
        recallBefore = found / frauds
      }
      const precision = averagePrecision(
        rows.map(([score]) => score),
        rows.map(([, fraud]) => fraud),
      )
      assert.ok(Math.abs(precision - expected) < 1e-12)
    }),
  )
})

test('average precision of a known case (scikit-learn: 0.8333)', () => {
  const precision = averagePrecision([0.1, 0.4, 0.35, 0.8], [false, false, true, true])
  assert.ok(Math.abs(precision - 0.8333333333333333) < 1e-12)
})

test('card precision takes the best score of a customer and leaves out who was found', () => {
  const rows = [
    // Day 1: a and b lead; a is compromised by another transaction than the one that leads.
    { customer: 'a', day: 1, score: 0.9, fraud: false },
    { customer: 'a', day: 1, score: 0.1, fraud: true },
    { customer: 'b', day: 1, score: 0.8, fraud: false },
    { customer: 'c', day: 1, score: 0.7, fraud: true },
    // Day 2: a was found and is left out, so b and c lead.
    { customer: 'a', day: 2, score: 0.99, fraud: true },
    { customer: 'b', day: 2, score: 0.5, fraud: true },
    { customer: 'c', day: 2, score: 0.4, fraud: true },
    { customer: 'd', day: 2, score: 0.3, fraud: true },
  ]
  const cards = {
    scores: rows.map(({ score }) => score),
    frauds: rows.map(({ fraud }) => fraud),
    customers: rows.map(({ customer }) => customer),
    days: rows.map(({ day }) => day),
  }
  assert.equal(cardPrecision(cards, 2), (1 / 2 + 2 / 2) / 2)
})
