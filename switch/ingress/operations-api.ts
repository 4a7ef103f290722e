// The operations port: /livez, /readyz, /metrics; what changes something needs the ADMIN_TOKEN.

import { hash, timingSafeEqual } from 'node:crypto'
import { type Requeued, TAKEN_BACK } from '../requeue.ts'
import { isOperatingError } from '../store/index.ts'
import type { HttpApi, HttpRequest, HttpResponse } from './http.ts'

/** One condition of readiness, with what an SRE should know of it. */
export interface ReadinessCheck {
  readonly name: string
  readonly isReady: boolean
  readonly detail: string
}

export interface OperationsApiOptions {
  readonly readiness: () => readonly ReadinessCheck[]
  /** The Prometheus text format. */
  readonly metrics: () => Promise<string>
  /** Without it nothing can be changed through this port. */
  readonly adminToken: string | undefined
  /** What decides, as JSON: `GET /v1/rules` and `GET /v1/model`. */
  readonly rules: () => object
  readonly model: () => object
  /** By path, for POST with the ADMIN_TOKEN. */
  readonly commands: Readonly<Record<string, OperatorCommand>>
  /** Queues the dead letters of a transaction again; undefined: no such transaction. */
  readonly requeue: (transactionId: string) => Promise<Requeued | undefined>
}

/**
 * An order with its JSON body; undefined where none came. May reject with what has a `code`: the
 * store's or the disk's fault, never for what is sent.
 */
export type OperatorCommand = (body: unknown) => Promise<CommandAnswer>

export interface CommandAnswer {
  readonly status: number
  readonly body: object
}

const REQUEUE = '/v1/queue/requeue'

/** `/readyz` is 200 only while every check holds; `?verbose` lists them all. */
export function createOperationsApi(options: OperationsApiOptions): HttpApi<'anyone'> {
  return {
    gate(head) {
      if (head.method === 'GET' || head.method === 'HEAD') return { caller: 'anyone' }
      if (head.method !== 'POST' || (head.path !== REQUEUE && !isCommand(options, head.path))) {
        return { refused: text(405, 'only GET and HEAD here\n') }
      }
      const given = head.headers.get('authorization') ?? ''
      return isAdmin(options.adminToken, given)
        ? { caller: 'anyone' }
        : { refused: text(401, `${howToOrder(options.adminToken)}\n`) }
    },
    handle: (request) =>
      request.method === 'POST' ? order(options, request) : answer(options, request),
    refuse: (_code, detail) => text(400, `${detail}\n`),
  }
}

function howToOrder(token: string | undefined): string {
  return token === undefined || token === ''
    ? 'it was started without an ADMIN_TOKEN, and takes no orders: start it with one'
    : 'send Authorization: Bearer <the ADMIN_TOKEN of the switch>'
}

function isAdmin(token: string | undefined, authorization: string): boolean {
  if (token === undefined || token === '') return false
  const digest = (text: string) => hash('sha256', text, 'buffer')
  return timingSafeEqual(digest(`Bearer ${token}`), digest(authorization))
}

function isCommand({ commands }: OperationsApiOptions, path: string): boolean {
  return Object.hasOwn(commands, path)
}

/** A store that can't be read or written is no bug: said so, and the rest goes on. */
async function order(options: OperationsApiOptions, request: HttpRequest): Promise<HttpResponse> {
  try {
    return await carryOut(options, request)
  } catch (error) {
    if (!isOperatingError(error)) throw error
    const { code, message } = error
    return json(503, { code, message: `${message}: see /readyz, and send it again` })
  }
}

async function carryOut(
  options: OperationsApiOptions,
  request: HttpRequest,
): Promise<HttpResponse> {
  const command = isCommand(options, request.path) ? options.commands[request.path] : undefined
  if (command === undefined) return requeue(options, request)
  const sent = Buffer.from(request.body).toString('utf8')
  let body: unknown
  try {
    body = sent.trim() === '' ? undefined : JSON.parse(sent)
  } catch {
    return json(400, { code: 'bad_request', message: 'the body is not JSON' })
  }
  const answered = await command(body)
  return json(answered.status, answered.body)
}

function json(status: number, body: object): HttpResponse {
  return { status, contentType: 'application/json', headers: [], body: `${JSON.stringify(body)}\n` }
}

/** POST {"transaction": "auth_..."}: its dead letters are queued again. */
async function requeue(options: OperationsApiOptions, request: HttpRequest): Promise<HttpResponse> {
  const transaction = transactionIn(request.body)
  if (transaction === undefined) return text(400, 'send {"transaction": "auth_..."} as JSON\n')
  const requeued = await options.requeue(transaction)
  if (requeued === undefined) {
    return json(404, { code: 'not_found', message: 'there is no such transaction' })
  }
  const { queued, takenBack } = requeued
  if (takenBack === 0) return json(200, { requeued: queued })
  const counts = { requeued: queued, takenBack }
  return json(409, { code: 'taken_back', message: TAKEN_BACK, ...counts })
}

function transactionIn(body: Uint8Array): string | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString('utf8'))
    if (typeof value !== 'object' || value === null || !('transaction' in value)) return undefined
    return typeof value.transaction === 'string' ? value.transaction : undefined
  } catch {
    return undefined
  }
}

async function answer(options: OperationsApiOptions, request: HttpRequest): Promise<HttpResponse> {
  switch (request.path) {
    case '/livez':
      return text(200, 'ok\n')
    case '/readyz':
      return readyz(options.readiness(), new URLSearchParams(request.query).has('verbose'))
    case '/v1/rules':
      return json(200, options.rules())
    case '/v1/model':
      return json(200, options.model())
    case '/metrics':
      return {
        status: 200,
        contentType: 'text/plain; version=0.0.4; charset=utf-8',
        headers: [],
        body: await options.metrics(),
      }
    default:
      return text(404, 'see /livez, /readyz?verbose, /metrics, /v1/rules and /v1/model\n')
  }
}

function readyz(checks: readonly ReadinessCheck[], isVerbose: boolean): HttpResponse {
  const failing = checks.filter((check) => !check.isReady)
  const shown = isVerbose ? checks : failing
  const lines = shown.map(
    (check) => `[${check.isReady ? '+' : '-'}] ${check.name}: ${check.detail}\n`,
  )
  const verdict = failing.length === 0 ? 'ready\n' : 'not ready\n'
  return text(failing.length === 0 ? 200 : 503, `${lines.join('')}${verdict}`)
}

function text(status: number, body: string): HttpResponse {
  return { status, contentType: 'text/plain; charset=utf-8', headers: [], body }
}
