import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openStoreFolder } from '../adapters/store-folder.ts'
import { createSystemRandom, systemClock, systemTimers } from '../adapters/system-clock.ts'
import type { Attempt } from '../store/index.ts'

const BIN = fileURLToPath(new URL('./switchyard.js', import.meta.url))
const dataDir = mkdtempSync(path.join(tmpdir(), 'switchyard-queue-command-'))
after(() => rmSync(dataDir, { recursive: true, force: true }))

function queue(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const env = { ...process.env, DATA_DIR: dataDir, ADMIN_TOKEN: '' }
  return new Promise((resolve) => {
    execFile(process.execPath, [BIN, 'queue', ...args], { env }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

async function openStore() {
  const opened = await openStoreFolder(path.join(dataDir, 'store'), {
    clock: systemClock,
    timers: systemTimers,
    random: createSystemRandom(),
    owner: 'test',
    keyRetentionMs: 1_000,
  })
  assert.ok(opened.ok)
  return opened.store
}

test('queue list shows what waits and what is dead; requeue says no to a folder in use', async () => {
  const store = await openStore()
  for (const id of ['auth_1', 'auth_2', 'auth_3']) await queueReversal(store, id)
  const dead = { state: 'dead', sends: 4, lastResponseCode: '30' } as const
  await store.updateDelivery('auth_2', 'authorization', dead)
  await store.updateDelivery('auth_3', 'authorization', { ...dead, state: 'acknowledged' })
  writeFileSync(path.join(dataDir, 'addresses.json'), '{"admin":"http://127.0.0.1:9"}')
  const [listed, refused] = await Promise.all([queue('list', '--json'), queue('requeue', 'auth_2')])
  assert.deepEqual(
    listed.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .map(({ transactionId, state, sends }) => [transactionId, state, sends]),
    [
      ['auth_1', 'queued', 0],
      ['auth_2', 'dead', 4],
    ],
  )
  assert.equal(listed.code, 1, 'something is dead')
  assert.equal(refused.code, 2)
  assert.match(refused.err, /ADMIN_TOKEN/)
  await store.close()

  const requeued = await queue('requeue', 'auth_2', 'auth_9')
  assert.equal(requeued.out, 'auth_2: 1 queued again\nauth_9: no such transaction\n')
  assert.equal(requeued.code, 1)
  const reopened = await openStore()
  const pending = await reopened.pendingDeliveries()
  assert.deepEqual(
    pending.map(({ message, sends }) => [message.transactionId, sends]),
    [
      ['auth_1', 0],
      ['auth_2', 1],
    ],
  )
  await reopened.close()
  const listedLater = await queue('list', '--dead')
  assert.deepEqual([listedLater.code, listedLater.out], [0, ''])
})

async function queueReversal(store: Awaited<ReturnType<typeof openStore>>, id: string) {
  const attempt: Attempt = {
    issuer: 'demo-a',
    mti: '0100',
    processingCode: '000000',
    stan: `00000${id.at(-1)}`,
    transmittedAt: '1122100000',
    rrn: `63261000000${id.at(-1)}`,
    acquiringInstitution: '100001',
    amount: 100,
    currencyNumeric: '978',
    terminalId: 'T-1',
    merchantId: 'M-1',
    merchantNameLocation: '',
    mcc: '5411',
    entryMode: '071',
    card: null,
  }
  await store.claim({
    id,
    kind: 'financial',
    acquirer: 'demo',
    idempotencyKey: id,
    fingerprint: new Uint8Array(32),
    createdAtMs: 0,
    rrn: attempt.rrn,
    cardToken: 'tok',
    request: {},
    attempt,
  })
  const { issuer, stan, transmittedAt, rrn } = attempt
  await store.queue({
    transactionId: id,
    step: 'authorization',
    issuer,
    mti: '0420',
    stan,
    transmittedAt,
    rrn,
    original: attempt,
    cause: 'timeout',
    queuedAtMs: 0,
  })
}
