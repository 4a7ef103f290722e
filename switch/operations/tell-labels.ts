// Labels go on to velocity: what is known of a terminal and a merchant is counted from then on.

import { isFraudKind } from '#scoring'
import { scoredRequest } from '../past-payment.ts'
import { isTombstone, type Label } from '../store/index.ts'
import type { World } from '../world.ts'

/**
 * Tells velocity which of these transactions have become a fraud, or none any more, by the labels
 * recorded since `sinceMs`. Best effort, as outcomes are: the store has them, and a rebuild of the
 * counters counts them. Rejects as reads of the store do.
 */
export async function tellLabels(
  { store, scorer }: Pick<World, 'store' | 'scorer'>,
  ids: readonly string[],
  sinceMs: number,
): Promise<void> {
  for (const id of new Set(ids)) {
    const transaction = await store.read(id)
    if (transaction === undefined) continue
    const { intent, labels } = transaction
    // Steps and originals that have not come were never counted.
    if (intent.payment !== undefined || isTombstone(intent)) continue
    const wasFraud = sayFraud(labels.filter(({ recordedAtMs }) => recordedAtMs < sinceMs))
    const isFraud = sayFraud(labels)
    if (isFraud === wasFraud) continue
    scorer.publish({ request: scoredRequest(transaction), kind: isFraud ? 'fraud' : 'cleared' })
  }
}

/** Whether the label that was known last says so. */
function sayFraud(labels: readonly Label[]): boolean {
  const last = labels.reduce<Label | undefined>(
    (newest, label) =>
      newest === undefined || label.knownAtMs >= newest.knownAtMs ? label : newest,
    undefined,
  )
  return last !== undefined && isFraudKind(last.kind)
}
