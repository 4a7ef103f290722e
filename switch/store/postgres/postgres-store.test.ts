// The conformance suite on a real PostgreSQL, and what only a store of many processes can show.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  postgresMissing,
  type RunningPostgres,
  startPostgres,
} from '../../../load-tests/processes/index.ts'
import { openPostgresDatabase } from '../../adapters/postgres-database.ts'
import { systemTimers } from '../../adapters/system-clock.ts'
import {
  type StoreWorld,
  sampleIntent,
  sampleOutcome,
  sampleReversal,
  TEST_KEY_RETENTION_MS,
  TEST_START_MS,
  testTransactionStore,
} from '../conformance.ts'
import type { TransactionStore } from '../transaction-store.ts'
import type { DatabaseSession } from './database.ts'
import { exportDatabase } from './export.ts'
import { migrate } from './migrate.ts'
import { openPostgresStore } from './open-store.ts'
import type { PostgresStoreOptions } from './postgres-store.ts'

const missing = postgresMissing()
let server: RunningPostgres
/** For what a test looks at, or clears, beside the store. */
let direct: DatabaseSession

if (missing === false) {
  before(async () => {
    server = await startPostgres()
    direct = await openPostgresDatabase(server.url, 'test').connect(5_000)
    const migrated = await migrate(direct, TEST_START_MS, 1)
    assert.ok(migrated.ok)
  })
  after(async () => {
    await direct?.close()
    await server?.stop()
  })
  testTransactionStore('PostgreSQL', openWorld)
} else {
  test('transaction store: PostgreSQL', { skip: missing }, () => {})
}

test('the export gives every transaction as its records, without card ciphertext', {
  skip: missing,
}, async () => {
  await empty()
  const store = await openAt(server.url, {})
  const ids = ['auth_01KASAMPLE0000000000000001', 'auth_01KASAMPLE0000000000000002']
  const [first, second] = ids as [string, string]
  await store.claim(sampleIntent(first, { idempotencyKey: 'one' }))
  await store.claim(sampleIntent(second, { idempotencyKey: 'two' }))
  await store.record({ ...sampleOutcome(first), reversal: sampleReversal(first) })
  const change = { state: 'acknowledged', sends: 2, lastResponseCode: '00' } as const
  await store.updateDelivery(first, 'authorization', change)
  await store.close()
  const lines: string[] = []
  await exportDatabase(openPostgresDatabase(server.url, 'test'), (record) => {
    lines.push(JSON.stringify(record))
    return undefined
  })
  const records = lines.map((line) => JSON.parse(line))
  const kinds = records.map(({ kind }) => kind)
  assert.deepEqual(kinds, ['claim', 'outcome', 'queued', 'delivery', 'claim'])
  assert.equal(records[0].intent.id, first)
  assert.deepEqual(records[0].intent.attempt.card, { keyId: 1 })
  assert.equal(records[1].outcome.reversal.step, 'authorization')
  assert.deepEqual(records[3], {
    kind: 'delivery',
    transactionId: first,
    step: 'authorization',
    ...change,
  })
  assert.equal(records[4].intent.id, second)
})

async function openWorld(): Promise<StoreWorld> {
  await empty()
  const { url } = server
  let nowMs = TEST_START_MS
  let starts = 0
  const stores: TransactionStore[] = []
  const open = async () => {
    const clock = { now: () => nowMs, monotonic: () => performance.now() }
    const store = await openAt(url, { clock, owner: `owner-${++starts}` })
    stores.push(store)
    return store
  }
  const store = await open()
  return {
    store,
    advance: (durationMs) => {
      nowMs += durationMs
    },
    async reopen() {
      await stores.at(-1)?.close()
      return open()
    },
    end: async () => {
      await stores.at(-1)?.close()
    },
  }
}

const TABLES = [
  ...['owner', 'lane', 'trace_mark', 'claim', 'open_claim', 'stand_in'],
  ...['transaction', 'record', 'step', 'delivery', 'label'],
]

/** Another database for each test would cost more than the tests. */
function empty(): Promise<void> {
  return direct.script(TABLES.map((table) => `DELETE FROM switchyard.${table};`).join(' '))
}

async function openAt(url: string, changes: Partial<PostgresStoreOptions>) {
  const opened = await openPostgresStore({
    database: openPostgresDatabase(url, 'test'),
    clock: { now: () => TEST_START_MS, monotonic: () => performance.now() },
    timers: systemTimers,
    owner: 'owner',
    keyRetentionMs: TEST_KEY_RETENTION_MS,
    issuers: ['demo-a', 'demo-b'],
    ...changes,
    limits: { partitionsAheadDays: 1, ...changes.limits },
  })
  if (!opened.ok) throw new Error(opened.problem.message)
  return opened.store
}
