import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { compileRuleSet, type Lists, type RuleSet, readRuleFiles } from '#rules'
import { openModelFolder } from '../adapters/index.ts'
import { factSource } from '../facts.ts'
import { FEATURE_AGGREGATES, FEATURE_NAMES, FEATURES } from '../features.ts'
import { loadModel, type Model } from '../onnx/index.ts'
import { createScoring } from '../score.ts'
import { createEmbeddedVelocity, supportsAggregate } from '../velocity/index.ts'
import { type FeatureRow, type FeatureRowOptions, featureRows } from './feature-rows.ts'
import { DEFAULT_GENERATE_OPTIONS, generateTransactions } from './generate.ts'
import type { GeneratedTransaction } from './purchase.ts'

const RULES = fileURLToPath(new URL('../../rules', import.meta.url))
const MODEL = fileURLToPath(new URL('../models/switchyard-trees', import.meta.url))
const OPTIONS = { ...DEFAULT_GENERATE_OPTIONS, days: 3, customers: 400, seed: 11 }
/** Long enough that labels come back as features: after a week and what is left of a day. */
const LABELLED = { ...DEFAULT_GENERATE_OPTIONS, days: 20, customers: 80, seed: 8 }
const DAY_MS = 86_400_000

let ruleSet: RuleSet
let lists: Lists
let model: Model
let transactions: readonly GeneratedTransaction[]

before(async () => {
  const compiled = compileRuleSet(await readRuleFiles(RULES))
  assert.ok(compiled.ok)
  ruleSet = compiled.ruleSet
  lists = compiled.lists
  const loaded = await loadModel(openModelFolder(MODEL), { featureNames: FEATURE_NAMES })
  assert.ok(loaded.ok)
  model = loaded.model
  transactions = [...generateTransactions(OPTIONS)]
})
after(() => model.release())

async function offline(
  changes: Partial<FeatureRowOptions> = {},
  stream: readonly GeneratedTransaction[] = transactions,
): Promise<FeatureRow[]> {
  const rows: FeatureRow[] = []
  const options: FeatureRowOptions = {
    openVelocity: () => createEmbeddedVelocity(),
    factSource: factSource(lists),
    restartsAtMs: [],
    velocityMissingShare: 0,
    seed: 1,
    ...changes,
  }
  for await (const row of featureRows(stream, options)) {
    rows.push({ ...row, features: row.features.slice() })
  }
  return rows
}

/** The first row of which some bit differs; Infinity without. */
function firstDifference(rows: readonly FeatureRow[], others: readonly FeatureRow[]): number {
  assert.equal(rows.length, others.length)
  const bytesOf = ({ features }: FeatureRow) => new Uint8Array(features.buffer)
  const at = rows.findIndex(
    (row, n) => Buffer.compare(bytesOf(row), bytesOf(others[n] as FeatureRow)) !== 0,
  )
  return at < 0 ? Number.POSITIVE_INFINITY : at
}

test('velocity answers every aggregate that the features need', () => {
  assert.deepEqual(FEATURE_AGGREGATES.map(supportsAggregate).filter(Boolean), [])
})

