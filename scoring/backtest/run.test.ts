// A backtest decides what the switch would have decided: the same stream through the online engine,
// message by message with outcomes told when they came, gives the same decisions.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { compileRuleSet, type RuleFile, readRuleFiles } from '#rules'
import type { Model } from '../onnx/index.ts'
import type { Decision, ScoringRequest } from '../request.ts'
import { createScoring } from '../score.ts'
import { createEmbeddedVelocity } from '../velocity/index.ts'
import { demoPayments } from './demo.ts'
import { BATCH_MAX, type CompiledRules, createEngine } from './engine.ts'
import { loadRiskModel } from './load-model.ts'
import type { PastPayment } from './past-payment.ts'
import { createPaymentReader } from './read-payments.ts'
import { runBacktest } from './run.ts'
import { csvHead, csvLine } from './write-payments.ts'

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const startMs = Date.UTC(2026, 0, 5)
const dayMs = 86_400_000

let model: Model
let shipped: CompiledRules
let payments: readonly PastPayment[]

before(async () => {
  const loaded = await loadRiskModel(folder('../models/switchyard-trees'))
  assert.ok(loaded.ok)
  model = loaded.model
  shipped = rulesOf(await readRuleFiles(folder('../../rules')))
  payments = [...demoPayments({ seed: 11, days: 6, customers: 150, startMs })]
})

after(() => model.release())

function rulesOf(files: readonly RuleFile[]): CompiledRules {
  const compiled = compileRuleSet(files)
  assert.ok(compiled.ok, JSON.stringify(compiled))
  return compiled
}

function pack(...rules: readonly string[]): CompiledRules {
  const texts = rules.map(
    (rule, n) => `  - id: x.r${n}\n    title: t\n    mode: live\n    reason: r${n}\n    ${rule}\n`,
  )
  return rulesOf([{ name: 'packs/x.yaml', text: `typology: x\nrules:\n${texts.join('')}` }])
}

/** As the switch does it: every message on its own, every outcome when it is known. */
async function online(rules: CompiledRules, stream: readonly PastPayment[]): Promise<Decision[]> {
  const scoring = createScoring({
    ...rules,
    model,
    velocity: createEmbeddedVelocity({ bytesMax: 1e9 }),
    clock: { now: () => 0, monotonic: () => 0 },
    entityKey: new Uint8Array(32).fill(77),
  })
  const waiting: { atMs: number; request: ScoringRequest; responseCode: string | undefined }[] = []
  const decisions: Decision[] = []
  for (const { request, outcome, responseCode, endedAtMs } of stream) {
    waiting.sort((one, other) => one.atMs - other.atMs)
    while ((waiting[0]?.atMs ?? Number.POSITIVE_INFINITY) <= request.arrivedAtMs) {
      const { request: told, atMs, responseCode: code } = waiting.shift() as (typeof waiting)[0]
      const { eventHash, acquirer, card, merchant, terminal, device, customer } = told
      const entities = { acquirer, card, merchant, terminal, device, customer }
      const event = { ...entities, eventHash, atMs, kind: 'declined', responseCode: code } as const
      await scoring.publish([event as Parameters<typeof scoring.publish>[0][0]], 1_000)
    }
    const { decisions: one } = await scoring.score([request], 1_000)
    decisions.push(one[0] as Decision)
    if (outcome === 'declined') waiting.push({ atMs: endedAtMs, request, responseCode })
  }
  return decisions
}

function comparable({ stepMicros: _, score, features: __, ...decision }: Decision): unknown {
  // Inference of one row and of 64 rows may differ in the last bit.
  return { ...decision, score: score?.toFixed(5), hits: decision.hits.map(({ rule }) => rule) }
}

async function* inChunks(all: readonly PastPayment[]): AsyncGenerator<readonly PastPayment[]> {
  for (let at = 0; at < all.length; at += 1_000) yield all.slice(at, at + 1_000)
}

async function decided(
  sets: readonly CompiledRules[],
  stream: readonly PastPayment[],
  size = BATCH_MAX,
  shares = true,
): Promise<readonly Decision[][]> {
  const engine = createEngine(sets, model, ({ label }) => label, shares)
  const all: Decision[][] = sets.map(() => [])
  for (let at = 0; at < stream.length; at += size) {
    const some = await engine.decide(stream.slice(at, at + size))
    some.forEach((decisions, set) => {
      all[set]?.push(...decisions)
    })
  }
  await engine.close()
  return all
}

test('the decisions of a backtest are those of the online engine', async () => {
  const expected = await online(shipped, payments)
  const [decisions = []] = await decided([shipped], payments, 1)
  assert.ok(decisions.length > 900)
  assert.deepEqual(decisions.map(comparable), expected.map(comparable))
  assert.ok(new Set(decisions.map(({ outcome }) => outcome)).size >= 3)
})

