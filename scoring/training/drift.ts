// A run of generated transactions past a model, as a switch would score them, and what its drift
// watch says: of the population that the model knows, or of one that was shifted on purpose.

import { openModelFolder } from '../adapters/index.ts'
import { type DriftReport, DriftWatch } from '../drift.ts'
import { FEATURE_NAMES, FEATURES } from '../features.ts'
import { loadModel, type Model } from '../onnx/index.ts'
import type { DegradedPart } from '../request.ts'
import { createEmbeddedVelocity } from '../velocity/index.ts'
import { generatedFactSource } from './fact-source.ts'
import { featureRows } from './feature-rows.ts'
import { type GenerateOptions, generateTransactions } from './generate.ts'
import { DAY_MS } from './genuine.ts'
import type { GeneratedTransaction } from './purchase.ts'

export interface DriftOptions {
  readonly modelFolder: string
  readonly generate: GenerateOptions
  /** Days at the start whose rows are not counted: the counters are not full yet. */
  readonly warmUpDays: number
  /** Days after it whose rows are counted. */
  readonly countedDays: number
  /** Multiplies every amount after the warm-up; 1 leaves the population as it is. */
  readonly amountFactor: number
  /** After the warm-up nobody sends a device any more. */
  readonly withoutDevice: boolean
}

const VELOCITY_BYTES_MAX = 8e9
const BATCH_ROWS = 256
const WHOLE: readonly DegradedPart[] = []

/** Rejects where the model is refused, saying why. */
export async function generatedDrift(options: DriftOptions): Promise<DriftReport> {
  const loaded = await loadModel(openModelFolder(options.modelFolder), {
    featureNames: FEATURE_NAMES,
  })
  if (!loaded.ok) throw new Error(loaded.problem.message)
  try {
    return await countRows(loaded.model, new DriftWatch(loaded.manifest.psiBaseline, 0), options)
  } finally {
    await loaded.model.release()
  }
}

async function countRows(
  model: Model,
  watch: DriftWatch,
  options: DriftOptions,
): Promise<DriftReport> {
  const { generate, warmUpDays, countedDays } = options
  const countsFromMs = generate.startMs + warmUpDays * DAY_MS
  const endMs = countsFromMs + countedDays * DAY_MS
  const rows = featureRows(shifted(options, countsFromMs), {
    openVelocity: () => createEmbeddedVelocity({ bytesMax: VELOCITY_BYTES_MAX }),
    factSource: generatedFactSource(),
    restartsAtMs: [],
    velocityMissingShare: 0,
    seed: generate.seed,
  })
  const batch = new Float32Array(BATCH_ROWS * FEATURES.length)
  let held = 0
  const count = async (): Promise<void> => {
    if (held === 0) return
    const scores = await model.score(batch, held)
    for (let row = 0; row < held; row++) {
      const features = batch.subarray(row * FEATURES.length, (row + 1) * FEATURES.length)
      watch.observe({ features, score: scores[row] as number, degraded: WHOLE }, 0)
    }
    held = 0
  }
  for await (const { atMs, features } of rows) {
    if (atMs < countsFromMs) continue
    if (atMs >= endMs) break
    batch.set(features, held * FEATURES.length)
    if (++held === BATCH_ROWS) await count()
  }
  await count()
  const { samples, psi } = watch.soFar(0)
  return { fromMs: countsFromMs, untilMs: endMs, samples, psi }
}

function* shifted(
  { generate, amountFactor, withoutDevice }: DriftOptions,
  fromMs: number,
): Generator<GeneratedTransaction, void, undefined> {
  for (const transaction of generateTransactions(generate)) {
    const { request } = transaction
    if (request.arrivedAtMs < fromMs) {
      yield transaction
      continue
    }
    const { device, ...rest } = request
    const amount = Math.round(request.amount * amountFactor)
    const kept = withoutDevice || device === undefined ? rest : { ...rest, device }
    yield { ...transaction, request: { ...kept, amount } }
  }
}
