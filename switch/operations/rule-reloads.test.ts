import assert from 'node:assert/strict'
import test from 'node:test'
import pino from 'pino'
import type { RuleBundle } from '#rules'
import type { ScorerPoolInfo } from '#scoring'
import type { PinnedSet, RuleEvent } from './rule-history.ts'
import { type CheckedRules, type RuleRecord, RuleReloads } from './rule-reloads.ts'

/** A pool of one set, a record in memory, and a trial whose answer each test decides. */
function setUp(pinned: PinnedSet | null = null) {
  const state = {
    live: 'first',
    pinned,
    history: [] as RuleEvent[],
    isFull: false,
    next: 'second',
    isRefused: false,
  }
  const mustHaveRoom = () => {
    if (state.isFull) throw new Error('ENOSPC: no space left on device')
  }
  const record: RuleRecord = {
    async append(event) {
      mustHaveRoom()
      state.history.push(event)
    },
    history: async () => state.history,
    async pin(set) {
      mustHaveRoom()
      state.pinned = set
    },
    async unpin() {
      mustHaveRoom()
      state.pinned = null
    },
  }
  const info = () => ({ ruleSet: state.live, rules: 1 }) as ScorerPoolInfo
  const counted: string[] = []
  const reloads = new RuleReloads({
    pool: {
      get info() {
        return info()
      },
      async change({ rules }) {
        if (state.isRefused) {
          return { ok: false, problems: [{ kind: 'worker', message: 'it did not answer' }] }
        }
        state.live = rules?.hash ?? state.live
        return { ok: true, info: info() }
      },
    },
    checker: {
      check: async ({ kept }): Promise<CheckedRules> => ({
        ok: true,
        bundle: { hash: kept ?? state.next } as RuleBundle,
        rules: 1,
        changes: null,
      }),
    },
    record,
    journal: {
      log: pino({ level: 'silent' }),
      rulesReloaded: (result) => counted.push(result),
    },
    clock: { now: () => 1_800_000_000_000, monotonic: () => 0 },
    rulesDir: 'rules',
    pinned,
    atStart: null,
  })
  return { state, reloads, counted }
}

const pin: PinnedSet = { hash: 'first', by: 'an analyst', since: '2026-11-22T10:00:00.000Z' }

test('a set is taken once; the same again is unchanged', async () => {
  const { state, reloads, counted } = setUp()
  assert.equal((await reloads.reload('file')).result, 'taken')
  assert.equal((await reloads.reload('file')).result, 'unchanged')
  assert.deepEqual(counted, ['taken', 'unchanged'])
  assert.deepEqual(
    state.history.map(({ result, hash, before }) => [result, hash, before]),
    [['taken', 'second', 'first']],
  )
  assert.equal(reloads.status.hash, 'second')
})

test('a set that the workers refuse leaves the old one, and the history says so', async () => {
  const { state, reloads } = setUp()
  state.isRefused = true
  const report = await reloads.reload('file')
  assert.ok(report.result === 'refused')
  assert.equal(report.hash, 'first')
  assert.match(report.problems[0]?.message ?? '', /did not answer/)
  assert.deepEqual(
    state.history.map(({ result }) => result),
    ['refused'],
  )
})

test('what decides is what is reported, though the disk has no room for the history', async () => {
  const { state, reloads, counted } = setUp()
  state.isFull = true
  const report = await reloads.reload('file')
  assert.equal(report.result, 'taken')
  assert.equal(report.hash, state.live)
  assert.deepEqual(counted, ['taken'])
})

test('a pin keeps the files out until it is released', async () => {
  const { state, reloads } = setUp()
  await reloads.reload('file')
  const back = await reloads.rollBack('an analyst', 'first')
  assert.equal(back.result, 'taken')
  assert.deepEqual([state.live, state.pinned?.hash], ['first', 'first'])
  const kept = await reloads.reload('file')
  assert.ok(kept.result === 'refused' && kept.problems[0]?.code === 'pinned')
  const released = await reloads.release('an analyst')
  assert.deepEqual([released.result, state.live, state.pinned], ['taken', 'second', null])
  assert.equal(reloads.status.pinned, null)
})

test('a release that cannot be recorded, or is refused, leaves set and pin', async () => {
  for (const trouble of ['isFull', 'isRefused'] as const) {
    const { state, reloads } = setUp(pin)
    state[trouble] = true
    const report = await reloads.release('an analyst')
    assert.equal(report.result, 'refused', trouble)
    assert.deepEqual([report.hash, state.live, state.pinned], ['first', 'first', pin])
    assert.deepEqual(reloads.status.pinned, pin)
  }
})
