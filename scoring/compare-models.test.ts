import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PastPayment } from './backtest/index.ts'
import {
  BLOCK_FRAUDS,
  type ComparedPayment,
  compareModels,
  gatherCompared,
} from './compare-models.ts'
import { createRandom } from './training/index.ts'

/** Scores are the truth under noise: less noise is a better model. */
function payments(
  seed: number,
  blocks: number,
  championNoise: number,
  challengerNoise: number,
): readonly ComparedPayment[] {
  const random = createRandom(seed)
  return Array.from({ length: blocks * BLOCK_FRAUDS * 10 }, (_, i) => {
    const isFraud = i % 10 === 9
    const truth = isFraud ? 1 : 0
    return {
      champion: truth + championNoise * random.normal(),
      challenger: truth + challengerNoise * random.normal(),
      isFraud,
    }
  })
}

/** Which model is the good one is drawn anew for each block: no better on average, far apart. */
function swapped(seed: number, blocks: number): readonly ComparedPayment[] {
  const random = createRandom(1_000 + seed)
  const perBlock = BLOCK_FRAUDS * 10
  let isSwapped = false
  return payments(seed, blocks, 0.4, 0.9).map((payment, i) => {
    if (i % perBlock === 0) isSwapped = random.chance(0.5)
    const { champion, challenger, isFraud } = payment
    return isSwapped ? { champion: challenger, challenger: champion, isFraud } : payment
  })
}

test('equal models are told apart in less than one of twenty runs, however often one looks', () => {
  const runs = 150
  for (const play of [(seed: number) => payments(seed, 30, 0.6, 0.6), swapped]) {
    let wrong = 0
    for (let seed = 0; seed < runs; seed++) {
      // The verdict is the first that any look would have given.
      if (compareModels(play(seed, 30)).verdict !== 'undecided') wrong++
    }
    assert.ok(wrong <= 0.05 * runs, `${wrong} of ${runs}`)
  }
})

test('a better challenger is believed within some blocks, a worse one is told, too', () => {
  for (let seed = 0; seed < 10; seed++) {
    const better = compareModels(payments(seed, 40, 0.8, 0.5))
    assert.equal(better.verdict, 'challenger_better')
    assert.ok(better.challengerPrecision > better.championPrecision)
    assert.ok(better.evidenceForChallenger > better.evidenceNeeded)
    assert.equal(compareModels(payments(seed, 40, 0.5, 0.8)).verdict, 'champion_better')
  }
})

test('too few frauds say nothing yet', () => {
  const few = payments(1, 1, 0.8, 0.1).slice(0, -1)
  const compared = compareModels(few)
  assert.deepEqual(
    [compared.verdict, compared.blocks, compared.payments, compared.frauds],
    ['undecided', 0, 0, 0],
  )
  assert.ok(Number.isNaN(compared.championPrecision))
  assert.equal(compareModels([]).blocks, 0)
})

test('one block alone never decides: the first stake is nothing', () => {
  const { verdict, blocks, evidenceForChallenger } = compareModels(payments(2, 1, 5, 0.01))
  assert.deepEqual([verdict, blocks, evidenceForChallenger], ['undecided', 1, 1])
})

const DAY_MS = 86_400_000
const DELAY_DAYS = 30

/** A stored payment a day; every third is a fraud, whose label comes after some of the days. */
function pastPayment(day: number, changes: { champion?: string; labelDays?: number } = {}) {
  const isFraud = day % 3 === 0
  const { champion = 'now+1', labelDays = day % 40 } = changes
  const decision = {
    score: 0.5,
    model: champion,
    challengers: [{ model: 'new+2', score: day / 1e3 }],
  }
  const label = { kind: 'chargeback', knownAtMs: (day + labelDays) * DAY_MS }
  return {
    request: { arrivedAtMs: day * DAY_MS },
    outcome: 'approved',
    decision,
    label: isFraud ? label : undefined,
  } as unknown as PastPayment
}

async function gathered(past: readonly PastPayment[], asOfDay: number, challenger?: string) {
  async function* chunks() {
    for (let from = 0; from < past.length; from += 7) yield past.slice(from, from + 7)
  }
  const options = { challenger, asOfMs: asOfDay * DAY_MS, labelDelayMs: DELAY_DAYS * DAY_MS }
  return gatherCompared(chunks(), options)
}

async function rowsOf(past: readonly PastPayment[], asOfDay: number) {
  const found = await gathered(past, asOfDay)
  assert.ok(found.ok)
  return found.payments
}

test('a later look sees what an earlier one saw, unchanged, and more behind it', async () => {
  const past = Array.from({ length: 200 }, (_, day) => pastPayment(day))
  let before: readonly ComparedPayment[] = []
  for (let day = 0; day <= 240; day += 10) {
    // What nobody had labelled by that day has no label yet.
    const known = past.map((each) =>
      (each.label?.knownAtMs ?? 0) > day * DAY_MS ? { ...each, label: undefined } : each,
    )
    const rows = await rowsOf(known, day)
    assert.deepEqual(rows.slice(0, before.length), before)
    assert.equal(rows.length, Math.max(0, Math.min(past.length, day - DELAY_DAYS + 1)))
    before = rows
  }
  const late = (row: number) => row % 3 === 0 && row % 40 > DELAY_DAYS
  assert.ok(before.every(({ isFraud }, row) => isFraud === (row % 3 === 0 && !late(row))))
})

test('a comparison is of one pair: another champion begins anew, several challengers are named', async () => {
  const early = [1, 2, 3].map((day) => pastPayment(day, { champion: 'old+0' }))
  const late = [4, 5].map((day) => pastPayment(day))
  const found = await gathered([...early, ...late], 400)
  assert.ok(found.ok)
  assert.deepEqual([found.champion, found.challenger, found.payments.length], ['now+1', 'new+2', 2])

  const other = {
    ...late[0],
    decision: { ...late[0]?.decision, challengers: [{ model: 'x+1', score: 1 }] },
  }
  const several = await gathered([...late, other as PastPayment], 400)
  assert.deepEqual(several, { ok: false, challengers: ['new+2', 'x+1'] })
  const named = await gathered([...late, other as PastPayment], 400, 'x+1')
  assert.ok(named.ok && named.payments.length === 1)
})

test('what was declined, or not scored by both, is left out', async () => {
  const [payment] = [pastPayment(1)]
  assert.ok(payment?.decision)
  const { decision } = payment
  const left: PastPayment[] = [
    { ...payment, outcome: 'declined' },
    { ...payment, outcome: 'challenged' },
    { ...payment, decision: undefined },
    { ...payment, decision: { ...decision, score: null } },
    { ...payment, decision: { ...decision, challengers: [{ model: 'new+2', score: null }] } },
  ]
  assert.equal((await rowsOf(left, 400)).length, 0)
  assert.equal((await rowsOf([...left, payment], 400)).length, 1)
})
