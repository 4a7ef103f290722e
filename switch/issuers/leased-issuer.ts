// An issuer behind a lease: another process may take this one's work over once the lease has run
// out, so nothing leaves whose answer would be awaited for longer than the lease lasts. What does
// not leave is `not_sent`, as with a link that is down.

import type { Attempt, QueuedMessage } from '../store/index.ts'
import type {
  AskResult,
  CardData,
  DeliveredCard,
  DeliverResult,
  Issuer,
  TraceNumbers,
  TracePurpose,
} from './issuer.ts'
import type { LineState } from './line.ts'

export class LeasedIssuer implements Issuer {
  readonly #issuer: Issuer
  readonly #leaseOutlives: (durationMs: number) => boolean

  constructor(issuer: Issuer, leaseOutlives: (durationMs: number) => boolean) {
    this.#issuer = issuer
    this.#leaseOutlives = leaseOutlives
  }

  get name(): string {
    return this.#issuer.name
  }

  get isUp(): boolean {
    return this.#issuer.isUp && this.#leaseOutlives(this.#issuer.timeoutMs)
  }

  get connections(): readonly LineState[] {
    return this.#issuer.connections
  }

  get timeoutMs(): number {
    return this.#issuer.timeoutMs
  }

  get lateAnswerWindowMs(): number {
    return this.#issuer.lateAnswerWindowMs
  }

  drawTraceNumbers(purpose?: TracePurpose): TraceNumbers {
    return this.#issuer.drawTraceNumbers(purpose)
  }

  holdStan(stan: string): void {
    this.#issuer.holdStan(stan)
  }

  releaseStan(stan: string): void {
    this.#issuer.releaseStan(stan)
  }

  expectLateAnswer(attempt: Attempt): void {
    this.#issuer.expectLateAnswer(attempt)
  }

  ask(attempt: Attempt, card: CardData, timeoutMs: number): Promise<AskResult> {
    if (!this.#leaseOutlives(timeoutMs)) return Promise.resolve({ kind: 'not_sent' })
    return this.#issuer.ask(attempt, card, timeoutMs)
  }

  deliver(
    message: QueuedMessage,
    card: DeliveredCard,
    isRepeat: boolean,
    timeoutMs: number,
  ): Promise<DeliverResult> {
    // A repeat is on its way anyway: it need not be awaited for longer than a request.
    const awaitedMs = Math.min(timeoutMs, this.timeoutMs)
    if (!this.#leaseOutlives(awaitedMs)) return Promise.resolve({ kind: 'not_sent' })
    return this.#issuer.deliver(message, card, isRepeat, awaitedMs)
  }

  close(): Promise<void> {
    return this.#issuer.close()
  }
}
