// What is due in a database goes: partitions, keys, cards. What is needed stays, and whoever has no
// lease any more changes nothing.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  postgresMissing,
  type RunningPostgres,
  startPostgres,
} from '../../../load-tests/processes/index.ts'
import { openPostgresDatabase } from '../../adapters/postgres-database.ts'
import { createSystemRandom, systemTimers } from '../../adapters/system-clock.ts'
import { IdentifierSource } from '../../ulid.ts'
import {
  sampleAttempt,
  sampleIntent,
  sampleOutcome,
  sampleReversal,
  TEST_KEY_RETENTION_MS,
  TEST_START_MS,
} from '../conformance.ts'
import type { SealedCard, TransactionStore } from '../transaction-store.ts'
import { countSharedCards } from './card-use.ts'
import { migrate } from './migrate.ts'
import { openPostgresStore } from './open-store.ts'
import type { PostgresStoreOptions } from './postgres-store.ts'
import type { UpkeepDone } from './upkeep.ts'

const skip = postgresMissing()
const DAY_MS = 86_400_000
const LIMITS = { partitionsAheadDays: 1, commitDeadlineMs: 20_000, readDeadlineMs: 10_000 }

let server: RunningPostgres
let nowMs = TEST_START_MS
const clock = { now: () => nowMs, monotonic: () => performance.now() }
const ids = new IdentifierSource(clock, createSystemRandom())

before(async () => {
  if (skip === false) server = await startPostgres()
})
after(() => server?.stop())

/** An empty database with tables of the day TEST_START_MS, and what opens stores on it. */
async function newDatabase(name: string) {
  nowMs = TEST_START_MS
  const url = server.createDatabase(name)
  const session = await openPostgresDatabase(url, 'test').connect(5_000)
  assert.ok((await migrate(session, nowMs, 1)).ok)
  await session.close()
  const open = async (changes: Partial<PostgresStoreOptions> = {}) => {
    const done: UpkeepDone[] = []
    const opened = await openPostgresStore({
      database: openPostgresDatabase(url, 'test'),
      ...{ clock, timers: systemTimers, owner: ids.next('switch_'), limits: LIMITS },
      ...{ keyRetentionMs: TEST_KEY_RETENTION_MS, issuers: ['demo-a'] },
      onTended: (what) => done.push(what),
      ...changes,
    })
    assert.ok(opened.ok, opened.ok ? '' : opened.problem.message)
    return { store: opened.store, tend: opened.tend, done }
  }
  const sql = (text: string) => server.sql(text, name)
  return { open, sql, database: openPostgresDatabase(url, 'test') }
}

function claimNow(store: TransactionStore, stan: string, changes = {}) {
  const id = ids.next('auth_')
  const attempt = sampleAttempt({ stan })
  const intent = { cardToken: `tok_${stan}`, createdAtMs: nowMs, attempt, ...changes }
  return store.claim(sampleIntent(id, intent)).then(() => id)
}

const cardOf = async (store: TransactionStore, id: string) =>
  (await store.read(id))?.intent.attempt?.card

test('partitions are made ahead; old keys are forgotten, but no open ones', { skip }, async () => {
  const { open, sql } = await newDatabase('keys')
  const { store, tend } = await open({ limits: { ...LIMITS, partitionsAheadDays: 3 } })
  const recorded = await claimNow(store, '000001')
  const left = await claimNow(store, '000002')
  await store.record(sampleOutcome(recorded))
  nowMs += TEST_KEY_RETENTION_MS + 1
  await tend()
  assert.equal(sql('SELECT transaction_id FROM switchyard.claim'), left)
  const day = new Date(nowMs + 3 * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '')
  assert.equal(sql(`SELECT to_regclass('switchyard.record_${day}') IS NOT NULL`), 't')
  await store.close()
})

