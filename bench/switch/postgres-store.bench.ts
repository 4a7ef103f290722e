// Durable authorizations a second in PostgreSQL, the store alone: closed loops of writers, each of
// which claims and then records, and waits for both. A server of its own in a temporary folder,
// with its default flushes; without one on this machine nothing is measured, and it says so.

import {
  postgresMissing,
  type RunningPostgres,
  startPostgres,
} from '../../load-tests/processes/index.ts'
import { openPostgresDatabase } from '../../switch/adapters/postgres-database.ts'
import { systemClock, systemTimers } from '../../switch/adapters/system-clock.ts'
import { migrate, openPostgresStore } from '../../switch/store/index.ts'
import { isBrief } from '../measure.ts'
import { FlushCount, intent, measureClosedLoop, outcome, type Subject } from './store-loops.ts'

async function openStore(server: RunningPostgres, round: number): Promise<Subject> {
  const count = new FlushCount()
  const opened = await openPostgresStore({
    database: openPostgresDatabase(server.url, 'bench'),
    clock: systemClock,
    timers: systemTimers,
    owner: `bench-${round}`,
    keyRetentionMs: 86_400_000,
    issuers: ['demo-a'],
    limits: { commitDeadlineMs: 30_000 },
    onFlush: count.add,
  })
  if (!opened.ok) throw new Error(opened.problem.message)
  const { store } = opened
  return {
    async write(index) {
      const id = `auth_${String(round * 10_000_000 + index).padStart(26, '0')}`
      await store.claim({ ...intent(id, index), idempotencyKey: id })
      await store.record(outcome(id))
    },
    close: () => store.close(),
    note: count.note,
  }
}

const missing = isBrief ? 'a brief look does without a server' : postgresMissing()
if (missing !== false) {
  console.error(`PostgreSQL was not measured: ${missing}`)
} else {
  const server = await startPostgres({ settings: { shared_buffers: '256MB', max_wal_size: '4GB' } })
  const session = await openPostgresDatabase(server.url, 'bench').connect(5_000)
  const migrated = await migrate(session, Date.now(), 1)
  if (!migrated.ok) throw new Error(migrated.problem.message)
  await session.close()
  for (const [round, writers] of [64, 256, 64, 256].entries()) {
    await measureClosedLoop('whole store, PostgreSQL', writers, await openStore(server, round))
  }
  await server.stop()
}
