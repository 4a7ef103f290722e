// The commands that read and mend a store, where it is PostgreSQL: called here, so that no process
// has to be started for each.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { Command } from 'commander'
import {
  postgresMissing,
  type RunningPostgres,
  startPostgres,
} from '../../load-tests/processes/index.ts'
import { compareKeys } from '../adapters/key-check.ts'
import { writeKeyFile } from '../adapters/key-files.ts'
import { openPostgresDatabase } from '../adapters/postgres-database.ts'
import { createSystemRandom, systemClock, systemTimers } from '../adapters/system-clock.ts'
import { CardVault, Pan, parseKeyFile } from '../card-data/index.ts'
import { KEY_RETENTION_MS } from '../limits.ts'
import { type Attempt, migrate, type Outcome, openPostgresStore } from '../store/index.ts'
import { IdentifierSource } from '../ulid.ts'
import { registerKeys } from './keys.ts'
import { registerModelLabels } from './model-labels.ts'
import { registerQueue } from './queue.ts'
import { registerRulesBacktest } from './rules-backtest.ts'
import { registerRulesExplain } from './rules-explain.ts'

const skip = postgresMissing()
const dataDir = mkdtempSync(path.join(tmpdir(), 'switchyard-shared-store-'))
const keysFile = path.join(dataDir, 'keys.json')
const ids = new IdentifierSource(systemClock, createSystemRandom())
let server: RunningPostgres

