import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { after, describe, it } from 'node:test'
import { type Intent, type SealedCard, UPKEEP } from '../store/index.ts'
import { openStoreFolder } from './store-folder.ts'
import { createSystemRandom, systemClock, systemTimers } from './system-clock.ts'

const base = mkdtempSync(path.join(tmpdir(), 'switchyard-folder-'))
after(() => rmSync(base, { recursive: true, force: true }))

/** So small that segments, index and evictions all turn over in a second. */
const LIMITS = {
  segmentBytes: 200_000,
  residentTransactionsMax: 50,
  indexLagTransactions: 100,
  indexBatchTransactions: 32,
}

const OPTIONS = {
  clock: systemClock,
  timers: systemTimers,
  random: createSystemRandom(),
  owner: 'test',
  keyRetentionMs: 3_600_000,
  limits: LIMITS,
}

function moduleUrl(name: string): string {
  return JSON.stringify(new URL(name, import.meta.url).href)
}

/** 64 writers; a line for each outcome once it is durable, and its transaction's id. */
const WRITER = `
import { openStoreFolder } from ${moduleUrl('./store-folder.ts')}
import { createSystemRandom, systemClock, systemTimers } from ${moduleUrl('./system-clock.ts')}
const [folder, life, limits] = process.argv.slice(1)
const opened = await openStoreFolder(folder, {
  clock: systemClock, timers: systemTimers, random: createSystemRandom(),
  owner: life, keyRetentionMs: 3600000, limits: JSON.parse(limits),
})
if (!opened.ok) throw new Error(opened.problem.message)
const { store } = opened
let next = 0
const write = async () => {
  for (;;) {
    const id = 'auth_' + life + '_' + next++
    await store.claim({
      id, kind: 'financial', acquirer: 'demo', idempotencyKey: 'key of ' + id,
      fingerprint: new Uint8Array(32), createdAtMs: Date.now(), rrn: id.slice(-12),
      cardToken: 'tok', request: {}, attempt: null,
    })
    await store.record({
      id, recordedAtMs: Date.now(), outcome: 'approved', responseCode: '00', cause: 'issuer',
      issuerResponseCode: '00', answer: { id }, decision: null, reversal: null,
    })
    process.stdout.write(id + '\\n')
  }
}
for (let i = 0; i < 64; i++) write()
`

/** Runs the writer and kills it once it has promised `promises` outcomes. Returns their ids. */
async function writeUntilKilled(folder: string, life: string, promises: number): Promise<string[]> {
  const tsx = import.meta.resolve('tsx')
  const args = ['--import', tsx, '--input-type=module', '-e', WRITER, folder, life]
  const child = spawn(process.execPath, [...args, JSON.stringify(LIMITS)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const promised: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    promised.push(line)
    if (promised.length === promises) child.kill('SIGKILL')
  }
  await exited
  // The last line may have been torn by the kill.
  return promised.slice(0, -1)
}

describe('store folder under kill -9', () => {
  it('finds every outcome that was promised, life after life', async () => {
    const folder = path.join(base, 'killed')
    const promised: string[] = []
    for (const life of ['a', 'b', 'c']) {
      const more = await writeUntilKilled(folder, life, 1_500)
      assert.ok(more.length >= 1_499)
      promised.push(...more)
    }
    const opened = await openStoreFolder(folder, OPTIONS)
    assert.ok(opened.ok)
    const { store, report } = opened
    assert.equal(report.isIndexRebuilt, false)
    // Four openings: three of the writers, one here.
    assert.equal(store.ownership.leaseEpoch, 4)
    assert.ok(report.replayedRecords < 3_000, `${report.replayedRecords} records were replayed`)
    assert.ok(store.status.segments > 1)
    for (const id of promised) {
      const entry = store.findKey('demo', `key of ${id}`)
      assert.deepEqual([entry?.transactionId, entry?.state], [id, 'recorded'])
    }
    for (const id of promised.filter((_, index) => index % 20 === 0)) {
      assert.equal((await store.read(id))?.outcome?.answer.id, id)
    }
    const open = await store.openTransactions()
    assert.equal(open.length, report.openClaims)
    for (const { intent, outcome } of open) {
      assert.equal(outcome, null)
      assert.ok(!promised.includes(intent.id))
    }
    await store.close()
  })
})

describe('store folder with cards past their retention', () => {
  it('has no byte of their ciphertext in any of its files', async () => {
    const folder = path.join(base, 'erased')
    const random = createSystemRandom()
    const dayMs = 86_400_000
    const openAt = async (nowMs: number) => {
      const opened = await openStoreFolder(folder, {
        ...OPTIONS,
        clock: { now: () => nowMs, monotonic: () => systemClock.monotonic() },
        upkeep: {
          retentionMs: UPKEEP.retentionDays * dayMs,
          retentionMinMs: 31 * dayMs,
          panRetentionMs: UPKEEP.panRetentionDays * dayMs,
          bytesKeptMax: UPKEEP.bytesKeptMax,
          freeBytesMin: 0,
          segmentMsMax: UPKEEP.segmentMsMax,
          everyMs: UPKEEP.everyMs,
          pauseMs: 0,
        },
      })
      assert.ok(opened.ok)
      return opened
    }
    const startMs = systemClock.now()
    const { store } = await openAt(startMs)
    const sealed: Buffer[] = []
    for (let i = 0; i < 500; i++) {
      const card = { keyId: 1, iv: random.fill(new Uint8Array(12)), sealed: new Uint8Array(40) }
      sealed.push(Buffer.from(random.fill(card.sealed)))
      const id = `auth_${i}`
      await store.claim(intentOf(id, startMs, card))
      await store.record({
        ...{ id, recordedAtMs: startMs, outcome: 'approved', responseCode: '00' },
        ...{ cause: 'issuer', issuerResponseCode: '00', answer: { id } },
        ...{ decision: null, reversal: null },
      })
    }
    await store.close()
    assert.equal(countIn(folder, sealed), 500)
    const later = await openAt(startMs + 182 * dayMs)
    await later.tend()
    assert.equal((await later.store.read('auth_499'))?.outcome?.responseCode, '00')
    assert.equal((await later.store.read('auth_499'))?.attempts[0]?.card, null)
    assert.equal(countIn(folder, sealed), 0)
    await later.store.close()
    assert.equal(countIn(folder, sealed), 0)
  })
})

function intentOf(id: string, createdAtMs: number, card: SealedCard): Intent {
  return {
    ...{ id, kind: 'financial', acquirer: 'demo', idempotencyKey: id, createdAtMs },
    ...{ fingerprint: new Uint8Array(32), rrn: '632610000001', cardToken: 'tok', request: {} },
    attempt: {
      ...{ issuer: 'demo-a', mti: '0100', processingCode: '000000', stan: '000001' },
      ...{ transmittedAt: '1122100000', rrn: '632610000001', acquiringInstitution: '00000000001' },
      ...{ amount: 2599, currencyNumeric: '978', terminalId: '', merchantId: 'M-1001' },
      ...{ merchantNameLocation: '', mcc: '5411', entryMode: '071', card },
    },
  }
}

/** How many of some byte strings are in any file below a folder. */
function countIn(folder: string, wanted: readonly Buffer[]): number {
  const all: Buffer[] = []
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) all.push(readFileSync(path.join(entry.parentPath, entry.name)))
  }
  return wanted.filter((bytes) => all.some((file) => file.includes(bytes))).length
}
