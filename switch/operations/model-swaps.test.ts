import assert from 'node:assert/strict'
import test from 'node:test'
import { pino } from 'pino'
import type { ScorerPool, ScoringChange } from '#scoring'
import { ModelSwaps } from './model-swaps.ts'

const NOW_MS = Date.parse('2026-11-22T10:00:00Z')

/** A pool that takes every model but `broken`. */
function createSwaps(maxAgeDays = 180) {
  const info = { model: 'first+1', modelCreatedAt: '2026-11-12T10:00:00Z', bands: [] }
  const changes: ScoringChange[] = []
  const pool = {
    info: { ...info, challengers: [] } as unknown as ScorerPool['info'],
    drift: () => undefined,
    change: async (change: ScoringChange) => {
      changes.push(change)
      if (change.model?.path.endsWith('broken')) {
        const problem = { code: 'parity' as const, message: 'parity vector x differs' }
        return { ok: false as const, problems: [{ kind: 'model' as const, problem }] }
      }
      const model = change.model === undefined ? pool.info.model : `${change.model.path}+1`
      pool.info = { ...pool.info, model }
      return { ok: true as const, info: pool.info }
    },
  }
  const swaps = new ModelSwaps({
    pool,
    read: async (folder) => ({ path: folder, revision: 1, files: {} }),
    modelDir: 'models',
    model: 'first',
    challengers: [],
    maxAgeDays,
    journal: { log: pino({ level: 'silent' }) },
    clock: { now: () => NOW_MS, monotonic: () => 0 },
  })
  return { swaps, changes }
}

test('another model decides, and a rollback brings back the one before', async () => {
  const { swaps } = createSwaps()
  assert.equal((await swaps.rollback()).status, 409)
  assert.equal((await swaps.use({ model: 'second' })).status, 200)
  assert.equal((await swaps.use({ model: 'third' })).status, 200)
  assert.deepEqual([swaps.status().model, swaps.status().previous], ['third', 'second'])
  assert.equal((await swaps.rollback()).status, 200)
  assert.deepEqual([swaps.status().model, swaps.status().previous], ['second', 'first'])
  assert.equal((await swaps.rollback()).status, 200)
  assert.deepEqual([swaps.status().model, swaps.status().previous], ['first', null])
})

test('a model that is refused changes nothing and says why', async () => {
  const { swaps } = createSwaps()
  const answer = await swaps.use({ model: 'broken' })
  assert.equal(answer.status, 422)
  assert.match(JSON.stringify(answer.body), /parity vector x differs/)
  assert.deepEqual([swaps.status().model, swaps.status().previous], ['first', null])
})

test('challengers are named without touching the model', async () => {
  const { swaps, changes } = createSwaps()
  assert.equal((await swaps.use({ challengers: ['second', 'third'] })).status, 200)
  assert.equal(changes[0]?.model, undefined)
  assert.deepEqual(
    changes[0]?.challengers?.map(({ path }) => path),
    ['models/second', 'models/third'],
  )
  assert.equal(swaps.status().previous, null)
})

test('what names no model is refused before anything is read', async () => {
  const { swaps, changes } = createSwaps()
  const bodies = [
    undefined,
    {},
    { model: '../keys' },
    { model: 7 },
    { model: '' },
    { challengers: 'second' },
    { challengers: ['a', '../b'] },
    { challengers: ['a', 'b', 'c', 'd', 'e'] },
  ]
  for (const body of bodies) assert.equal((await swaps.use(body)).status, 400, JSON.stringify(body))
  assert.deepEqual(changes, [])
})

test('a model older than the policy says is stale', () => {
  assert.deepEqual(
    [createSwaps(11).swaps.status().isStale, createSwaps(9).swaps.status().isStale],
    [false, true],
  )
  assert.equal(createSwaps().swaps.status().ageDays, 10)
})
