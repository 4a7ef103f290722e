// What breaks between a process and its database: the connection in a batch, the server, the lease.
// Nothing may be lost, nothing doubled, and what is refused writes nothing.

import assert from 'node:assert/strict'
import { createServer, connect as dial, type Server, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import {
  postgresMissing,
  type RunningPostgres,
  startPostgres,
} from '../../../load-tests/processes/index.ts'
import { openPostgresDatabase } from '../../adapters/postgres-database.ts'
import { systemTimers } from '../../adapters/system-clock.ts'
import {
  sampleAttempt,
  sampleIntent,
  sampleOutcome,
  sampleReversal,
  TEST_KEY_RETENTION_MS,
  TEST_START_MS,
} from '../conformance.ts'
import { StoreFault, type TransactionStore } from '../transaction-store.ts'
import type { Database, DatabaseSession, Statement } from './database.ts'
import { TRACE_SLOTS } from './limits.ts'
import { migrate } from './migrate.ts'
import { MIGRATIONS, SCHEMA_VERSION } from './migrations.ts'
import { openPostgresStore } from './open-store.ts'
import type { PostgresStoreOptions } from './postgres-store.ts'

const skip = postgresMissing()
let server: RunningPostgres
let direct: DatabaseSession
let owners = 0

before(async () => {
  if (skip !== false) return
  server = await startPostgres()
  direct = await connectDirectly()
  assert.ok((await migrate(direct, TEST_START_MS, 1)).ok)
})
after(async () => {
  direct?.destroy()
  await server?.stop()
})

function connectDirectly(url = server.url): Promise<DatabaseSession> {
  return openPostgresDatabase(url, 'test').connect(5_000)
}

/** Patient: what is asked is what is decided, not how fast. */
const LIMITS = { partitionsAheadDays: 1, commitDeadlineMs: 20_000, readDeadlineMs: 10_000 }

function tryOpen(changes: Partial<PostgresStoreOptions> = {}) {
  return openPostgresStore({
    database: openPostgresDatabase(server.url, 'test'),
    clock: { now: () => TEST_START_MS, monotonic: () => performance.now() },
    timers: systemTimers,
    owner: `owner-${++owners}`,
    keyRetentionMs: TEST_KEY_RETENTION_MS,
    issuers: ['demo-a', 'demo-b'],
    ...changes,
    limits: { ...LIMITS, ...changes.limits },
  })
}

async function open(changes?: Partial<PostgresStoreOptions>): Promise<TransactionStore> {
  const opened = await tryOpen(changes)
  assert.ok(opened.ok, opened.ok ? '' : opened.problem.message)
  return opened.store
}

/** A database whose batches lose their connection: before they are sent, or before they answer. */
function losing(fates: ('before' | 'after' | 'kept')[]): Database {
  const database = openPostgresDatabase(server.url, 'test')
  return {
    ...database,
    async connect(timeoutMs) {
      const session = await database.connect(timeoutMs)
      const query = async (statement: Statement, values: readonly unknown[]) => {
        const isBatch = statement.name.startsWith('commit_batch')
        const fate = isBatch ? (fates.shift() ?? 'kept') : 'kept'
        if (fate === 'before') session.destroy()
        if (fate !== 'after') return session.query(statement, values)
        await session.query(statement, values)
        session.destroy()
        return session.query(statement, values)
      }
      return {
        query,
        script: (sql) => session.script(sql),
        get isOpen() {
          return session.isOpen
        },
        destroy: () => session.destroy(),
        close: () => session.close(),
      }
    },
  }
}

async function countOf(table: string, id: string): Promise<number> {
  const text = `SELECT count(*)::int AS n FROM switchyard.${table} WHERE transaction_id = $1`
  const [row] = await direct.query({ name: `count ${table}`, text }, [id])
  return Number(row?.n)
}

test('a connection lost in a batch is looked up: nothing twice, nothing lost', {
  skip,
}, async () => {
  const fates = (['after', 'before', 'after', 'after', 'kept'] as const).flatMap((fate) => [fate])
  const store = await open({ database: losing(fates) })
  assert.deepEqual(await store.claim(sampleIntent('auth_1')), { kind: 'claimed' })
  const outcome = sampleOutcome('auth_1', {
    outcome: 'declined',
    reversal: sampleReversal('auth_1'),
  })
  assert.deepEqual(await store.record(outcome), outcome)
  const again = sampleIntent('auth_2', { idempotencyKey: 'key of auth_1' })
  assert.equal((await store.claim(again)).kind, 'existing')
  assert.equal(await store.queue(sampleReversal('auth_1')), false)
  for (const table of ['transaction', 'record', 'delivery']) {
    assert.equal(await countOf(table, 'auth_1'), 1, table)
  }
  assert.equal(store.status.writable, true)
  await store.close()
})

test('connections cut at any byte by a proxy: every promise holds', { skip }, async () => {
  const proxy = await startProxy(server.port)
  const url = server.url.replace(`:${server.port}/`, `:${proxy.port}/`)
  const store = await open({ database: openPostgresDatabase(url, 'test') })
  const cutting = setInterval(() => proxy.cut(), 40)
  const ids = Array.from({ length: 150 }, (_, i) => `auth_p${i}`)
  await Promise.all(
    ids.map(async (id, i) => {
      await new Promise((resolve) => setTimeout(resolve, i * 5))
      assert.deepEqual(await store.claim(sampleIntent(id)), { kind: 'claimed' })
      assert.equal((await store.record(sampleOutcome(id))).outcome, 'approved')
    }),
  )
  clearInterval(cutting)
  assert.ok(proxy.cuts > 3, `${proxy.cuts} cuts`)
  for (const id of ids) {
    assert.deepEqual([await countOf('transaction', id), await countOf('record', id)], [1, 1])
  }
  await store.close()
  proxy.close()
})

test('the server is killed in the middle and started again: as if it had not been', {
  skip,
}, async () => {
  const store = await open()
  const ids = Array.from({ length: 200 }, (_, i) => `auth_k${i}`)
  const done = Promise.all(
    ids.map(async (id, i) => {
      await new Promise((resolve) => setTimeout(resolve, i * 3))
      await store.claim(sampleIntent(id))
      return store.record(sampleOutcome(id))
    }),
  )
  await new Promise((resolve) => setTimeout(resolve, 250))
  await server.kill()
  await server.restart()
  assert.equal((await done).length, 200)
  direct.destroy()
  direct = await connectDirectly()
  for (const id of ids) {
    assert.deepEqual([await countOf('transaction', id), await countOf('record', id)], [1, 1])
  }
  assert.equal(store.status.writable, true)
  await store.close()
})

test('a database that stays away ends writing, and says that nothing is known', {
  skip,
}, async () => {
  const faults: string[] = []
  const proxy = await startProxy(server.port)
  const url = server.url.replace(`:${server.port}/`, `:${proxy.port}/`)
  const store = await open({
    database: openPostgresDatabase(url, 'test'),
    limits: { commitDeadlineMs: 400 },
    onFault: (reason) => faults.push(reason),
  })
  proxy.close()
  await assert.rejects(store.claim(sampleIntent('auth_gone')), StoreFault)
  assert.equal(store.status.writable, false)
  assert.match(String(store.status.fault), /not durable within 400 ms/)
  assert.equal(faults.length, 1)
  await assert.rejects(store.claim(sampleIntent('auth_gone_2')), StoreFault)
  await store.close()
})

test('away with nothing to write: not writable, and writable again when it is back', {
  skip,
}, async () => {
  const proxy = await startProxy(server.port)
  const url = server.url.replace(`:${server.port}/`, `:${proxy.port}/`)
  const store = await open({ database: openPostgresDatabase(url, 'test') })
  store.sharing?.watch({ onAdopted() {}, onLanesTaken() {}, onQueued() {} })
  proxy.refuse(true)
  proxy.cut()
  await until(() => !store.status.writable)
  assert.match(String(store.status.fault), /^no database: /)
  proxy.refuse(false)
  await until(() => store.status.writable)
  assert.deepEqual(await store.claim(sampleIntent('auth_back')), { kind: 'claimed' })
  await store.record(sampleOutcome('auth_back'))
  await store.close()
  proxy.close()
})

async function until(check: () => boolean): Promise<void> {
  const endMs = performance.now() + 15_000
  while (!check()) {
    assert.ok(performance.now() < endMs, 'it took too long')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('an ended lease is taken over, and its owner changes nothing any more', { skip }, async () => {
  const faults: string[] = []
  const stopped = await open({ onFault: (reason) => faults.push(reason) })
  await stopped.claim(sampleIntent('auth_s1', { attempt: sampleAttempt({ stan: '000001' }) }))
  const other = await open()
  assert.deepEqual(await other.openTransactions(), [])
  const first = stopped.sharing?.traceSlot
  const second = other.sharing?.traceSlot
  assert.ok(first && second && (first.last < second.first || second.last < first.first))
  await direct.script("UPDATE switchyard.owner SET lease_until = now() - interval '1 second'")
  const third = await open()
  const adopted = (await third.openTransactions()).map(({ intent }) => intent.id)
  assert.deepEqual(adopted, ['auth_s1'])
  const outcome = sampleOutcome('auth_s1', { outcome: 'declined', cause: 'recovery' })
  await third.record(outcome)
  await assert.rejects(stopped.record(sampleOutcome('auth_s1')), /another process took over/)
  await assert.rejects(stopped.claim(sampleIntent('auth_s2')), StoreFault)
  assert.equal(faults.length, 1)
  assert.equal(stopped.sharing?.leaseOutlives(0), false)
  assert.equal((await third.read('auth_s1'))?.outcome?.cause, 'recovery')
  assert.equal(await third.read('auth_s2'), undefined)
  await Promise.all([stopped.close(), other.close(), third.close()])
})

test('of many processes that claim one key, one does; the first outcome wins', {
  skip,
}, async () => {
  const stores = [await open(), await open(), await open()]
  for (let round = 0; round < 20; round++) {
    const results = await Promise.all(
      stores.map((store, i) =>
        store.claim(sampleIntent(`auth_c${round}_${i}`, { idempotencyKey: `shared ${round}` })),
      ),
    )
    const winners = results.filter(({ kind }) => kind === 'claimed')
    assert.equal(winners.length, 1)
    const id = `auth_c${round}_${results.findIndex(({ kind }) => kind === 'claimed')}`
    for (const result of results) {
      if (result.kind === 'existing') assert.equal(result.entry.transactionId, id)
    }
    const recorded = await Promise.all(
      stores.map((store, i) => store.record(sampleOutcome(id, { responseCode: `0${i}` }))),
    )
    assert.equal(new Set(recorded.map(({ responseCode }) => responseCode)).size, 1)
  }
  await Promise.all(stores.map((store) => store.close()))
})

test('a database that may not be written is refused at the start', { skip }, async () => {
  const refusal = async (changes: Partial<PostgresStoreOptions>) => {
    const opened = await tryOpen(changes)
    assert.ok(!opened.ok)
    assert.ok(!opened.problem.message.includes('switchyard-test'), 'a password is told')
    return opened.problem.code
  }
  const of = (url: string) => ({ database: openPostgresDatabase(url, 'test') })
  const empty = server.createDatabase('no_tables')
  assert.equal(await refusal(of(empty)), 'schema_missing')
  assert.equal(
    server.sql('SELECT count(*) FROM pg_namespace WHERE nspname = $$switchyard$$', 'no_tables'),
    '0',
  )
  const gone = server.url.replace(`:${server.port}/`, ':1/')
  assert.equal(await refusal(of(gone)), 'database_unreachable')
  const before = server.sql('SELECT count(*) FROM switchyard.owner')
  for (const [setting, code] of [
    ['synchronous_commit = off', 'database_not_durable'],
    ['default_transaction_read_only = on', 'database_read_only'],
  ] as const) {
    server.sql(`ALTER DATABASE switchyard SET ${setting}`)
    assert.equal(await refusal({}), code)
    server.sql('ALTER DATABASE switchyard RESET ALL', 'postgres')
  }
  server.sql("INSERT INTO switchyard.migration VALUES (99, 'of a later version')")
  assert.equal(await refusal({}), 'schema_newer')
  server.sql('DELETE FROM switchyard.migration WHERE version = 99')
  const checkKeys = () => ({ ok: false, problem: 'another key file' }) as const
  assert.equal(await refusal({ checkKeys }), 'wrong_keys')
  assert.equal(server.sql('SELECT count(*) FROM switchyard.owner'), before)
})

test('a key is looked up by who has it, also while a claim of ours is being lost', {
  skip,
}, async () => {
  const winner = await open()
  const [key, won, lost] = ['raced', 'auth_won', 'auth_lost']
  await winner.claim(sampleIntent(won, { idempotencyKey: key }))
  await winner.record(sampleOutcome(won))
  const loser = await open()
  const claim = loser.claim(sampleIntent(lost, { idempotencyKey: key }))
  const again = loser.claim(sampleIntent('auth_again', { idempotencyKey: key }))
  const found = loser.lookUpKey('demo', key)
  assert.equal((await found)?.transactionId, won)
  for (const result of [await claim, await again]) {
    assert.equal(result.kind === 'existing' && result.entry.transactionId, won)
  }
  await Promise.all([winner.close(), loser.close()])
})

test('a ninth process is refused, and takes the place of one that ended', { skip }, async () => {
  const url = server.createDatabase('nine')
  const session = await connectDirectly(url)
  assert.ok((await migrate(session, TEST_START_MS, 1)).ok)
  session.destroy()
  const database = openPostgresDatabase(url, 'test')
  const stores: TransactionStore[] = []
  for (let i = 0; i < TRACE_SLOTS; i++) stores.push(await open({ database }))
  const slots = stores.map(({ sharing }) => sharing?.traceSlot.first)
  assert.equal(new Set(slots).size, TRACE_SLOTS)
  const ninth = await tryOpen({ database })
  assert.ok(!ninth.ok)
  assert.equal(ninth.problem.code, 'slots_taken')
  assert.match(ninth.problem.message, /8 processes use it already/)
  await stores[3]?.close()
  const next = await open({ database })
  assert.equal(next.sharing?.traceSlot.first, slots[3])
  await Promise.all([...stores, next].map((store) => store.close()))
})

test('tables of the version before: refused until they are migrated, nothing lost', {
  skip,
}, async () => {
  const database = openPostgresDatabase(server.createDatabase('older'), 'test')
  const session = await database.connect(5_000)
  const [first] = MIGRATIONS
  await session.script(`${first?.sql} INSERT INTO switchyard.migration VALUES (1, 'first')`)
  await session.script("INSERT INTO switchyard.setting VALUES ('kept', 'yes')")
  const refused = await tryOpen({ database })
  assert.ok(!refused.ok)
  assert.equal(refused.problem.code, 'schema_older')
  assert.match(refused.problem.message, /of version 1, .* run: npx switchyard store migrate/)
  const migrated = await migrate(session, TEST_START_MS, 1)
  assert.ok(migrated.ok && migrated.report.from === 1)
  const [row] = await session.query(
    { name: 'kept', text: 'SELECT value FROM switchyard.setting' },
    [],
  )
  assert.equal(row?.value, 'yes')
  session.destroy()
  await (await open({ database })).close()
})

test('migrating twice, and at the same time, makes the tables once', { skip }, async () => {
  const url = server.createDatabase('twice')
  const sessions = await Promise.all([connectDirectly(url), connectDirectly(url)])
  const results = await Promise.all(
    sessions.map(async (session) => {
      const result = await migrate(session, TEST_START_MS, 1)
      session.destroy()
      return result.ok ? result.report.applied.length : -1
    }),
  )
  assert.deepEqual(results.sort(), [0, SCHEMA_VERSION])
})

interface Proxy {
  readonly port: number
  readonly cuts: number
  /** Cuts every connection, wherever it is. */
  cut(): void
  /** Whether new connections are turned away. */
  refuse(isRefusing: boolean): void
  close(): void
}

async function startProxy(to: number): Promise<Proxy> {
  const sockets = new Set<Socket>()
  let cuts = 0
  let isRefusing = false
  const cut = () => {
    if (sockets.size > 0) cuts++
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  const listener: Server = createServer((client) => {
    if (isRefusing) {
      client.destroy()
      return
    }
    const upstream = dial(to, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream)
    upstream.pipe(client)
  })
  await new Promise<void>((resolve) => {
    listener.listen(0, '127.0.0.1', resolve)
  })
  const address = listener.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    get cuts() {
      return cuts
    },
    cut,
    refuse(refusing) {
      isRefusing = refusing
    },
    close() {
      cut()
      listener.close()
    },
  }
}
