import assert from 'node:assert/strict'
import test from 'node:test'
import { pino } from 'pino'
import type { ModelSnapshot, ScorerPool, ScoringChange } from '#scoring'
import { type ModelRecord, ModelSwaps } from './model-swaps.ts'
import { modelCommands } from './operator-commands.ts'

const NOW_MS = Date.parse('2026-11-22T10:00:00Z')

interface Swapped {
  readonly maxAgeDays?: number
  readonly diskIsFull?: () => boolean
  /** Whether the record can't be written, though copies of models can. */
  readonly isUnwritable?: () => boolean
  readonly isEnding?: () => boolean
}

const never = () => false

/** A pool that takes every model but `broken`, and a folder of kept models in memory. */
function createSwaps({ maxAgeDays = 180, ...faults }: Swapped = {}) {
  const { diskIsFull = never, isUnwritable = never, isEnding = never } = faults
  const info = { model: 'first+1', modelCreatedAt: '2026-11-12T10:00:00Z', bands: [] }
  const changes: ScoringChange[] = []
  const written: ModelRecord[] = []
  const kept = new Map<string, ModelSnapshot>()
  let isKeeping = false
  const version = ({ path }: ModelSnapshot) => `${path.replace(/.*\//, '')}+1`
  const pool = {
    info: { ...info, challengers: [] } as unknown as ScorerPool['info'],
    drift: () => undefined,
    change: async (change: ScoringChange) => {
      changes.push(change)
      if (isEnding()) {
        const problem = { kind: 'worker' as const, message: 'the switch is ending' }
        return { ok: false as const, problems: [problem] }
      }
      if (change.model?.path.endsWith('broken')) {
        const problem = { code: 'parity' as const, message: 'parity vector x differs' }
        return { ok: false as const, problems: [{ kind: 'model' as const, problem }] }
      }
      const model = change.model === undefined ? pool.info.model : version(change.model)
      const challengers = change.challengers?.map(version) ?? pool.info.challengers
      pool.info = { ...pool.info, model, challengers }
      return { ok: true as const, info: pool.info }
    },
  }
  const first = { name: 'first', version: 'first+1', key: 'models/first' }
  kept.set(first.key, snapshotAt(first.key))
  const swaps = new ModelSwaps({
    pool,
    read: async (folder) => snapshotAt(folder),
    keeping: {
      keep: async (snapshot) => {
        if (diskIsFull()) throw Object.assign(new Error('no room'), { code: 'ENOSPC' })
        // Equal models are one copy with one draft: two at a time would take it from each other.
        assert.ok(!isKeeping, 'one model is kept after the other')
        isKeeping = true
        await Promise.resolve()
        isKeeping = false
        kept.set(snapshot.path, snapshot)
        return snapshot.path
      },
      read: async (key) => kept.get(key) as ModelSnapshot,
      write: async (changed) => {
        if (isUnwritable()) throw Object.assign(new Error('no record'), { code: 'EISDIR' })
        written.push(changed)
      },
    },
    modelDir: 'models',
    deciding: { model: { name: 'first', snapshot: snapshotAt(first.key) }, challengers: [] },
    configured: { model: 'first', challengers: ['shadow'] },
    record: { chosenSince: null, model: first, challengers: [], before: [] },
    refusedAtStart: [],
    maxAgeDays,
    journal: { log: pino({ level: 'silent' }) },
    clock: { now: () => NOW_MS, monotonic: () => 0 },
  })
  return { swaps, changes, written, kept }
}

function snapshotAt(path: string): ModelSnapshot {
  return { path, revision: 1, files: {} }
}

function whatIsDeciding({ status }: ModelSwaps): readonly (string | null)[] {
  return [status.model, status.previous?.model ?? null, status.chosenSince]
}

const SINCE = '2026-11-22T10:00:00.000Z'

test('another model decides, and a rollback brings back the one before', async () => {
  const { swaps } = createSwaps()
  assert.equal((await swaps.rollback()).status, 409)
  assert.equal((await swaps.use({ model: 'second' })).status, 200)
  assert.equal((await swaps.use({ model: 'third' })).status, 200)
  assert.deepEqual(whatIsDeciding(swaps), ['third', 'second', SINCE])
  assert.equal(swaps.line, `third+1, chosen since ${SINCE}`)
  assert.equal((await swaps.rollback()).status, 200)
  assert.deepEqual(whatIsDeciding(swaps), ['second', 'first', SINCE])
  assert.equal((await swaps.rollback()).status, 200)
  assert.deepEqual(whatIsDeciding(swaps), ['first', null, SINCE])
})

