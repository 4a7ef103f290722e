// An HTTP peer on virtual time: the HttpClient port, with a peer behind it that answers as it is
// told: late, wrong, or not at all.

import type { CreateHttpClient, HttpClientRequest, HttpSent, Timers } from '../ports.ts'

/** One POST as the peer reads it. */
export interface SimulatedPost {
  /** After the base path: `authorizations`. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readonly<Record<string, unknown>>
}

/** `null`: no answer, and the connection stays; `cut`: it ends. */
export type SimulatedHttpAnswer =
  | { readonly afterMs: number; readonly status: number; readonly body: object }
  | { readonly afterMs: number; readonly cut: true }
  | null

export interface SimulatedHttp {
  readonly createHttpClient: CreateHttpClient
  readonly received: readonly SimulatedPost[]
  /** A code such as ECONNREFUSED: nothing is let in; null: all is well again. */
  refuse(code: string | null): void
  /** Requests that have a connection now. */
  readonly open: number
}

const CONNECT_MS = 1

export function createSimulatedHttp(
  timers: Timers,
  answer: (post: SimulatedPost) => SimulatedHttpAnswer,
): SimulatedHttp {
  const received: SimulatedPost[] = []
  let refusal: string | null = null
  let open = 0
  const send = (request: HttpClientRequest): Promise<HttpSent> =>
    new Promise((resolve) => {
      timers.set(CONNECT_MS, () => {
        if (refusal !== null) return resolve({ kind: 'not_sent', code: refusal })
        open++
        const end = (sent: HttpSent) => {
          timers.clear(givenUp)
          open--
          resolve(sent)
        }
        const givenUp = timers.set(request.giveUpMs, () =>
          end({ kind: 'unknown', code: 'GIVEN_UP' }),
        )
        const post: SimulatedPost = {
          path: request.path.slice(request.path.lastIndexOf('/') + 1),
          headers: request.headers,
          body: JSON.parse(Buffer.from(request.body).toString('utf8')),
        }
        received.push(post)
        const given = answer(post)
        if (given === null || given.afterMs >= request.giveUpMs) return
        timers.set(given.afterMs, () => {
          if ('cut' in given) end({ kind: 'unknown', code: 'UND_ERR_SOCKET' })
          else {
            const body = Buffer.from(JSON.stringify(given.body))
            end({ kind: 'answered', status: given.status, body })
          }
        })
      })
    })
  return {
    createHttpClient: () => ({ send, close: () => {} }),
    received,
    refuse: (code) => {
      refusal = code
    },
    get open() {
      return open
    },
  }
}

/** What an issuer answers to one of our messages by HTTP: its numbers echoed, then `changes`. */
export function httpAnswerOf(
  { body }: SimulatedPost,
  responseCode: string,
  changes: Readonly<Record<string, unknown>> = {},
): object {
  const { messageType, stan, transmittedAt, rrn, amount, currency, terminalId } = body
  const mti = String(messageType)
  return {
    messageType: `${mti.slice(0, 2)}${Number(mti[2]) + 1}0`,
    ...{ stan, transmittedAt, rrn, amount, currency, terminalId, responseCode },
    ...changes,
  }
}
