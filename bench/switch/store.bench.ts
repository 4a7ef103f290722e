// Durable records a second, by closed loops of writers: each waits for its record before the next.
// A message of the switch writes two, so every case writes two at a time: the log alone and LMDB
// the same bytes, LMDB awaiting its flush; the whole store also encodes, keeps directory and index.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { open } from 'lmdb'
import { openFileDisk } from '../../switch/adapters/file-disk.ts'
import { openStoreFolder } from '../../switch/adapters/store-folder.ts'
import {
  createSystemRandom,
  systemClock,
  systemTimers,
} from '../../switch/adapters/system-clock.ts'
import { GroupCommit, SegmentLog, STORE_LIMITS } from '../../switch/store/index.ts'
import { FlushCount, intent, measureClosedLoop, outcome, type Subject } from './store-loops.ts'

/** Bytes of the two records of one message. */
const CLAIM_BYTES = 590
const OUTCOME_BYTES = 520

const base = mkdtempSync(path.join(tmpdir(), 'switchyard-bench-'))

async function openLog(): Promise<Subject> {
  const count = new FlushCount()
  const opened = await openFileDisk(path.join(base, `log-${performance.now()}`))
  if (!opened.ok) throw new Error(opened.problem.message)
  const { disk } = opened
  const found = await SegmentLog.open({ ...STORE_LIMITS, disk, random: createSystemRandom() })
  if (!found.ok) throw new Error(found.problem.message)
  const { log } = found
  const commit = new GroupCommit({
    ...STORE_LIMITS,
    log,
    clock: systemClock,
    timers: systemTimers,
    onFlush: count.add,
  })
  const write = (bytes: Uint8Array) =>
    new Promise((resolve, reject) => commit.append(bytes, { durable: resolve, failed: reject }))
  return {
    async write() {
      await write(Buffer.alloc(CLAIM_BYTES, 1))
      await write(Buffer.alloc(OUTCOME_BYTES, 1))
    },
    async close() {
      await commit.close()
      await log.close()
      await disk.close()
    },
    note: count.note,
  }
}

async function openStore(): Promise<Subject> {
  const count = new FlushCount()
  const opened = await openStoreFolder(path.join(base, `store-${performance.now()}`), {
    clock: systemClock,
    timers: systemTimers,
    random: createSystemRandom(),
    owner: 'bench',
    keyRetentionMs: 86_400_000,
    onFlush: count.add,
  })
  if (!opened.ok) throw new Error(opened.problem.message)
  const { store } = opened
  return {
    async write(index) {
      const id = `auth_${String(index).padStart(26, '0')}`
      await store.claim(intent(id, index))
      await store.record(outcome(id))
    },
    close: () => store.close(),
    note: count.note,
  }
}

function openLmdb(overlappingSync: boolean): Subject {
  const database = open<Buffer, string>({
    path: path.join(base, `lmdb-${performance.now()}`),
    encoding: 'binary',
    cache: false,
    overlappingSync,
  })
  const put = async (key: string, bytes: number) => {
    await database.put(key, Buffer.alloc(bytes, 1))
    if (overlappingSync) await database.flushed
  }
  return {
    async write(index) {
      await put(`c${index}`, CLAIM_BYTES)
      await put(`o${index}`, OUTCOME_BYTES)
    },
    close: () => database.close(),
    note: () => '',
  }
}

for (const writers of [64, 256]) {
  await measureClosedLoop('segment log', writers, await openLog())
  await measureClosedLoop('LMDB, flushed', writers, openLmdb(true))
  await measureClosedLoop('LMDB, flushed, no overlapping sync', writers, openLmdb(false))
  await measureClosedLoop('whole store', writers, await openStore())
}
rmSync(base, { recursive: true, force: true })
