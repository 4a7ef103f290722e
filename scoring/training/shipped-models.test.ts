// What is in scoring/models must load, agree with its card, and leave ordinary people alone.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import onnxProto from 'onnx-proto'
import { openModelFolder } from '../adapters/index.ts'
import { createEntityKeys } from '../entity-keys.ts'
import { factsOf } from '../facts.ts'
import {
  FEATURE_AGGREGATES,
  FEATURE_NAMES,
  FEATURES,
  featureSlots,
  fillFeatures,
} from '../features.ts'
import { bandOf, loadModel, type Manifest, type Model } from '../onnx/index.ts'
import type { ScoringRequest } from '../request.ts'
import { createEmbeddedVelocity } from '../velocity/index.ts'
import { generatedFactSource } from './fact-source.ts'
import { featureTable } from './feature-table.ts'
import { FRAUD_KINDS } from './purchase.ts'

const MODELS = fileURLToPath(new URL('../models', import.meta.url))
const FOLDER = path.join(MODELS, 'switchyard-trees')
const MODEL_BYTES_SHIPPED_MAX = 2_000_000

let model: Model
let manifest: Manifest
before(async () => {
  const loaded = await loadModel(openModelFolder(FOLDER), { featureNames: FEATURE_NAMES })
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.problem.message)
  model = loaded.model
  manifest = loaded.manifest
})
after(() => model.release())

test('every shipped model loads with its parity vectors and is small', async () => {
  const folders = readdirSync(MODELS, { withFileTypes: true }).filter((each) => each.isDirectory())
  assert.ok(folders.length > 0)
  for (const { name } of folders) {
    const folder = path.join(MODELS, name)
    const loaded = await loadModel(openModelFolder(folder), { featureNames: FEATURE_NAMES })
    assert.ok(loaded.ok, loaded.ok ? '' : loaded.problem.message)
    assert.equal(loaded.model.name, name)
    assert.ok(loaded.manifest.parity.length >= 32)
    assert.ok(statSync(path.join(folder, 'model.onnx')).size < MODEL_BYTES_SHIPPED_MAX)
    await loaded.model.release()
  }
})

test('the ensemble is as large as its card says', () => {
  const bytes = readFileSync(path.join(FOLDER, 'model.onnx'))
  assert.equal(createHash('sha256').update(bytes).digest('hex'), manifest.modelSha256)
  const decoded = onnxProto.onnx.ModelProto.decode(bytes)
  const attributes = decoded.graph?.node?.[0]?.attribute ?? []
  const trees = attributes.find((attribute) => attribute.name === 'nodes_treeids')?.ints ?? []
  assert.equal(new Set(trees.map(Number)).size, manifest.training.trees)
  assert.ok(Number(manifest.training.trees) >= 100)
  assert.equal(trees.length, manifest.training.nodes)
})

test('the card says what the manifest says', () => {
  const card = readFileSync(path.join(FOLDER, 'model-card.md'), 'utf8')
  const { testMetrics, bands, dataSha256, name, version } = manifest
  assert.ok(card.startsWith(`# Model card: ${name} ${version}\n`))
  assert.ok(card.includes('**Generated, not real.**'))
  assert.ok(card.includes(dataSha256))
  const { rocAuc, averagePrecision, brierScore, logLoss } = testMetrics
  const overall = [rocAuc.toFixed(4), averagePrecision.toFixed(4)]
  const losses = [brierScore.toFixed(5), logLoss.toFixed(5)]
  assert.ok(card.includes(`| ${[...overall, ...losses].join(' | ')} |`))
  assert.deepEqual(
    testMetrics.kinds.map(({ kind }) => kind),
    [...FRAUD_KINDS],
  )
  for (const kind of testMetrics.kinds) {
    const recalls = kind.recalls.map((recall) => recall.toFixed(3))
    const numbers = [kind.rocAuc.toFixed(4), kind.averagePrecision.toFixed(4), ...recalls]
    assert.ok(card.includes(`| ${kind.kind} | ${kind.rows} | ${numbers.join(' | ')} |`), kind.kind)
  }
  for (const [index, band] of testMetrics.bands.entries()) {
    const from = bands[index + 1]?.from
    const numbers = [band.precision.toFixed(3), band.recall.toFixed(3)]
    assert.ok(card.includes(`| ${band.name} | ${from} | ${numbers.join(' | ')} |`), band.name)
  }
})

test('it finds fraud, on rows that it was not trained on', () => {
  const { rocAuc, averagePrecision, rows, fraudRows } = manifest.testMetrics
  assert.ok(rows > 100_000 && fraudRows > 500)
  assert.ok(rocAuc > 0.97 && averagePrecision > 0.7)
})

test('the baseline describes every feature', () => {
  const { features, score } = manifest.psiBaseline
  assert.deepEqual(
    features.map(({ name }) => name),
    FEATURE_NAMES,
  )
  for (const { name, shares, edges, missingShare } of [score, ...features]) {
    const sum = shares.reduce((total, share) => total + share, 0)
    assert.ok(Math.abs(sum - 1) < 1e-4 || missingShare === 1, name)
    assert.deepEqual(
      edges,
      edges.toSorted((one, other) => one - other),
      name,
    )
  }
})

