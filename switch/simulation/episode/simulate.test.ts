// The whole switch under faults, on seeds that are always the same and on ones that never are. Any
// of them that fails is run again by `switchyard simulate --seed`.

import assert from 'node:assert/strict'
import test from 'node:test'
import { sealRealWorld } from '../../adapters/sealed-world.ts'
import { readGround } from '../../adapters/simulation-ground.ts'
import { LATE_ANSWER_WINDOW_MS } from './limits.ts'
import { type SimulationReport, simulate } from './simulate.ts'

const ground = await readGround(LATE_ANSWER_WINDOW_MS)

function run(seed: number): Promise<SimulationReport> {
  return simulate({ ground, seed, hours: 0.1, seal: sealRealWorld })
}

function assertKept(report: SimulationReport): void {
  const [failure] = report.failures
  if (failure === undefined) return
  const trace = failure.trace.slice(-60).join('\n')
  assert.fail(`seed ${report.seed}: ${failure.name}: ${failure.message}\n${trace}`)
}

for (const seed of [1, 2]) {
  test(`no promise is broken: seed ${seed}`, async () => {
    assertKept(await run(seed))
  })
}

for (let i = 0; i < 2; i++) {
  test(`no promise is broken: fresh seed ${i}`, async () => {
    assertKept(await run(Math.floor(Math.random() * 2 ** 32)))
  })
}

test('the same seed gives the same run', async () => {
  const [one, other] = [await run(77), await run(77)]
  assert.equal(one.traceHashes.length, 1)
  assert.deepEqual(one, other)
  assert.ok(one.messages > 500 && one.lives > 5, JSON.stringify(one))
})
