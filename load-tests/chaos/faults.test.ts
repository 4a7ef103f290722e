import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { FAULT_NAMES, FAULTS, faultsFor, planFaults } from './faults.ts'

const three_minutes = { durationMs: 180_000, leaseMs: 3_000 }

test('the same seed plans the same, another seed another', () => {
  const plan = (seed: number) => planFaults({ seed, faults: FAULT_NAMES, ...three_minutes })
  assert.deepEqual(plan(7), plan(7))
  assert.notDeepEqual(plan(7), plan(8))
})

test('whatever the seed: all that was wanted comes, in order, within the run', () => {
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom('embedded', 'postgres'), (seed, store) => {
      const faults = faultsFor(store as 'embedded' | 'postgres', FAULT_NAMES)
      const plan = planFaults({ seed, faults, ...three_minutes })
      assert.deepEqual(new Set(plan.map(({ fault }) => fault)), new Set(faults))
      let beforeMs = 0
      for (const { atMs, forMs, draw } of plan) {
        assert.ok(atMs >= beforeMs && forMs > 0 && draw >= 0 && draw < 1)
        assert.ok(atMs + forMs < three_minutes.durationMs)
        beforeMs = atMs
      }
    }),
    { numRuns: 50 },
  )
})

test('a stop past the lease is longer than the lease; a run without time has no faults', () => {
  const faults = ['stop-switch-past-lease'] as const
  for (const { forMs } of planFaults({ seed: 1, faults, ...three_minutes })) {
    assert.ok(forMs > three_minutes.leaseMs)
  }
  assert.deepEqual(planFaults({ seed: 1, faults, durationMs: 3_000, leaseMs: 3_000 }), [])
  assert.deepEqual(planFaults({ seed: 1, faults: [], ...three_minutes }), [])
})

test('each store has the faults of its parts only', () => {
  const embedded = faultsFor('embedded', FAULT_NAMES)
  assert.ok(embedded.includes('full-disk') && !embedded.includes('kill-postgres'))
  const postgres = faultsFor('postgres', FAULT_NAMES)
  assert.ok(!postgres.includes('full-disk') && postgres.includes('stop-switch-past-lease'))
  assert.deepEqual(faultsFor('embedded', ['kill-postgres']), [])
  for (const name of FAULT_NAMES) assert.ok(FAULTS[name].says.length > 10)
})
