// A backtest from end to end: payments in order of arrival, decided again, judged and counted.

import type { Model } from '../onnx/index.ts'
import type { Decision } from '../request.ts'
import { BATCH_MAX, type CompiledRules, createEngine } from './engine.ts'
import { isFraud, type PastPayment } from './past-payment.ts'
import type { BacktestReport } from './report.ts'
import { Tally } from './tally.ts'
import { type LabelSource, labelOf, truthOf } from './truth.ts'

export interface Period {
  /** Milliseconds since 1970: payments from this moment on, and before the other. */
  readonly fromMs: number
  readonly toMs: number
}

export interface BacktestOptions {
  readonly rules: CompiledRules
  readonly model: Model
  readonly period: Period
  readonly source: LabelSource
  /** Told after every batch how many payments were read. */
  readonly onProgress: (payments: number) => void
}

/** The longest window: what came earlier is seen by no aggregate. */
export const warmUpMs = 30 * 86_400_000

/** Payments of a chunked stream, in batches; those that no window can see are left out. */
export async function* batchesOf(
  chunks: AsyncIterable<readonly PastPayment[]>,
  { fromMs, toMs }: Period,
): AsyncGenerator<readonly PastPayment[], void, undefined> {
  let batch: PastPayment[] = []
  for await (const chunk of chunks) {
    for (const payment of chunk) {
      const { arrivedAtMs } = payment.request
      if (arrivedAtMs < fromMs - warmUpMs || arrivedAtMs >= toMs) continue
      batch.push(payment)
      if (batch.length < BATCH_MAX) continue
      yield batch
      batch = []
    }
  }
  if (batch.length > 0) yield batch
}

/** The report, but for the lines that could not be read. Rejects where the model fails. */
export async function runBacktest(
  chunks: AsyncIterable<readonly PastPayment[]>,
  { rules, model, period, source, onProgress }: BacktestOptions,
): Promise<Omit<BacktestReport, 'badLines'>> {
  const engine = createEngine([rules], model, (payment) => labelOf(payment, source))
  const tally = new Tally(rules.ruleSet)
  const replayed = { decisions: 0, same: 0 }
  let warmUp = 0
  let read = 0
  try {
    for await (const batch of batchesOf(chunks, period)) {
      const [decisions = []] = await engine.decide(batch)
      for (let row = 0; row < batch.length; row++) {
        const payment = batch[row] as PastPayment
        if (payment.request.arrivedAtMs < period.fromMs) {
          warmUp++
          continue
        }
        const decision = decisions[row] as Decision
        const label = labelOf(payment, source)
        tally.take({
          payment,
          decision,
          truth: truthOf(payment, label, source),
          isLabelled: label !== undefined,
          isLabelledFraud: label !== undefined && isFraud(label),
        })
        countReplay(replayed, payment.decision, decision)
      }
      read += batch.length
      onProgress(read)
    }
    const { saturated, ...counted } = tally.finish()
    return {
      ruleSet: rules.ruleSet.hash,
      model: model.version,
      ...counted,
      warmUp,
      velocity: { ...engine.counted, saturated },
      replayed,
    }
  } finally {
    await engine.close()
  }
}

/** Where the same rules and model had decided with all parts there, the outcome is the same. */
function countReplay(
  replayed: { decisions: number; same: number },
  stored: Decision | undefined,
  decision: Decision,
): void {
  if (stored === undefined || stored.degraded.length > 0) return
  if (stored.ruleSet !== decision.ruleSet || stored.model !== decision.model) return
  replayed.decisions++
  if (stored.outcome === decision.outcome) replayed.same++
}
