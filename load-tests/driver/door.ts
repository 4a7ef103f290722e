// A way into the switch as a load run sees it: requests go in by a number of the run's own, answers
// come back by it, whatever the bytes between look like.

import type { MixedRequest } from './mix.ts'
import type { AnswerProblem } from './response-parser.ts'

export const PROTOCOLS = ['json', 'msgpack', 'websocket', 'iso8583'] as const
export type Protocol = (typeof PROTOCOLS)[number]

export interface Target {
  readonly host: string
  readonly port: number
}

export type OutcomeName = 'approved' | 'declined' | 'challenged'

/** What the switch said to one request. */
export type DoorAnswer =
  | {
      readonly kind: 'outcome'
      readonly outcome: OutcomeName
      readonly issuer: string
      readonly approvalCode: string
      /** Minor units: what was approved. */
      readonly amount: number
      readonly standIn: boolean
    }
  | {
      readonly kind: 'refused'
      /** For the report: `http_503_overloaded`, `de39_91`. */
      readonly error: string
      /** Its outcome is open, so it has to be asked again with the same key. */
      readonly isOpen: boolean
    }

/** Why a request got no answer. */
export type NoAnswer = AnswerProblem | 'connection_closed' | 'timeout' | 'unreadable_answer'

export interface DoorEvents {
  onAnswer(token: number, answer: DoorAnswer): void
  onNoAnswer(token: number, why: NoAnswer): void
  /** There is room for a further request. */
  onIdle(): void
  onConnectFailed(): void
}

export interface Door {
  /** Opens `count` connections; resolves when each is open or was refused once. */
  open(count: number): Promise<void>
  /**
   * Sends on a connection that has room; false where none has, and nothing was sent. `isRepeat`: the
   * same request once more, which must find its first answer.
   */
  send(token: number, request: MixedRequest, isRepeat: boolean): boolean
  /** Gives up a request: `onNoAnswer` follows with `timeout`. */
  giveUp(token: number): void
  close(): void
}
