import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, describe, it } from 'node:test'
import { auditLog, type TransactionStore, UPKEEP } from '../store/index.ts'
import { openFileDiskForReading } from './file-disk.ts'
import { backUpStore, restoreStore } from './store-backup.ts'
import { openStoreFolder } from './store-folder.ts'
import { createSystemRandom, systemClock, systemTimers } from './system-clock.ts'

const base = mkdtempSync(path.join(tmpdir(), 'switchyard-backup-'))
after(() => rmSync(base, { recursive: true, force: true }))

const NO_PROGRESS = () => {}

async function openAt(folder: string, ageMs = 0) {
  const opened = await openStoreFolder(folder, {
    clock: { ...systemClock, now: () => systemClock.now() + ageMs },
    timers: systemTimers,
    random: createSystemRandom(),
    owner: 'test',
    keyRetentionMs: 1_000,
    limits: { segmentBytes: 20_000 },
    upkeep: {
      retentionMs: 2_000,
      retentionMinMs: 1_000,
      panRetentionMs: 1_500,
      bytesKeptMax: Number.MAX_SAFE_INTEGER,
      freeBytesMin: 0,
      segmentMsMax: 86_400_000,
      everyMs: UPKEEP.everyMs,
      pauseMs: 0,
    },
  })
  assert.ok(opened.ok, opened.ok ? '' : opened.problem.message)
  return opened
}

async function approve(store: TransactionStore, id: string): Promise<void> {
  await store.claim({
    id,
    kind: 'inquiry',
    acquirer: 'demo',
    idempotencyKey: id,
    fingerprint: new Uint8Array(32),
    createdAtMs: systemClock.now(),
    rrn: '632610000001',
    cardToken: 'tok',
    request: { note: 'x'.repeat(200) },
    attempt: null,
  })
  await store.record({
    id,
    recordedAtMs: systemClock.now(),
    outcome: 'approved',
    responseCode: '00',
    cause: 'issuer',
    issuerResponseCode: '00',
    answer: { id },
    decision: null,
    reversal: null,
  })
}

describe('backup and restore', () => {
  it('has every record that was durable when it began, taken beside writes and compaction', async () => {
    const folder = path.join(base, 'data', 'store')
    const { store, tend } = await openAt(folder)
    const durable: string[] = []
    let isWriting = true
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let i = 0; isWriting || i < 20; i++) {
        await approve(store, `auth_${writer}_${i}`)
        durable.push(`auth_${writer}_${i}`)
      }
    })
    while (durable.length < 200) await new Promise((resolve) => setTimeout(resolve, 5))
    const before = [...durable]
    const [backup] = await Promise.all([
      backUpStore(folder, path.join(base, 'backup'), systemClock.now(), NO_PROGRESS),
      tend(),
    ])
    isWriting = false
    await Promise.all(writers)
    assert.ok(backup.ok, backup.ok ? '' : backup.problem)
    const target = path.join(base, 'restored', 'store')
    const restored = await restoreStore(path.join(base, 'backup'), target, NO_PROGRESS)
    assert.ok(restored.ok, restored.ok ? '' : restored.problem)
    assert.ok(restored.note.records >= 2 * before.length)
    const audited = await auditLog(openFileDiskForReading(target))
    assert.ok(audited.ok && audited.audit.contradictionCount === 0)
    const again = await openAt(target)
    for (const id of before) assert.equal((await again.store.read(id))?.outcome?.responseCode, '00')
    await again.store.close()
    await store.close()
  })

  it('copies a compacted store, which reads back by position and by key', async () => {
    const folder = path.join(base, 'compacted', 'store')
    const first = await openAt(folder)
    for (let i = 0; i < 100; i++) await approve(first.store, `auth_${i}`)
    await first.store.close()
    const { store, tend } = await openAt(folder, 1_800)
    await tend()
    const source = await auditLog(openFileDiskForReading(folder))
    await store.close()
    const copy = path.join(base, 'compacted-backup')
    const backup = await backUpStore(folder, copy, systemClock.now(), NO_PROGRESS)
    assert.ok(backup.ok && source.ok)
    assert.equal(backup.note.records, source.audit.records)
    const target = path.join(base, 'compacted-restored', 'store')
    assert.ok((await restoreStore(copy, target, NO_PROGRESS)).ok)
    const again = await openAt(target)
    assert.equal((await again.store.read('auth_99'))?.outcome?.responseCode, '00')
    await again.store.close()
  })

  it('refuses what is no backup, damaged, or a folder in use or with files in it', async () => {
    const folder = path.join(base, 'refusing', 'store')
    const copy = path.join(base, 'refusing-backup')
    const { store } = await openAt(folder)
    await approve(store, 'auth_1')
    assert.ok((await backUpStore(folder, copy, systemClock.now(), NO_PROGRESS)).ok)
    const problem = async (from: string, into: string) => {
      const result = await restoreStore(from, into, NO_PROGRESS)
      assert.ok(!result.ok)
      return result.problem
    }
    assert.match(await problem(copy, folder), /process \d+ uses it/)
    await store.close()
    assert.match(await problem(copy, folder), /not empty/)
    const target = path.join(base, 'refusing-target')
    assert.match(await problem(folder, target), /holds no backup\.json/)
    const segment = path.join(copy, '0000000000000000.log')
    const bytes = readFileSync(segment)
    bytes[60] = (bytes[60] ?? 0) ^ 1
    writeFileSync(segment, bytes)
    assert.match(await problem(copy, target), /damaged at byte 40/)
    mkdirSync(target, { recursive: true })
    assert.deepEqual(await readdir(target), [])
    const full = await backUpStore(folder, copy, systemClock.now(), NO_PROGRESS)
    assert.ok(!full.ok && /not empty/.test(full.problem))
  })
})
