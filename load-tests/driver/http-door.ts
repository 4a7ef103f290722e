// HTTP/1.1 with JSON or MessagePack bodies: one request at a time on a keep-alive connection.

import { Packr } from 'msgpackr'
import { Connections } from './connections.ts'
import type { Door, DoorAnswer, DoorEvents, NoAnswer, OutcomeName, Target } from './door.ts'
import { jsonBodyOf, type MixedRequest } from './mix.ts'
import type { HttpAnswer } from './response-parser.ts'

export interface HttpDoorOptions {
  readonly target: Target
  readonly apiKey: string
  /** Makes the keys of this run its own: keys are `<runId>-<number>`. */
  readonly runId: string
  readonly format: 'json' | 'msgpack'
  readonly now: () => number
}

/** Plain MessagePack: the records of msgpackr's own extension stay inside a process. */
const packr = new Packr({ useRecords: false })

export class HttpDoor implements Door {
  readonly #connections: Connections
  readonly #format: 'json' | 'msgpack'
  readonly #head: string

  constructor(options: HttpDoorOptions, events: DoorEvents) {
    const { target, format } = options
    const type = `application/${format}`
    this.#format = format
    this.#head =
      `POST /v1/authorizations HTTP/1.1\r\nHost: ${target.host}:${target.port}\r\n` +
      `Authorization: Bearer ${options.apiKey}\r\nContent-Type: ${type}\r\nAccept: ${type}\r\n` +
      `Idempotency-Key: ${options.runId}-`
    this.#connections = new Connections(target, options.now, {
      onAnswer: (token, answer) => {
        const read = readHttpAnswer(answer, format)
        if (typeof read === 'string') events.onNoAnswer(token, read)
        else events.onAnswer(token, read)
      },
      onNoAnswer: (token, why) => events.onNoAnswer(token, why),
      onIdle: () => events.onIdle(),
      onConnectFailed: () => events.onConnectFailed(),
    })
  }

  open(count: number): Promise<void> {
    return this.#connections.open(count)
  }

  send(token: number, request: MixedRequest): boolean {
    return this.#connections.send(token, () => this.#bytesOf(token, request))
  }

  giveUp(token: number): void {
    this.#connections.giveUp(token)
  }

  close(): void {
    this.#connections.close()
  }

  #bytesOf(token: number, request: MixedRequest): string | Buffer {
    const text = jsonBodyOf(request)
    const head = `${this.#head}${token}\r\nContent-Length: `
    // JSON of the mix is ASCII, so its length in bytes is its length.
    if (this.#format === 'json') return `${head}${text.length}\r\n\r\n${text}`
    const body = packr.pack(JSON.parse(text))
    return Buffer.concat([Buffer.from(`${head}${body.length}\r\n\r\n`, 'latin1'), body])
  }
}

function readHttpAnswer(answer: HttpAnswer, format: 'json' | 'msgpack'): DoorAnswer | NoAnswer {
  // Problem documents of refusals before the body was read are JSON whatever was accepted.
  const body = parseObject(answer.body, format)
  if (answer.status === 200) return readOutcome(body)
  const { code } = body ?? {}
  return refusalOf(answer.status, code)
}

/** The same of a body that came by another way. */
export function readOutcome(
  body: Readonly<Record<string, unknown>> | undefined,
): DoorAnswer | NoAnswer {
  const outcome = body?.outcome
  if (outcome !== 'declined' && outcome !== 'challenged' && outcome !== 'approved') {
    return 'unreadable_answer'
  }
  return {
    kind: 'outcome',
    outcome: outcome satisfies OutcomeName,
    issuer: String(body?.issuer),
    approvalCode: String(body?.approvalCode),
    amount: Number(body?.amount),
    standIn: body?.standIn === true,
  }
}

/** `http_503_overloaded`: the status, and the problem's code where it says one. */
export function refusalOf(status: number, code: unknown): DoorAnswer {
  const isWord = typeof code === 'string' && /^[a-z_]{1,40}$/.test(code)
  const isOpen = status === 409 || status === 500 || code === 'outcome_unknown'
  return { kind: 'refused', error: `http_${status}${isWord ? `_${code}` : ''}`, isOpen }
}

function parseObject(
  body: Buffer,
  format: 'json' | 'msgpack',
): Readonly<Record<string, unknown>> | undefined {
  try {
    const isJson = format === 'json' || body[0] === 0x7b
    const value: unknown = isJson ? JSON.parse(body.toString('utf8')) : packr.unpack(body)
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
