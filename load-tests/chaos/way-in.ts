// A way into the switch as a chaos run's acquirer sees it: questions go in by a number of the run's
// own, and what was told comes back by it.

import type { MixedRequest } from '../driver/mix.ts'
import type { Asked, Told } from './asked.ts'

export const WAYS = ['http', 'iso'] as const
export type WayName = (typeof WAYS)[number]

export interface Question {
  readonly asked: Asked
  /** The authorization's request; a step is about it. */
  readonly request: () => MixedRequest
}

export type Answer =
  | { readonly kind: 'told'; readonly told: Told }
  /** DE39 91: the recorded outcome, or a refusal at the door that consumed nothing. */
  | { readonly kind: 'unsure'; readonly told: Told }
  /** For now, or for good; `name` is for the report. */
  | { readonly kind: 'later' | 'refused'; readonly name: string }

export interface WayInEvents {
  onAnswer(token: number, answer: Answer): void
  onNoAnswer(token: number): void
}

export interface WayIn {
  /** Opens the first connections; resolves when each is open or was refused once. */
  open(): Promise<void>
  /** False where no connection has room: nothing left. `isRepeat`: it was sent before. */
  send(token: number, question: Question, isRepeat: boolean): boolean
  /** `onNoAnswer` follows. */
  giveUp(token: number): void
  close(): void
}