test('full batches decide as single messages, but for the error that tiles have', async () => {
  const counting = pack(
    'when: count(card, "24h") + distinct(terminal, card, "1h") + declines(card, "7d") >= 3\n    outcome: review',
    'when: secondsSinceLast(customer, "24h") < 9000.0 || sum(device, "7d") >= 9000\n    outcome: decline',
  )
  const [alone = []] = await decided([counting], payments, 1)
  const [together = []] = await decided([counting], payments)
  assert.deepEqual(together.map(ruled), alone.map(ruled))
  const [one = []] = await decided([shipped], payments, 1)
  const [full = []] = await decided([shipped], payments)
  const others = full.filter(({ outcome }, at) => outcome !== one[at]?.outcome)
  assert.ok(others.length <= full.length / 500, `${others.length} of ${full.length}`)
})

/** What rules over rings say. The model's inputs have counts of merchants, which are tiles. */
function ruled({ outcome, reasons, hits, unknownRules }: Decision): unknown {
  return { outcome, reasons, hits, unknownRules }
}

test('a data file gives the decisions of the payments that were written to it', async () => {
  const some = payments.slice(0, 400)
  const text = csvHead + some.map(csvLine).join('')
  const layout = { renamed: new Map(), defaults: new Map(), decimalAmounts: false }
  const reader = createPaymentReader({ format: 'csv', ...layout })
  async function* bytes() {
    yield Buffer.from(text)
  }
  const options = optionsOf(shipped)
  const read = await runBacktest(
    reader.payments(bytes(), ({ message }) => assert.fail(message)),
    options,
  )
  assert.deepEqual(read, await runBacktest(inChunks(some), options))
})

function optionsOf(rules: CompiledRules, fromMs = Number.NEGATIVE_INFINITY) {
  return {
    rules,
    model,
    period: { fromMs, toMs: Number.POSITIVE_INFINITY },
    source: { labels: undefined, asOfMs: Number.POSITIVE_INFINITY, maturityMs: 0 },
    onProgress: () => undefined,
  }
}

test('a period starts with the counters that the days before had filled', async () => {
  const fromMs = startMs + 4 * dayMs
  const rules = pack('when: count(card, "7d") >= 4\n    outcome: review')
  const whole = await online(rules, payments)
  const report = await runBacktest(inChunks(payments), optionsOf(rules, fromMs))
  const inPeriod = payments.filter(({ request }) => request.arrivedAtMs >= fromMs)
  assert.equal(report.payments.payments, inPeriod.length)
  assert.equal(report.warmUp, payments.length - inPeriod.length)
  const reviewed = whole.filter(
    ({ outcome }, at) => outcome === 'review' && (payments[at]?.request.arrivedAtMs ?? 0) >= fromMs,
  )
  assert.equal(report.outcomes.review.payments, reviewed.length)
  assert.ok(reviewed.length > 20)
})

test('two rule sets decide as each would alone, with shared counters and with their own', async () => {
  const rates = (await readRuleFiles(folder('../../rules'))).filter(({ name }) => /fx/.test(name))
  const other = (files: readonly RuleFile[]) =>
    rulesOf([
      {
        name: 'packs/x.yaml',
        text: `typology: x
rules:
  - id: x.often
    title: t
    mode: live
    when: count(terminal, "10m") >= 2 && sum(card, "24h") >= 100
    outcome: review
    reason: often
  - id: x.scored
    title: t
    mode: live
    when: score >= 0.3 && distinct(card, merchant, "7d") >= 2
    outcome: decline
    reason: scored
`,
      },
      ...files,
    ])
  const some = payments.slice(0, 640)
  for (const [set, shares] of [
    [other(rates), true],
    [other([]), false],
  ] as const) {
    const [first = [], second = []] = await decided([shipped, set], some, BATCH_MAX, shares)
    const [alone = []] = await decided([set], some)
    const [shippedAlone = []] = await decided([shipped], some)
    assert.deepEqual(second.map(comparable), alone.map(comparable))
    assert.deepEqual(first.map(comparable), shippedAlone.map(comparable))
  }
})

const hour = 3_600_000

function payment(n: number, amount: number, changes: Partial<PastPayment> = {}): PastPayment {
  return {
    request: {
      id: `p${n}`,
      eventHash: n.toString(16).padStart(16, '9'),
      arrivedAtMs: startMs + n * hour,
      acquirer: 'demo',
      type: 'authorization',
      amount,
      currency: 'EUR',
      channel: 'pos',
      card: { token: `tok_${n}`, bin: '47617390' },
      merchant: { id: 'M-1', mcc: '5411' },
    },
    rrn: `rrn${n}`,
    outcome: 'approved',
    responseCode: '00',
    endedAtMs: startMs + n * hour + 500,
    decided: 'approve',
    decision: undefined,
    label: undefined,
    ...changes,
  }
}

