import assert from 'node:assert/strict'
import test from 'node:test'
import { shrink } from './shrink.ts'

const numbers = Array.from({ length: 200 }, (_, i) => i)

test('what fails by two entries together is shortened to these two', async () => {
  const fails = async (part: readonly number[]) => part.includes(17) && part.includes(180)
  const { entries, runs } = await shrink(numbers, fails)
  assert.deepEqual(entries, [17, 180])
  assert.ok(runs < 100, `${runs} runs`)
})

test('the search stops when its runs are used up, and what it has still fails', async () => {
  const fails = async (part: readonly number[]) => part.filter((n) => n % 20 === 0).length === 10
  const { entries, runs } = await shrink(numbers, fails, 10)
  assert.equal(runs, 10)
  assert.equal(await fails(entries), true)
})
