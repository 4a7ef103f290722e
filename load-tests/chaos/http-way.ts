// HTTP with JSON: one request at a time on a connection, and as many connections as the answers'
// slowness asks for, so that the load stays open loop.

import { Connections } from '../driver/connections.ts'
import { jsonBodyOf } from '../driver/mix.ts'
import type { HttpAnswer } from '../driver/response-parser.ts'
import type { Told } from './asked.ts'
import { connectionsAtOnce, connectionsMax } from './limits.ts'
import type { Target } from './proxy.ts'
import { digestOf } from './stored.ts'
import type { Answer, Question, WayIn, WayInEvents } from './way-in.ts'

export class HttpWay implements WayIn {
  readonly #target: Target
  readonly #connections: Connections
  #isOpening = false

  constructor(target: Target, events: WayInEvents) {
    this.#target = target
    const told = {
      onAnswer: (token: number, answer: HttpAnswer) => events.onAnswer(token, answerOf(answer)),
      onNoAnswer: (token: number) => events.onNoAnswer(token),
      onIdle: () => undefined,
      onConnectFailed: () => undefined,
    }
    const now = () => performance.now()
    this.#connections = new Connections(target, now, told, connectionsAtOnce)
  }

  async open(): Promise<void> {
    this.#isOpening = true
    await this.#connections.open(connectionsAtOnce)
    this.#isOpening = false
  }

  send(token: number, question: Question): boolean {
    const isSent = this.#connections.send(token, () => bytesOf(this.#target, question))
    if (!isSent && !this.#isOpening && this.#connections.count < connectionsMax) void this.open()
    return isSent
  }

  giveUp(token: number): void {
    this.#connections.giveUp(token)
  }

  close(): void {
    this.#connections.close()
  }
}

function bytesOf({ host, port }: Target, { asked, request }: Question): string {
  const { of, kind, amount, idempotencyKey } = asked
  const step = of === null ? '' : `/${of.answer?.id}/${kind}s`
  const text = of === null ? jsonBodyOf(request()) : JSON.stringify({ amount })
  return (
    `POST /v1/authorizations${step} HTTP/1.1\r\nHost: ${host}:${port}\r\n` +
    'Authorization: Bearer demo-key\r\n' +
    'Content-Type: application/json\r\nAccept: application/json\r\n' +
    `Idempotency-Key: ${idempotencyKey}\r\nContent-Length: ${text.length}\r\n\r\n${text}`
  )
}

/** 5xx and what is in progress are for now. Anything else a request of ours never earns. */
function answerOf({ status, body }: HttpAnswer): Answer {
  const answer = readJson(body)
  if (status === 200) return { kind: 'told', told: readTold(answer ?? {}, body) }
  const code = String(answer?.code ?? '')
  const isForNow = status >= 500 || code.endsWith('_in_progress')
  return { kind: isForNow ? 'later' : 'refused', name: `${status} ${code}`.trim() }
}

function readJson(body: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

function readTold(answer: Readonly<Record<string, unknown>>, body: Buffer): Told {
  const { card, risk, standIn } = answer as {
    card?: { masked?: unknown }
    risk?: { degraded?: string[] }
    standIn?: boolean
  }
  const text = (name: string) => String(answer[name] ?? '')
  return {
    digest: digestOf(body),
    id: text('id'),
    type: text('type'),
    outcome: text('outcome'),
    responseCode: text('responseCode'),
    issuer: text('issuer'),
    approvalCode: text('approvalCode'),
    amount: Number(answer.amount),
    rrn: text('rrn'),
    maskedPan: String(card?.masked ?? ''),
    authorization: text('authorization'),
    standIn: standIn === true,
    degraded: risk?.degraded ?? [],
  }
}
