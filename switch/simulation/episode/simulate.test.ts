// The whole switch under faults, on seeds that are always the same and on ones that never are. Any
// of them that fails is run again by `switchyard simulate --seed`.

import assert from 'node:assert/strict'
import test from 'node:test'
import { sealRealWorld } from '../../adapters/sealed-world.ts'
import { readGround } from '../../adapters/simulation-ground.ts'
import { LATE_ANSWER_WINDOW_MS } from './limits.ts'
import { MESSAGE_FAULTS, TROUBLES } from './plan.ts'
import { ELSEWHERE, portCallSites } from './port-call-sites.ts'
import { type SimulationReport, simulate } from './simulate.ts'

const ground = await readGround(LATE_ANSWER_WINDOW_MS)

/** All that the seed may do to the switch, its issuers, acquirers, lines, disk and clock. */
const FAULTS = [
  ...MESSAGE_FAULTS,
  ...TROUBLES,
  'process_killed',
  'power_cut',
  'acquirer_asks_again',
  'acquirer_sends_twice',
  'acquirer_gives_up',
  'reversal_before_original',
]

function run(seed: number): Promise<SimulationReport> {
  return simulate({ ground, seed, hours: 0.1, seal: sealRealWorld })
}

function assertKept(report: SimulationReport): void {
  const [failure] = report.failures
  if (failure === undefined) return
  const trace = failure.trace.slice(-60).join('\n')
  assert.fail(`seed ${report.seed}: ${failure.name}: ${failure.message}\n${trace}`)
}

for (const seed of [1]) {
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

test('port calls are found in the code, and a sweep ends lives at many of them', async () => {
  const text = [
    '// clock.now() in prose',
    'const atMs = world.clock.now()',
    'timers.set(1, go)',
  ].join('\n')
  assert.deepEqual(portCallSites([{ path: 'switch/claim.ts', text }]), [
    'clock.now switch/claim.ts:2',
    'timers.fire event loop',
    'timers.set switch/claim.ts:3',
  ])
  assert.deepEqual(portCallSites([{ path: 'switch/store/postgres/lease.ts', text }]), [
    'timers.fire event loop',
  ])
  const known = new Set(ground.callSites)
  assert.ok(known.size > 150, `${known.size} port calls`)
  const report = await simulate({ ground, seed: 3, hours: 1, episode: 7, seal: sealRealWorld })
  assertKept(report)
  const ended = Object.keys(report.crashSites)
  // What stands in for the model and for velocity sets timers of its own. What the workload does
  // not go through is not asked for, and its start may be reached all the same.
  const isElsewhere = (site: string) =>
    ELSEWHERE.some(([pattern]) => pattern.test(site.slice(site.indexOf(' ') + 1)))
  const strange = ended.filter(
    (site) => !site.startsWith('timers.set') && !known.has(site) && !isElsewhere(site),
  )
  assert.deepEqual(strange, [], 'calls that the list lacks')
  assert.ok(ended.length >= 20, `only ${ended.length} port calls ended a life`)
})

test('the default run reaches every kind of fault', async () => {
  const report = await simulate({ ground, seed: 2026, hours: 1, seal: sealRealWorld })
  assertKept(report)
  const counted = new Set(Object.keys(report.faults))
  const missing = FAULTS.filter((kind) => !counted.has(kind))
  assert.deepEqual(missing, [], `of ${report.episodes} episodes`)
  for (const kind of ['steps_over_iso', 'advices_taken', 'stood_in', 'compactions']) {
    assert.ok((report.work[kind] ?? 0) > 0, `no ${kind}`)
  }
})
