import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_FRAUDS, type ComparedPayment, compareModels } from './compare-models.ts'
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

test('equal models are told apart in less than one of twenty runs, however often one looks', () => {
  let wrong = 0
  const runs = 200
  for (let seed = 0; seed < runs; seed++) {
    // The verdict is the first that any look would have given.
    if (compareModels(payments(seed, 40, 0.6, 0.6)).verdict !== 'undecided') wrong++
  }
  assert.ok(wrong <= 0.05 * runs, `${wrong} of ${runs}`)
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
