// Payments to try a backtest on: the generator's, as a warehouse would have them. Frauds are known
// some weeks later, and only of payments that went through.

import {
  DEFAULT_GENERATE_OPTIONS,
  type GenerateOptions,
  generateTransactions,
} from '../training/index.ts'
import type { PastPayment } from './past-payment.ts'

export { DEFAULT_GENERATE_OPTIONS, type GenerateOptions }

const dayMs = 86_400_000

export function* demoPayments(options: GenerateOptions): Generator<PastPayment, void, undefined> {
  for (const { request, kind, responseCode, answeredAtMs } of generateTransactions(options)) {
    const isApproved = responseCode === '00'
    const isKnown = isApproved && kind !== 'genuine'
    // Five to forty-four days, by the hash, so that the same seed gives the same file.
    const delayDays = 5 + (Number.parseInt(request.eventHash.slice(0, 6), 16) % 40)
    yield {
      request,
      rrn: undefined,
      outcome: isApproved ? 'approved' : 'declined',
      responseCode,
      endedAtMs: answeredAtMs,
      decided: undefined,
      decision: undefined,
      label: isKnown ? { kind, knownAtMs: request.arrivedAtMs + delayDays * dayMs } : undefined,
    }
  }
}