before(async () => {
  if (skip !== false) return
  server = await startPostgres()
  const session = await openPostgresDatabase(server.url, 'test').connect(5_000)
  assert.ok((await migrate(session, systemClock.now(), 1)).ok)
  await session.close()
  writeKeyFile(keysFile, createSystemRandom())
  Object.assign(process.env, { DATABASE_URL: server.url, DATA_DIR: dataDir, KEYS_FILE: keysFile })
})
after(async () => {
  await server?.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

type Register = (program: Command) => void

/** What the command said, and its exit code. */
async function run(register: Register, ...args: string[]) {
  const said = { out: '', err: '', code: 0 }
  const { log, error } = console
  console.log = (text: string) => {
    said.out += `${text}\n`
  }
  console.error = (text: string) => {
    said.err += `${text}\n`
  }
  process.exitCode = 0
  try {
    const program = new Command().exitOverride()
    register(program)
    await program.parseAsync(args, { from: 'user' })
  } finally {
    Object.assign(console, { log, error })
    said.code = Number(process.exitCode)
    process.exitCode = 0
  }
  return said
}

function ring() {
  const parsed = parseKeyFile(readFileSync(keysFile, 'utf8'))
  assert.ok(parsed.ok)
  return parsed.keys
}

/** As a switch with this key file; `tend` erases and seals anew. */
async function openStore() {
  const keys = ring()
  const owner = ids.next('switch_')
  const vault = new CardVault(keys, owner)
  const again = new CardVault(keys, `${owner} reseal`)
  const opened = await openPostgresStore({
    database: openPostgresDatabase(server.url, 'test'),
    ...{ clock: systemClock, timers: systemTimers, owner, keyRetentionMs: KEY_RETENTION_MS },
    issuers: ['demo-a'],
    checkKeys: (known) => compareKeys(known, keysFile, keys),
    limits: { partitionsAheadDays: 1, commitDeadlineMs: 20_000, readDeadlineMs: 20_000 },
    retention: {
      ...{ retentionMs: 1e13, panRetentionMs: 1e13 },
      keys: {
        currentKeyId: keys.currentPanKeyId,
        isRotating: keys.panKeys.size > 1,
        reseal: (card) => again.seal(again.unseal(card)),
      },
    },
  })
  assert.ok(opened.ok, opened.ok ? '' : opened.problem.message)
  return { ...opened, vault }
}

const pan = Pan.parse('4761739001010119') as Pan

function attemptOf(vault: CardVault): Attempt {
  return {
    ...{ issuer: 'demo-a', mti: '0100', processingCode: '000000', stan: '000001' },
    ...{ transmittedAt: '1122100000', rrn: '632610000001', acquiringInstitution: '00000000001' },
    ...{ amount: 2599, currencyNumeric: '978', terminalId: 'T-0001', merchantId: 'M-1001' },
    ...{ merchantNameLocation: '', mcc: '5411', entryMode: '071' },
    card: vault.seal({ pan, expiry: '2912' }),
  }
}

const REQUEST = {
  ...{ type: 'authorization', amount: 2599, currency: 'EUR', channel: 'pos' },
  card: { bin: '47617390', masked: pan.masked },
  merchant: { id: 'M-1001', mcc: '5411' },
  ...{ terminal: {}, device: {}, customer: {}, threeDs: {} },
}

function outcomeOf(id: string, changes: Partial<Outcome> = {}): Outcome {
  return {
    ...{ id, recordedAtMs: systemClock.now(), outcome: 'approved', responseCode: '00' },
    ...{ cause: 'issuer', issuerResponseCode: '00', answer: { id }, decision: null },
    reversal: null,
    ...changes,
  }
}

async function claim({ store, vault }: Awaited<ReturnType<typeof openStore>>, rrn: string) {
  const id = ids.next('auth_')
  await store.claim({
    ...{ id, kind: 'financial', acquirer: 'demo', idempotencyKey: id, rrn, request: REQUEST },
    ...{ fingerprint: new Uint8Array(32), createdAtMs: systemClock.now() },
    ...{ cardToken: vault.tokenOf(pan), attempt: attemptOf(vault) },
  })
  return id
}

test('queue list shows what waits and is dead; requeue queues it again for whoever has the lane', {
  skip,
}, async () => {
  const opened = await openStore()
  const { store, vault } = opened
  const id = await claim(opened, '632610000001')
  const numbers = { mti: '0420', stan: '000002', transmittedAt: '1122100001', rrn: '632610000002' }
  const reversal = {
    ...{ transactionId: id, step: 'authorization', issuer: 'demo-a', ...numbers },
    ...{ original: attemptOf(vault), cause: 'timeout', queuedAtMs: systemClock.now() },
  } as NonNullable<Outcome['reversal']>
  await store.record(outcomeOf(id, { outcome: 'declined', responseCode: '91', reversal }))
  const waiting = await run(registerQueue, 'queue', 'list', '--json')
  assert.equal(waiting.code, 0)
  const row = JSON.parse(waiting.out)
  assert.deepEqual([row.transactionId, row.state, row.stan], [id, 'queued', '000002'])
  const dead = { state: 'dead', sends: 3, lastResponseCode: '30' } as const
  await store.updateDelivery(id, 'authorization', dead)
  const found = await run(registerQueue, 'queue', 'list', '--dead')
  assert.equal(found.code, 1)
  assert.match(found.out, new RegExp(`^dead .*demo-a.*${id}.*sent 3 times, last answer 30`))
  // Beside the process that has the lane, which is told.
  const told: string[] = []
  store.sharing?.watch({
    onAdopted: () => {},
    onLanesTaken: () => {},
    onQueued: (deliveries) => told.push(...deliveries.map(({ message }) => message.stan)),
  })
  const again = await run(registerQueue, 'queue', 'requeue', id, 'auth_none')
  assert.deepEqual(
    [again.out, again.code],
    [`${id}: 1 queued again\nauth_none: no such transaction\n`, 1],
  )
  for (const untilMs = performance.now() + 30_000; told.length === 0; ) {
    assert.ok(performance.now() < untilMs, 'the owner of the lane was not told')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.equal(told[0], '000002')
  await store.updateDelivery(id, 'authorization', { ...dead, state: 'acknowledged' })
  assert.match((await run(registerQueue, 'queue', 'list')).err, /nothing is queued/)
  await store.close()
})

test('a PAN key is rotated, its cards go under the new one, and it can go', { skip }, async () => {
  const first = await openStore()
  const id = await claim(first, '632610000003')
  await first.store.record(outcomeOf(id))
  await first.store.close()
  assert.equal((await run(registerKeys, 'keys', 'rotate')).code, 0)
  const cardsBefore = (await statusOf()).map(({ cards }) => cards)
  assert.deepEqual([cardsBefore.length, cardsBefore[1]], [2, 0])
  const early = await run(registerKeys, 'keys', 'retire', '1')
  assert.match(early.err, /sealed cards are under key 1: start the switch/)

  const second = await openStore()
  const old = (await second.store.read(id))?.attempts[0]?.card
  assert.equal(old?.keyId, 1)
  assert.equal(second.vault.unseal(old).pan.masked, pan.masked)
  await second.tend()
  const fresh = (await second.store.read(id))?.attempts[0]?.card
  assert.equal(fresh?.keyId, 2)
  assert.equal(second.vault.unseal(fresh).pan.masked, pan.masked)
  const running = await run(registerKeys, 'keys', 'retire', '1')
  assert.deepEqual(
    [running.code, running.err],
    [1, '1 processes run on this database: stop them first\n'],
  )
  await second.store.close()

  const retired = await run(registerKeys, 'keys', 'retire', '1')
  assert.equal(retired.code, 0, retired.err)
  assert.deepEqual([...ring().panKeys.keys()], [2])
  const third = await openStore()
  assert.equal((await third.store.findCard('demo', third.vault.tokenOf(pan)))?.keyId, 2)
  await third.store.close()
})

async function statusOf(): Promise<{ readonly cards: number }[]> {
  const { out, err } = await run(registerKeys, 'keys', 'status', '--json')
  assert.equal(err, '')
  return JSON.parse(out).keys
}

test('past payments are read from it with labels put into it: backtest, period, explain', {
  skip,
}, async () => {
  const opened = await openStore()
  const fromMs = systemClock.now()
  const id = await claim(opened, '632610000007')
  await opened.store.record(outcomeOf(id))
  await opened.store.close()
  const from = new Date(fromMs).toISOString()
  const labels = path.join(path.dirname(keysFile), 'labels.csv')
  writeFileSync(labels, `id,kind,knownAt\n${id},chargeback,${from}\n`)
  const imported = await run(registerModelLabels, 'labels', 'import', labels, '--json')
  assert.equal(JSON.parse(imported.out).recorded, 1)
  const report = await run(registerRulesBacktest, 'backtest', '--json', '--from', from)
  const { payments } = JSON.parse(report.out).payments
  assert.equal(payments, 1)
  const all = await run(registerRulesBacktest, 'backtest', '--json', '--to', from)
  assert.ok(JSON.parse(all.out).payments.payments >= 2)
  const explained = await run(registerRulesExplain, 'explain', '632610000007')
  assert.match(explained.err, new RegExp(`${id} was decided without a risk decision`))
  const unknown = await run(registerRulesExplain, 'explain', 'auth_unknown')
  assert.match(unknown.err, /no authorization with the id or RRN auth_unknown in 127\.0\.0\.1:/)
})