test('what is chosen is durable before the answer; a release goes back to the configured', async () => {
  const { swaps, written } = createSwaps()
  const answer = await swaps.use({ model: 'second', challengers: ['third'] })
  assert.match(JSON.stringify(answer.body), /"chosenSince":"2026/)
  const record = written.at(-1)
  assert.equal(record?.chosenSince, SINCE)
  assert.deepEqual([record?.model?.name, record?.model?.version], ['second', 'second+1'])
  assert.deepEqual(record?.challengers, [
    { name: 'third', version: 'third+1', key: 'models/third' },
  ])
  assert.deepEqual(
    record?.before.map(({ name }) => name),
    ['first'],
  )
  assert.equal((await swaps.release()).status, 200)
  assert.deepEqual(whatIsDeciding(swaps), ['first', 'second', null])
  assert.deepEqual(swaps.status.challengers, ['shadow+1'])
  assert.equal(written.at(-1)?.chosenSince, null)
})

test('a rollback takes what decided then, not what is in its folder now', async () => {
  const { swaps, changes, kept } = createSwaps()
  const then = kept.get('models/first')
  await swaps.use({ model: 'second' })
  await swaps.rollback()
  assert.equal(changes.at(-1)?.model, then)
})

test('a disk that keeps nothing is said, and the same order may be sent again', async () => {
  let isFull = true
  const { swaps, written } = createSwaps({ diskIsFull: () => isFull })
  await assert.rejects(swaps.use({ model: 'second' }), /no room/)
  assert.deepEqual(written.slice(1), [], 'at most what was recorded before')
  assert.deepEqual(whatIsDeciding(swaps), ['first', null, null])
  isFull = false
  assert.equal((await swaps.use({ model: 'second' })).status, 200)
  assert.deepEqual(whatIsDeciding(swaps), ['second', 'first', SINCE])
})

test('an order that is not recorded has changed nothing: a rollback goes one back', async () => {
  let fails = false
  const { swaps, changes } = createSwaps({ isUnwritable: () => fails })
  await swaps.use({ model: 'second', challengers: ['shadow'] })
  fails = true
  await assert.rejects(swaps.use({ model: 'third', challengers: ['other'] }), { code: 'EISDIR' })
  assert.deepEqual(whatIsDeciding(swaps), ['second', 'first', SINCE])
  assert.deepEqual([swaps.status.version, ...swaps.status.challengers], ['second+1', 'shadow+1'])
  await assert.rejects(swaps.use({ challengers: ['other'] }), { code: 'EISDIR' })
  assert.equal(changes.at(-1)?.model, undefined)
  await assert.rejects(swaps.rollback(), { code: 'EISDIR' })
  assert.deepEqual(whatIsDeciding(swaps), ['second', 'first', SINCE])
  fails = false
  assert.equal((await swaps.rollback()).status, 200)
  assert.deepEqual(whatIsDeciding(swaps), ['first', null, SINCE])
})

test('an order that is neither recorded nor undone says so; a rollback goes one back', async () => {
  let fails = false
  let isUndoing = false
  const { swaps } = createSwaps({
    isUnwritable: () => {
      isUndoing = fails
      return fails
    },
    isEnding: () => isUndoing,
  })
  await swaps.use({ model: 'second' })
  fails = true
  const answer = await swaps.use({ model: 'third' })
  assert.equal(answer.status, 503)
  assert.match(JSON.stringify(answer.body), /until a restart.*no record; the switch is ending/)
  assert.deepEqual(whatIsDeciding(swaps), ['third', 'second', SINCE])
  fails = isUndoing = false
  assert.equal((await swaps.rollback()).status, 200)
  assert.deepEqual(whatIsDeciding(swaps), ['second', 'first', SINCE])
})

test('a model that is refused changes nothing and says why', async () => {
  const { swaps, written } = createSwaps()
  const answer = await swaps.use({ model: 'broken' })
  assert.equal(answer.status, 422)
  assert.match(JSON.stringify(answer.body), /parity vector x differs/)
  assert.deepEqual(whatIsDeciding(swaps), ['first', null, null])
  assert.deepEqual(written, [])
})

test('challengers are named without touching the model', async () => {
  const { swaps, changes } = createSwaps()
  assert.equal((await swaps.use({ challengers: ['second', 'third'] })).status, 200)
  assert.equal(changes[0]?.model, undefined)
  assert.deepEqual(
    changes[0]?.challengers?.map(({ path }) => path),
    ['models/second', 'models/third'],
  )
  assert.deepEqual(whatIsDeciding(swaps), ['first', null, SINCE])
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
    { challengers: ['a', 'b', 'a'] },
  ]
  for (const body of bodies) assert.equal((await swaps.use(body)).status, 400, JSON.stringify(body))
  assert.deepEqual(changes, [])
})

test('an order with a field that is not known is refused: a slip changes nothing', async () => {
  const { swaps, changes } = createSwaps()
  const commands = modelCommands(swaps)
  const slips = { use: { model: 'second', chalengers: ['third'] }, rollback: { model: 'second' } }
  for (const [name, body] of Object.entries({ ...slips, release: { by: 'me' } })) {
    const answer = await commands[`/v1/model/${name}`]?.(body)
    assert.equal(answer?.status, 400, name)
  }
  assert.deepEqual(changes, [])
  assert.equal((await commands['/v1/model/use']?.({ model: 'second' }))?.status, 200)
  assert.equal((await commands['/v1/model/rollback']?.(undefined))?.status, 200)
})

test('a model older than the policy says is stale', () => {
  assert.deepEqual(
    [11, 9].map((maxAgeDays) => createSwaps({ maxAgeDays }).swaps.status.isStale),
    [false, true],
  )
  assert.equal(createSwaps().swaps.status.ageDays, 10)
})
