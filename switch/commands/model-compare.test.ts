import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { openStoreFolder } from '../adapters/store-folder.ts'
import { createSystemRandom, systemClock, systemTimers } from '../adapters/system-clock.ts'
import type { Intent, Outcome, TransactionStore } from '../store/index.ts'
import { compareStored } from './model-compare.ts'
import { PROJECT_ROOT } from './run-tool.ts'

const DAY_MS = 86_400_000
const START_MS = 1_700_000_000_000
const FRAUDS = 400
const PER_FRAUD = 4
const LABEL_DELAY_DAYS = 30

let folder: string
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'switchyard-compare-'))
  const opened = await openStoreFolder(path.join(folder, 'store'), {
    clock: systemClock,
    timers: systemTimers,
    random: createSystemRandom(),
    owner: 'test',
    keyRetentionMs: 1_000,
  })
  assert.ok(opened.ok)
  try {
    for (let n = 0; n < FRAUDS * PER_FRAUD; n += 200) {
      await Promise.all(Array.from({ length: 200 }, (_, i) => store(opened.store, n + i)))
    }
  } finally {
    await opened.store.close()
  }
})
after(() => rm(folder, { recursive: true }))

/** The challenger knows the frauds; the model in force takes half of them for the others. */
async function store(into: TransactionStore, n: number): Promise<void> {
  const id = idOf(n)
  const isFraud = n % PER_FRAUD === 0
  const request = {
    type: 'authorization',
    amount: 100,
    currency: 'EUR',
    channel: 'pos',
    card: { bin: '47617390' },
    merchant: { id: 'M-1', mcc: '5411' },
  }
  const intent: Intent = {
    ...{ id, kind: 'financial', acquirer: 'demo', idempotencyKey: id, cardToken: 'tok' },
    ...{ fingerprint: new Uint8Array(32), createdAtMs: START_MS + n, rrn: id, request },
    attempt: null,
  }
  await into.claim(intent)
  await into.record(outcomeOf(id, isFraud, n))
}

function idOf(n: number): string {
  return `auth_${String(n).padStart(6, '0')}`
}

/** What `model labels import` says of the chargebacks of all frauds. */
async function importLabels(): Promise<{ recorded: number; known: number }> {
  const knownAt = new Date(START_MS + 5 * DAY_MS).toISOString()
  const frauds = Array.from({ length: FRAUDS }, (_, i) => idOf(i * PER_FRAUD))
  const file = path.join(folder, 'labels.csv')
  const lines = ['id,kind,knownAt', ...frauds.map((id) => `${id},chargeback,${knownAt}`)]
  await writeFile(file, lines.join('\n'))
  const script = path.join(PROJECT_ROOT, 'switch', 'commands', 'switchyard.js')
  const args = [script, 'model', 'labels', 'import', file, '--json']
  const options = { env: { ...process.env, DATA_DIR: folder } }
  const { stdout } = await promisify(execFile)(process.execPath, args, options)
  return JSON.parse(stdout) as { recorded: number; known: number }
}

function outcomeOf(id: string, isFraud: boolean, n: number): Outcome {
  const noise = ((n * 37) % 101) / 1_000
  const decision: Outcome['decision'] = {
    outcome: 'approve',
    score: isFraud && n % (2 * PER_FRAUD) === 0 ? 0.5 + noise : 0.1 + noise,
    ...{ band: 'low', reasons: [], disclosedReasons: [], hits: [], degraded: [] },
    ...{ ruleSet: 'rules', model: 'champion+1', unknownRules: [], saturated: [] },
    features: new Float32Array(0),
    aggregates: new Float64Array(0),
    challengers: [{ model: 'challenger+2', score: isFraud ? 0.9 : noise }],
    stepMicros: { velocity: 0, features: 0, model: 0, rules: 0 },
  }
  return {
    ...{ id, recordedAtMs: START_MS + n, outcome: 'approved', responseCode: '00' },
    ...{ cause: 'issuer', issuerResponseCode: '00', answer: {}, decision, reversal: null },
  }
}

test('the better challenger is told from the stored decisions, once their labels are due', async () => {
  const [first, second] = [await importLabels(), await importLabels()]
  assert.deepEqual([first.recorded, first.known], [FRAUDS, 0])
  assert.deepEqual([second.recorded, second.known], [0, FRAUDS], 'an import may be repeated')
  const options = { store: path.join(folder, 'store'), labelDelayDays: LABEL_DELAY_DAYS }
  const early = await compareStored(options, START_MS + (LABEL_DELAY_DAYS - 1) * DAY_MS)
  assert.deepEqual([early?.verdict, early?.payments], ['undecided', 0])
  const due = await compareStored(options, START_MS + (LABEL_DELAY_DAYS + 1) * DAY_MS)
  assert.ok(due !== undefined)
  assert.deepEqual([due.champion, due.challenger], ['champion+1', 'challenger+2'])
  assert.deepEqual([due.verdict, due.frauds], ['challenger_better', FRAUDS])
  assert.equal(due.challengerPrecision, 1)
  assert.ok(due.championPrecision < 0.9)
})

test('a store that is not there is said', async () => {
  const options = { store: path.join(folder, 'nowhere'), labelDelayDays: 1 }
  assert.equal(await compareStored(options, START_MS), undefined)
})