/** Scores attempts one after the other on counters that start empty; all are approved. */
async function scoresOf(
  requests: readonly ScoringRequest[],
  outcome: 'approved' | 'declined' = 'approved',
  hasVelocity = true,
): Promise<number[]> {
  const velocity = createEmbeddedVelocity()
  const keysOf = createEntityKeys(new Uint8Array(32))
  const source = generatedFactSource()
  const slots = featureSlots(FEATURE_AGGREGATES)
  const row = new Float32Array(FEATURES.length)
  const scores: number[] = []
  for (const request of requests) {
    const facts = factsOf(request, source)
    const { eventHash, arrivedAtMs: atMs } = request
    const keys = keysOf(request)
    const place = { latitude: Number.NaN, longitude: Number.NaN }
    const attempt = { eventHash, atMs, keys, baseAmount: facts.baseAmount, ...place }
    const [values] = await velocity.observe([attempt], FEATURE_AGGREGATES, 1_000)
    assert.ok(values !== undefined)
    fillFeatures(row, 0, facts, hasVelocity ? values.values : new Float64Array(0), slots)
    scores.push((await model.score(row, 1))[0] ?? Number.NaN)
    await velocity.publish([{ eventHash, atMs: atMs + 50, keys, kind: outcome }], 1_000)
  }
  await velocity.close()
  return scores
}

/** The purchase of the quick start: 25.99 EUR, contactless, nothing known of anybody. */
function purchase(number: number, changes: Partial<ScoringRequest> = {}): ScoringRequest {
  return {
    id: `auth_${number}`,
    eventHash: createHash('sha256').update(`${number}`).digest('hex').slice(0, 16),
    arrivedAtMs: Date.UTC(2026, 10, 22, 10) + number * 6_000,
    acquirer: 'demo',
    type: 'authorization',
    amount: 2_599,
    currency: 'EUR',
    channel: 'pos',
    card: { token: 'card_1', bin: '47617390', expiry: '2912' },
    merchant: { id: 'M-1001', name: 'Corner Shop', mcc: '5411', country: 'DE' },
    terminal: { id: 'T-0001', entryMode: 'contactless' },
    device: { id: 'D-77', ip: '203.0.113.7' },
    customer: { id: 'C-42' },
    ...changes,
  }
}

/** Below a fifth of where the first band above the lowest begins. */
function assertCalm(scores: readonly number[], what: string): void {
  const review = model.bands[1]?.from ?? 0
  for (const score of scores) assert.ok(score < review / 5, `${what}: ${score}`)
}

test('an ordinary first purchase scores low, and so does trying it again and again', async () => {
  const ten = Array.from({ length: 10 }, (_, number) => number)
  assertCalm(await scoresOf(ten.map((number) => purchase(number))), 'the same card')
  for (const country of ['DE', 'US', 'PL']) {
    const card = { token: 'card_1', bin: '47617390', country }
    assertCalm(await scoresOf(ten.map((number) => purchase(number, { card }))), country)
  }
  const cards = ten.map((number) => ({ token: `card_${number % 3}`, bin: '54133300' }))
  const three = ten.map((number) => purchase(number, { card: cards[number] as (typeof cards)[0] }))
  assertCalm(await scoresOf(three), 'three cards')
  assertCalm(await scoresOf(three, 'declined'), 'three cards, declined by the issuer')
})

test('missing is not fraud', async () => {
  const ten = Array.from({ length: 10 }, (_, number) => number)
  const bare = ten.map((number) => {
    const { device: _device, customer: _customer, terminal: _terminal, ...rest } = purchase(number)
    return rest
  })
  assertCalm(await scoresOf(bare), 'no device, customer and terminal')
  assertCalm(
    await scoresOf(
      ten.map((number) => purchase(number)),
      'approved',
      false,
    ),
    'no velocity',
  )
})

test('a stream of new cards, customers and devices scores low', async () => {
  const stream = Array.from({ length: 300 }, (_, number) =>
    purchase(number, {
      arrivedAtMs: Date.UTC(2026, 10, 22, 10) + number,
      channel: 'ecommerce',
      amount: 1_000 + ((number * 7_919) % 9_000),
      card: { token: `card_${number}`, bin: '47617300' },
      merchant: { id: `M-${number % 50}`, mcc: String(5_400 + (number % 90)), country: 'DE' },
      terminal: { id: `T-${number % 100}`, entryMode: 'ecommerce' },
      device: { id: `D-${number}`, ip: `10.0.${number >> 8}.${number & 255}` },
      customer: { id: `C-${number}` },
    }),
  )
  const scores = await scoresOf(stream)
  const review = model.bands[1]?.from ?? 0
  for (const score of scores) assert.ok(score < review, `${score}`)
})

test('card testing from one device reaches the highest band', async () => {
  const tests = Array.from({ length: 30 }, (_, number) =>
    purchase(number, {
      channel: 'ecommerce',
      amount: 100,
      card: { token: `card_${number}`, bin: '47617300' },
      merchant: { id: 'M-5', mcc: '5816', country: 'DE' },
      terminal: { entryMode: 'ecommerce' },
      device: { id: 'D-9', ip: '203.0.113.9' },
    }),
  )
  const scores = await scoresOf(tests, 'declined')
  const last = scores[scores.length - 1] ?? Number.NaN
  assert.equal(bandOf(model.bands, last), model.bands[model.bands.length - 1])
})

/** Tables are compared without the padding that a formatter gives their columns. */
function unpadded(table: string): string {
  return table.replace(/-{3,}/g, '---').replace(/ +/g, ' ')
}

test('the page of the features holds the table as the code has it', () => {
  const page = unpadded(readFileSync(new URL('README.md', import.meta.url), 'utf8'))
  const message = 'paste what `switchyard model features` prints'
  for (const line of featureTable().split('\n').slice(2)) {
    assert.ok(page.includes(`\n${unpadded(line)}\n`), `${message}: ${line}`)
  }
  assert.equal(page.match(/\n\| [0-9]+ \|/g)?.length, FEATURES.length, message)
})