// Above 100 is declined, above 50 reviewed; what ends in 7 is allowed; in shadow: above 20.
const sums = rulesOf([
  {
    name: 'packs/x.yaml',
    text: `typology: x
rules:
  - { id: x.large, title: t, mode: live, when: amount > 100, outcome: decline, reason: large }
  - { id: x.middle, title: t, mode: live, when: amount > 50, outcome: review, reason: middle }
  - id: x.odd
    title: t
    mode: live
    when: amount % 10 == 7
    outcome: approve
    overrides: decline
    reason: odd
  - { id: x.small, title: t, mode: shadow, when: amount > 20, outcome: decline, reason: small }
`,
  },
  {
    name: 'lists/fx.csv',
    text: 'date,currency,perEur,until\n2020-01-01,USD,1.1,2035-12-31\n',
  },
])

test('a report adds up', async () => {
  const fraud = { kind: 'stolen_card', knownAtMs: startMs + 10 * dayMs }
  const late = { kind: 'stolen_card', knownAtMs: startMs + 90 * dayMs }
  const past = [
    payment(1, 10),
    payment(2, 60),
    payment(3, 200, { label: fraud }),
    payment(4, 300),
    payment(5, 30, { label: fraud }),
    payment(6, 207, { label: fraud, decided: 'decline' }),
    payment(7, 400, { outcome: 'declined', responseCode: '51' }),
    payment(8, 500, { label: late }),
    payment(30, 45, { label: { kind: 'genuine', knownAtMs: Number.NaN } }),
  ]
  const source = { labels: undefined, asOfMs: startMs + 30 * dayMs, maturityMs: 29 * dayMs }
  const report = await runBacktest(inChunks(past), { ...optionsOf(sums), source })
  const { truth } = report
  assert.ok(truth !== null)
  assert.deepEqual(truth.fraud, { payments: 3, amount: 437 })
  assert.deepEqual(truth.genuine, { payments: 5, amount: 915 })
  assert.deepEqual(truth.stopped.fraud, { payments: 1, amount: 200 })
  assert.deepEqual(truth.stopped.genuine, { payments: 2, amount: 800 })
  assert.equal(truth.stopped.precision, 1 / 3)
  assert.equal(truth.stopped.recall, 1 / 3)
  assert.equal(truth.stopped.falsePositiveRatio, 2)
  assert.equal(truth.flagged.genuine.payments, 3)
  assert.deepEqual(truth.overridesOfFraud, { payments: 1, amount: 207 })
  assert.deepEqual(report.refusedThen.all, { payments: 1, amount: 400 })
  assert.equal(report.refusedThen.outcomes.decline, 1)
  const by = (id: string) => report.rules.find((rule) => rule.id === id)
  assert.deepEqual(by('x.large')?.hits, { payments: 5, amount: 1_607 })
  assert.equal(by('x.large')?.refusedThen.payments, 1)
  // Without the rule for large amounts four of them would be reviewed; the allowed one stays so.
  assert.equal(by('x.large')?.changes.payments, 4)
  assert.equal(by('x.middle')?.changes.payments, 1)
  assert.equal(by('x.odd')?.overrides, 1)
  assert.equal(by('x.odd')?.overridesOfFraud.amount, 207)
  // Live, the shadow rule would decline those above 20 that are not declined or allowed already.
  assert.deepEqual(by('x.small')?.changes, { payments: 3, amount: 135 })
  assert.deepEqual(
    report.changes.list.map(({ from, to, payments: count }) => [from, to, count]),
    [
      ['approve', 'decline', 4],
      ['approve', 'review', 1],
      ['decline', 'approve', 1],
    ],
  )
  assert.equal(report.changes.same + 6, report.changes.known)
  assert.deepEqual(report.overlaps[0], {
    rules: ['x.middle', 'x.small'],
    payments: 6,
    share: 1,
  })
  assert.deepEqual(
    report.days.map(({ day, fraud: f, genuineStopped }) => [
      day,
      f.payments,
      genuineStopped.amount,
    ]),
    [
      ['2026-01-05', 3, 800],
      ['2026-01-06', 0, 0],
    ],
  )
})

test('labels of a file count by id or RRN, and only as far as they were known', async () => {
  const past = [payment(1, 200), payment(2, 200), payment(3, 200)]
  const label = (day: number) => ({ kind: 'chargeback', knownAtMs: startMs + day * dayMs })
  const labels = { byId: new Map([['p1', label(3)]]), byRrn: new Map([['rrn2', label(9)]]) }
  const counts = async (asOfMs: number, maturityMs = 0) => {
    const source = { labels, asOfMs, maturityMs }
    const { truth } = await runBacktest(inChunks(past), { ...optionsOf(sums), source })
    return [truth?.fraud.payments, truth?.genuine.payments, truth?.unknown.payments]
  }
  assert.deepEqual(await counts(Number.POSITIVE_INFINITY), [2, 1, 0])
  assert.deepEqual(await counts(startMs + 5 * dayMs), [1, 2, 0])
  assert.deepEqual(await counts(startMs + 5 * dayMs, 30 * dayMs), [1, 0, 2])
  assert.deepEqual(await counts(startMs + dayMs), [undefined, undefined, undefined])
})
