// The acquirers' HTTP: `POST /v1/authorizations`, `GET /v1/authorizations/{id}` and `?rrn=`, and the
// steps of a payment below them (payment-path.ts).

import { Authenticator } from '../authenticate.ts'
import { authorize } from '../authorize.ts'
import { ERRORS, problemDocument, type Refusal, refuse } from '../errors.ts'
import { IDEMPOTENCY_KEY_CHARACTERS_MAX, RRN_MATCHES_MAX } from '../limits.ts'
import { parseAuthorization } from '../message.ts'
import type { Reply } from '../respond.ts'
import type { Acquirer, World } from '../world.ts'
import {
  acceptedKind,
  CONTENT_TYPES,
  type ContentKind,
  contentKind,
  readContent,
  writeContent,
} from './content.ts'
import type { HttpApi, HttpRequest, HttpResponse } from './http.ts'
import {
  COLLECTION,
  findByPath,
  postStep,
  type StepPath,
  stepAnswers,
  stepOfPath,
} from './payment-path.ts'

/** Visible ASCII: a key is compared byte for byte, and stands in a log. */
const IDEMPOTENCY_KEY = /^[\x21-\x7e]+$/

export function createAcquirerApi(world: World): HttpApi<Acquirer> {
  const authenticator = new Authenticator(world.config.acquirers)
  const refused = (refusal: Refusal) => refusalResponse(world, refusal)
  return {
    gate(head) {
      if (!head.path.startsWith('/v1/')) {
        return { refused: refused(refuse('not_found', `see ${COLLECTION}`)) }
      }
      const caller = authenticator.authenticate(head.headers.get('authorization') ?? '')
      return 'kind' in caller ? { refused: refused(caller) } : { caller }
    },
    handle(request, acquirer) {
      if (request.method === 'POST') {
        const step = stepOfPath(request.path)
        if (step !== undefined || request.path === COLLECTION) {
          return post(world, acquirer, request, step)
        }
      }
      if (request.method === 'GET') return getAuthorization(world, acquirer, request)
      return refused(refuse('not_found', `${request.method} is not answered on this path`))
    },
    refuse: (code, detail) => refused(refuse(code, detail)),
  }
}

/**
 * An authorization, or a step of one. Everything up to its story is synchronous: the body is gone
 * after the first await.
 */
function post(
  world: World,
  acquirer: Acquirer,
  request: HttpRequest,
  step: StepPath | undefined,
): HttpResponse | Promise<HttpResponse> {
  const refused = (refusal: Refusal) => refusalResponse(world, refusal)
  const key = request.headers.get('idempotency-key') ?? ''
  if (key === '') {
    const detail = 'send an Idempotency-Key header, new for each request'
    return refused(refuse('idempotency_key_required', detail, 'Idempotency-Key'))
  }
  if (key.length > IDEMPOTENCY_KEY_CHARACTERS_MAX || !IDEMPOTENCY_KEY.test(key)) {
    const detail = `up to ${IDEMPOTENCY_KEY_CHARACTERS_MAX} visible ASCII characters`
    return refused(refuse('idempotency_key_invalid', detail, 'Idempotency-Key'))
  }
  const kind = contentKind(request.headers.get('content-type'))
  if (kind === undefined) {
    const detail = 'send application/json or application/msgpack'
    return refused(refuse('unsupported_content_type', detail, 'Content-Type'))
  }
  // A step without a body asks for all that there is.
  const isBare = step !== undefined && request.body.length === 0
  const content = isBare ? NO_FIELDS : readContent(kind, request.body)
  if (content.kind === 'refused') return refused(content)
  const answerKind = acceptedKind(request.headers.get('accept'), kind)
  const taken =
    step === undefined
      ? postAuthorization(world, acquirer, key, content.value, traceOf(request))
      : postStep(world, acquirer, key, step, content.value)
  if (!(taken instanceof Promise)) return refused(taken)
  return taken.then((reply) => replyResponse(world, reply, answerKind))
}

const NO_FIELDS = { kind: 'read', value: {} } as const

function postAuthorization(
  world: World,
  acquirer: Acquirer,
  key: string,
  body: unknown,
  traceparent: string | undefined,
): Refusal | Promise<Reply> {
  const authorization = parseAuthorization(body)
  if ('kind' in authorization) return authorization
  return authorize(world, acquirer, key, authorization, traceparent)
}

/** W3C Trace Context: the header as it came when it is well-formed. */
function traceOf(request: HttpRequest): string | undefined {
  const traceparent = request.headers.get('traceparent')
  if (traceparent === undefined) return undefined
  return /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(traceparent)
    ? traceparent
    : undefined
}

async function getAuthorization(
  world: World,
  acquirer: Acquirer,
  request: HttpRequest,
): Promise<HttpResponse> {
  const answerKind = acceptedKind(request.headers.get('accept'), 'json')
  if (request.path === COLLECTION) return findByRrn(world, acquirer, request.query, answerKind)
  const transaction = await findByPath(world, request.path)
  // Another acquirer's is as unknown as none: ids must not tell what exists.
  if (transaction === undefined || transaction.intent.acquirer !== acquirer.id) {
    return refusalResponse(world, refuse('not_found', 'nothing of yours has this id'))
  }
  if (transaction.outcome === null) {
    const refusal = refuse('authorization_in_progress', 'it has no outcome yet: ask again')
    return refusalResponse(world, { ...refusal, retryAfterSeconds: 1 })
  }
  return contentResponse(200, answerKind, transaction.outcome.answer, [])
}

async function findByRrn(
  world: World,
  acquirer: Acquirer,
  query: string,
  answerKind: ContentKind,
): Promise<HttpResponse> {
  const rrn = new URLSearchParams(query).get('rrn') ?? ''
  if (!/^[0-9A-Za-z]{12}$/.test(rrn)) {
    const refusal = refuse('invalid_field', 'ask with ?rrn= and twelve letters or digits', 'rrn')
    return refusalResponse(world, refusal)
  }
  const found = await world.store.findByRrn(acquirer.id, rrn, RRN_MATCHES_MAX)
  const answers = found.flatMap((one) => (one.outcome === null ? [] : [one.outcome.answer]))
  const steps = await stepAnswers(world, found)
  return contentResponse(200, answerKind, { authorizations: answers, steps }, [])
}

function replyResponse(world: World, reply: Reply, kind: ContentKind): HttpResponse {
  if (reply.kind === 'refused') return refusalResponse(world, reply)
  return contentResponse(200, kind, reply.body, reply.isReplay ? REPLAYED : [])
}

const REPLAYED = [['idempotent-replayed', 'true']] as const

function contentResponse(
  status: number,
  kind: ContentKind,
  value: unknown,
  headers: HttpResponse['headers'],
): HttpResponse {
  return { status, contentType: CONTENT_TYPES[kind], headers, body: writeContent(kind, value) }
}

/** Errors are `application/problem+json` (RFC 9457), whatever the request came in. */
function refusalResponse(world: World, refusal: Refusal): HttpResponse {
  world.journal.refused(refusal.code)
  const { retryAfterSeconds } = refusal
  const headers: (readonly [string, string])[] = []
  if (retryAfterSeconds !== undefined) headers.push(['retry-after', String(retryAfterSeconds)])
  if (refusal.code === 'unauthorized') headers.push(['www-authenticate', 'Bearer'])
  return {
    status: ERRORS[refusal.code].status,
    contentType: 'application/problem+json',
    headers,
    body: JSON.stringify(problemDocument(refusal, world.identifiers.next('req_'))),
  }
}