test('cards past their retention are erased, records past theirs go with their day', {
  skip,
}, async () => {
  const { open, sql } = await newDatabase('age')
  const retention = { retentionMs: 400 * DAY_MS, panRetentionMs: 180 * DAY_MS }
  const first = await open({ retention })
  const over = await claimNow(first.store, '000001')
  await first.store.addAttempt(over, sampleAttempt({ stan: '000009' }))
  await first.store.record(sampleOutcome(over))
  const waits = await claimNow(first.store, '000002')
  const reversal = sampleReversal(waits, { original: sampleAttempt({ stan: '000002' }) })
  await first.store.record(sampleOutcome(waits, { outcome: 'declined', reversal }))
  await first.store.close()
  const firstDay = new Date(nowMs).toISOString().slice(0, 10).replaceAll('-', '')

  nowMs += 180 * DAY_MS
  const second = await open({ retention })
  const fresh = await claimNow(second.store, '000003')
  await second.store.record(sampleOutcome(fresh))
  await second.tend()
  assert.ok(await cardOf(second.store, over), 'not a day too early')
  nowMs += 2 * DAY_MS
  await second.tend()
  assert.deepEqual(second.done, [
    { kind: 'tended', droppedPartitions: [], erasedCards: 2, resealedCards: 0 },
  ])
  assert.equal(await cardOf(second.store, over), null)
  assert.deepEqual((await second.store.read(over))?.attempts[1]?.card, null)
  assert.equal(await second.store.findCard('demo', 'tok_000001'), undefined)
  // The reversal still needs its card; of what is fresh nothing is due.
  assert.ok(await cardOf(second.store, waits))
  assert.ok((await second.store.pendingDeliveries())[0]?.message.original.card)
  assert.ok(await second.store.findCard('demo', 'tok_000003'))
  const acknowledged = { state: 'acknowledged', sends: 1, lastResponseCode: '00' } as const
  await second.store.updateDelivery(waits, 'authorization', acknowledged)
  await second.tend()
  assert.equal(second.done[1]?.erasedCards, 3)
  const gone = await second.store.read(waits)
  assert.deepEqual(
    [gone?.intent.attempt?.card, gone?.deliveries[0]?.message.original.card],
    [null, null],
  )
  await second.tend()
  assert.equal(second.done.length, 2, 'what was gone through is not read again')

  const isThere = () => sql(`SELECT to_regclass('switchyard.transaction_${firstDay}') IS NOT NULL`)
  const dead = { ...acknowledged, state: 'dead' } as const
  const letter = await claimNow(second.store, '000004')
  const message = sampleReversal(letter, { original: sampleAttempt({ stan: '000004' }) })
  await second.store.record(sampleOutcome(letter, { outcome: 'declined', reversal: message }))
  await second.store.updateDelivery(letter, 'authorization', dead)
  assert.equal(isThere(), 't')
  nowMs += 219 * DAY_MS
  await second.tend()
  assert.equal(isThere(), 'f')
  const dropped: readonly string[] = second.done[2]?.droppedPartitions ?? []
  const daysOfFirst = dropped.filter((name) => name.endsWith(firstDay))
  assert.deepEqual(daysOfFirst.sort(), [
    ...[`delivery_${firstDay}`, `label_${firstDay}`, `record_${firstDay}`],
    ...[`step_${firstDay}`, `transaction_${firstDay}`],
  ])
  assert.equal(await second.store.read(over), undefined)
  assert.ok(await second.store.read(fresh))
  // A day with a dead letter stays as long as that does.
  nowMs += 400 * DAY_MS
  await second.tend()
  assert.equal(await second.store.read(fresh), undefined)
  assert.ok(await second.store.read(letter))
  await second.store.close()
})

test('cards come under the newest key, and a process whose lease is over changes none', {
  skip,
}, async () => {
  const { open, sql, database } = await newDatabase('rotation')
  const before = await open()
  const id = await claimNow(before.store, '000001')
  await before.store.addAttempt(id, sampleAttempt({ stan: '000009' }))
  const reversal = sampleReversal(id, { original: sampleAttempt({ stan: '000009' }) })
  await before.store.record(sampleOutcome(id, { outcome: 'declined', reversal }))
  await before.store.close()
  const opened: number[] = []
  const keys = {
    currentKeyId: 2,
    isRotating: true,
    reseal: (card: SealedCard) => {
      opened.push(card.keyId)
      return { ...card, keyId: 2 }
    },
  }
  const retention = { retentionMs: 400 * DAY_MS, panRetentionMs: 180 * DAY_MS, keys }
  const stopped = await open({ retention })
  const cardsOf = async () => Object.fromEntries((await countSharedCards(database)).cards)
  const allOld = await cardsOf()
  assert.deepEqual(Object.keys(allOld), ['1'])
  sql('UPDATE switchyard.owner SET ended_at = now()')
  await stopped.tend().catch(() => undefined)
  assert.deepEqual(await cardsOf(), allOld, 'nothing is changed without the lease')
  await stopped.store.close().catch(() => undefined)

  opened.length = 0
  const next = await open({ retention })
  await next.tend()
  assert.deepEqual(await cardsOf(), { 2: allOld[1] })
  assert.deepEqual(
    next.done.map(({ resealedCards }) => resealedCards),
    [allOld[1]],
  )
  const { attempts = [], deliveries = [] } = (await next.store.read(id)) ?? {}
  const keyIds = [...attempts, ...deliveries.map(({ message }) => message.original)]
  assert.deepEqual(new Set(keyIds.map(({ card }) => card?.keyId)), new Set([2]))
  const readOnce = opened.length
  await next.tend()
  assert.equal(opened.length, readOnce, 'once in a process')
  assert.equal((await countSharedCards(database)).runningProcesses, 1)
  await next.store.close()
  assert.equal((await countSharedCards(database)).runningProcesses, 0)
})