test('offline rows equal what a live decision read, to the bit', async () => {
  const velocity = createEmbeddedVelocity()
  const clock = { now: () => 0, monotonic: () => 0 }
  const entityKey = new Uint8Array(32).fill(9)
  const scoring = createScoring({ ruleSet, lists, model, velocity, clock, entityKey })
  const stream = [...generateTransactions(LABELLED)]
  const rows = await offline({}, stream)
  assert.equal(rows.length, stream.length)
  const column = FEATURE_NAMES.indexOf('merchant_frauds_30d')
  assert.ok(
    rows.some(({ features }) => (features[column] ?? 0) > 0),
    'labels come back',
  )
  let due: GeneratedTransaction[] = []
  let unlabelled: GeneratedTransaction[] = []
  for (const [index, transaction] of stream.entries()) {
    const { request } = transaction
    const known = unlabelled.filter(({ knownAtMs }) => knownAtMs <= request.arrivedAtMs)
    unlabelled = unlabelled.filter(({ knownAtMs }) => knownAtMs > request.arrivedAtMs)
    for (const { request: fraud } of known) {
      const label = { ...fraud, atMs: fraud.arrivedAtMs, kind: 'fraud', responseCode: undefined }
      await scoring.publish([label as Parameters<typeof scoring.publish>[0][0]], 1_000)
    }
    const answered = due.filter((each) => each.answeredAtMs <= request.arrivedAtMs)
    answered.sort((one, other) => one.answeredAtMs - other.answeredAtMs)
    due = due.filter((each) => each.answeredAtMs > request.arrivedAtMs)
    for (const { request: earlier, responseCode, answeredAtMs } of answered) {
      const kind = responseCode === '00' ? 'approved' : 'declined'
      await scoring.publish([{ ...earlier, atMs: answeredAtMs, kind, responseCode }], 1_000)
    }
    const { decisions } = await scoring.score([request], 1_000)
    const live = decisions[0]?.features ?? new Float32Array(0)
    assert.deepEqual(live, rows[index]?.features, `transaction ${index}`)
    due.push(transaction)
    unlabelled.push(transaction)
  }
  await velocity.close()
})

test('no row knows a label before it was known, nor of a payment of the last week', async () => {
  const stream = [...generateTransactions(LABELLED)]
  const whole = await offline({}, stream)
  const cutMs = LABELLED.startMs + 16 * DAY_MS
  // What is not known by then may turn out to be anything, a fraud or none.
  const others = stream.map((each, n): GeneratedTransaction => {
    if (each.knownAtMs <= cutMs) return each
    return { ...each, knownAtMs: n % 2 === 0 ? Number.NaN : cutMs + 1 + n }
  })
  const before = whole.filter(({ atMs }) => atMs <= cutMs)
  const changed = await offline({}, others)
  assert.ok(firstDifference(changed, whole) >= before.length)
  // Whether a label comes at once or at the end of the delay is the same.
  const knownAfter = (days: number) =>
    stream.map((each): GeneratedTransaction => {
      const isFraud = each.kind !== 'genuine'
      return { ...each, knownAtMs: isFraud ? each.request.arrivedAtMs + days * DAY_MS : Number.NaN }
    })
  const atOnce = await offline({}, knownAfter(0))
  assert.equal(firstDifference(await offline({}, knownAfter(7)), atOnce), Number.POSITIVE_INFINITY)
  assert.ok(firstDifference(await offline({}, knownAfter(9)), atOnce) < atOnce.length)
})

test('a restart forgets, an outage is missing, and both are in the rows', async () => {
  const column = FEATURE_NAMES.indexOf('card_count_7d')
  const countAt = (row: FeatureRow | undefined) => row?.features[column] ?? Number.NaN
  const whole = await offline()
  const restartsAtMs = [OPTIONS.startMs + 86_400_000 * 2]
  const restarted = await offline({ restartsAtMs })
  const first = restarted.findIndex((row) => row.atMs >= (restartsAtMs[0] ?? 0))
  assert.equal(countAt(restarted[first]), 1)
  assert.deepEqual(restarted.slice(0, first), whole.slice(0, first))
  const forgotten = restarted
    .slice(first)
    .filter((row, i) => countAt(row) < countAt(whole[first + i]))
  assert.ok(forgotten.length > 100, `${forgotten.length}`)

  const patchy = await offline({ velocityMissingShare: 0.5 })
  const missing = patchy.filter((row) => Number.isNaN(countAt(row))).length
  assert.ok(Math.abs(missing / patchy.length - 0.5) < 0.1)
  const amount = FEATURE_NAMES.indexOf('amount_log')
  assert.ok(patchy.every((row, i) => Object.is(row.features[amount], whole[i]?.features[amount])))
  // What was not answered was counted all the same.
  const answered = patchy.flatMap((row, i) => (Number.isNaN(countAt(row)) ? [] : [i]))
  for (const i of answered) assert.deepEqual(patchy[i]?.features, whole[i]?.features)
  assert.equal(whole[0]?.features.length, FEATURES.length)
})
