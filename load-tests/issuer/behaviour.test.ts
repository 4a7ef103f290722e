import assert from 'node:assert/strict'
import test from 'node:test'
import { seededRandom } from '../random.ts'
import {
  type Behaviour,
  changeBehaviour,
  drawFate,
  noFault,
  responseCodeFor,
  staysSilent,
  wellBehaved,
} from './behaviour.ts'

function behave(change: Partial<Behaviour>): Behaviour {
  const result = changeBehaviour(wellBehaved, change)
  assert.ok(result.ok)
  return result.behaviour
}

test('approve approves, decline declines, cents says the cents', () => {
  assert.equal(responseCodeFor(wellBehaved, 2551), '00')
  assert.equal(responseCodeFor(behave({ answers: 'decline' }), 2500), '05')
  const cents = behave({ answers: 'cents' })
  assert.equal(responseCodeFor(cents, 2551), '51')
  assert.equal(responseCodeFor(cents, 2505), '05')
  assert.equal(responseCodeFor(cents, 2500), '00')
  assert.equal(responseCodeFor(cents, 0), '00')
})

test('68 cents is approved and never answered', () => {
  const cents = behave({ answers: 'cents' })
  assert.equal(responseCodeFor(cents, 2568), '00')
  assert.equal(staysSilent(cents, 2568), true)
  assert.equal(staysSilent(cents, 6800), false)
  assert.equal(staysSilent(wellBehaved, 2568), false)
})

const wrong: readonly (readonly [unknown, RegExp])[] = [
  [null, /object/],
  [[], /object/],
  [{ silentPercentage: 1 }, /unknown behaviour "silentPercentage"; known: .*silentPercent/],
  [{ silentPercent: 101 }, /silentPercent is a number from 0 to 100/],
  [{ delayMs: -1 }, /delayMs is a number/],
  [{ delayMs: '1' }, /delayMs is a number/],
  [{ answers: 'maybe' }, /answers is one of approve, cents, decline/],
  [{ faultyReversals: 1 }, /true or false/],
]

for (const [change, message] of wrong) {
  test(`refuses ${JSON.stringify(change)}`, () => {
    const result = changeBehaviour(wellBehaved, change)
    assert.ok(!result.ok)
    assert.match(result.message, message)
  })
}

test('a well-behaved issuer has no faults', () => {
  assert.equal(drawFate(wellBehaved, false, Math.random), noFault)
})

test('faults come about as often as asked, and the seed repeats them', () => {
  const behaviour = behave({
    silentPercent: 20,
    duplicatePercent: 50,
    latePercent: 10,
    lateMs: 900,
  })
  const draw = () => {
    const random = seededRandom(3)
    return Array.from({ length: 4_000 }, () => drawFate(behaviour, false, random))
  }
  const fates = draw()
  const share = (count: number) => count / fates.length
  assert.ok(Math.abs(share(fates.filter((it) => it.silent).length) - 0.2) < 0.03)
  assert.ok(Math.abs(share(fates.filter((it) => it.copies === 2).length) - 0.5) < 0.04)
  assert.ok(Math.abs(share(fates.filter((it) => it.delayMs === 900).length) - 0.1) < 0.02)
  assert.deepEqual(draw(), fates)
})

test('reversals are spared unless faultyReversals', () => {
  const all = { silentPercent: 100, losePercent: 100, dropPercent: 100 }
  const spared = drawFate(behave(all), true, Math.random)
  assert.deepEqual([spared.silent, spared.lost, spared.drop], [false, false, false])
  const hit = drawFate(behave({ ...all, faultyReversals: true }), true, Math.random)
  assert.deepEqual([hit.silent, hit.lost, hit.drop], [true, true, true])
})
