// The model's costs a message: filling one row of features, scoring it in batches of 1, 16 and 64 by
// the shipped model, saying why (no plain approval only), and counting it for drift. Micros of the
// model are of one row.
//
//   node --import tsx bench/scoring/model.bench.ts [--json]

import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RuleFacts } from '#rules'
import {
  DriftWatch,
  FEATURE_AGGREGATES,
  FEATURE_NAMES,
  FEATURES,
  featureSlots,
  fillFeatures,
  whyOf,
} from '#scoring'
import { openModelFolder } from '../../scoring/adapters/index.ts'
import { loadModel, type Model, type PsiBaseline } from '../../scoring/onnx/index.ts'
import { benchFor, measure } from '../measure.ts'

const MODELS = fileURLToPath(new URL('../../scoring/models', import.meta.url))
const ROWS = [1, 16, 64] as const
const TIME_MS = 1_500

const facts: RuleFacts = {
  type: 'authorization',
  amount: 2_599,
  currency: 'EUR',
  baseAmount: 2_599,
  channel: 'ecommerce',
  acquirer: 'demo',
  localHour: 10,
  localWeekday: 3,
  card: { bin: '47617390', country: 'DE', token: 'tok', expiry: '2912' },
  merchant: { id: 'M-1001', mcc: '5411', name: undefined, city: undefined, country: 'DE' },
  terminal: { id: undefined, entryMode: 'ecommerce' },
  device: { id: 'D-77', ip: '203.0.113.7', ipCountry: 'DE', userAgent: undefined },
  customer: { id: 'C-42', email: undefined, country: undefined },
  threeDs: { version: undefined, eci: undefined, status: 'authenticated' },
}

async function benchFeatures(): Promise<void> {
  const target = new Float32Array(FEATURES.length)
  const aggregates = Float64Array.from(FEATURE_AGGREGATES, (_, index) => index * 1.5)
  const slots = featureSlots(FEATURE_AGGREGATES)
  const name = `features, a row of ${FEATURES.length}`
  await measure([{ name, run: () => fillFeatures(target, 0, facts, aggregates, slots) }])
}

/** Rows of the parity vectors in turn, so that different leaves are reached. */
function batchOf(rows: number, vectors: readonly (readonly (number | null)[])[]): Float32Array {
  const features = new Float32Array(rows * FEATURES.length)
  for (let row = 0; row < rows; row++) {
    const inputs = vectors[(row * 7) % vectors.length] ?? []
    features.set(
      inputs.map((value) => value ?? Number.NaN),
      row * FEATURES.length,
    )
  }
  return features
}

async function benchModel(model: Model, vectors: readonly (readonly (number | null)[])[]) {
  const bench = benchFor(TIME_MS)
  for (const rows of ROWS) {
    const features = batchOf(rows, vectors)
    bench.add(`model, a row of ${rows}`, () => model.score(features, rows))
  }
  await bench.run()
  for (const [index, task] of bench.tasks.entries()) {
    const { result } = task
    const rows = ROWS[index] ?? 1
    if (!('latency' in result)) throw new Error(`${task.name} was not measured: ${result.state}`)
    const { mean, p50, p99, samplesCount } = result.latency
    const micros = (ms: number | undefined) => Math.round(((ms ?? 0) * 1e6) / rows) / 1e3
    const line = {
      name: task.name,
      opsPerSecond: Math.round((1_000 / mean) * rows),
      p50Micros: micros(p50),
      p99Micros: micros(p99),
      samples: samplesCount,
    }
    const text = `${line.name.padEnd(44)} ${line.opsPerSecond.toLocaleString('en-US')}/s`
    const times = `p50 ${line.p50Micros} µs  p99 ${line.p99Micros} µs`
    console.log(process.argv.includes('--json') ? JSON.stringify(line) : `${text}  ${times}`)
  }
}

async function benchAround(
  model: Model,
  baseline: PsiBaseline,
  vectors: readonly (readonly (number | null)[])[],
): Promise<void> {
  const rows = 64
  const features = batchOf(rows, vectors)
  const decisions = Array.from({ length: rows }, (_, row) => ({
    features: features.slice(row * FEATURES.length, (row + 1) * FEATURES.length),
    score: 0.01,
    degraded: [],
  }))
  const watch = new DriftWatch(baseline, 0)
  let next = 0
  await measure([
    {
      name: 'why, a row',
      run: () => void whyOf(model, features, (next++ % rows) * FEATURES.length),
    },
    {
      name: 'drift, a row',
      run: () => watch.observe(decisions[next++ % rows] as (typeof decisions)[0], 0),
    },
  ])
}

await benchFeatures()
const folder = openModelFolder(path.join(MODELS, 'switchyard-trees'))
const loaded = await loadModel(folder, { featureNames: FEATURE_NAMES })
if (!loaded.ok) throw new Error(loaded.problem.message)
const vectors = loaded.manifest.parity.map((vector) => vector.inputs)
await benchModel(loaded.model, vectors)
await benchAround(loaded.model, loaded.manifest.psiBaseline, vectors)
await loaded.model.release()
