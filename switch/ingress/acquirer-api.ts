// The acquirers' HTTP: `POST /v1/authorizations`, `GET /v1/authorizations/{id}` and `?rrn=`, and the
// steps of a payment below `/v1/authorizations/{id}/`.

import { Authenticator } from '../authenticate.ts'
import { authorize } from '../authorize.ts'
import { capture } from '../capture.ts'
import { ERRORS, problemDocument, type Refusal, refuse } from '../errors.ts'
import { increment } from '../increment.ts'
import { IDEMPOTENCY_KEY_CHARACTERS_MAX, RRN_MATCHES_MAX, RRN_STEPS_MAX } from '../limits.ts'
import { parseAuthorization } from '../message.ts'
import { refund } from '../refund.ts'
import type { Reply } from '../respond.ts'
import { reverse } from '../reverse.ts'
import { parseStep } from '../step-request.ts'
import type { StepKind, Transaction } from '../store/index.ts'
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

const COLLECTION = '/v1/authorizations'
const ULID = '[0-9A-HJKMNP-TV-Z]{26}'
const IDENTIFIER = new RegExp(`^(auth|cap|rev|ref|inc)_${ULID}$`)
/** A payment's id, the kind of step, and where it is asked for one step its id. */
const STEPS = new RegExp(
  `^${COLLECTION}/([^/]+)/(captures|reversals|refunds|increments)(?:/([^/]+))?$`,
)

type Story = typeof capture

const STORIES: Readonly<Record<string, { readonly kind: StepKind; readonly story: Story }>> = {
  captures: { kind: 'capture', story: capture },
  reversals: { kind: 'reversal', story: reverse },
  refunds: { kind: 'refund', story: refund },
  increments: { kind: 'increment', story: increment },
}

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
      if (request.path === COLLECTION && request.method === 'POST') {
        return postAuthorization(world, acquirer, request)
      }
      if (request.method === 'POST') {
        const response = postStep(world, acquirer, request)
        if (response !== undefined) return response
      }
      if (request.method === 'GET') return getAuthorization(world, acquirer, request)
      return refused(refuse('not_found', `${request.method} is not answered on this path`))
    },
    refuse: (code, detail) => refused(refuse(code, detail)),
  }
}

/** Everything up to `authorize` is synchronous: the body is gone after the first await. */
function postAuthorization(
  world: World,
  acquirer: Acquirer,
  request: HttpRequest,
): HttpResponse | Promise<HttpResponse> {
  const posted = readPost(request)
  if (posted.kind === 'refused') return refusalResponse(world, posted)
  const authorization = parseAuthorization(posted.value)
  if ('kind' in authorization) return refusalResponse(world, authorization)
  return authorize(world, acquirer, posted.key, authorization, traceOf(request)).then((reply) =>
    replyResponse(world, reply, posted.answerKind),
  )
}

/** Undefined: the path is none of these. An empty body asks for all that there is. */
function postStep(
  world: World,
  acquirer: Acquirer,
  request: HttpRequest,
): HttpResponse | Promise<HttpResponse> | undefined {
  const [, paymentId = '', plural = '', stepId] = STEPS.exec(request.path) ?? []
  const named = STORIES[plural]
  if (named === undefined || stepId !== undefined) return undefined
  const posted = readPost(request, {})
  if (posted.kind === 'refused') return refusalResponse(world, posted)
  const step = parseStep(named.kind, paymentId, posted.value)
  if (step.kind === 'refused') return refusalResponse(world, step)
  return named
    .story(world, acquirer, posted.key, step)
    .then((reply) => replyResponse(world, reply, posted.answerKind))
}

interface Posted {
  readonly kind: 'posted'
  readonly key: string
  readonly value: unknown
  readonly answerKind: ContentKind
}

/** What every POST has: a key, and a body that can be read; `empty` stands for one of no bytes. */
function readPost(request: HttpRequest, empty?: object): Posted | Refusal {
  const key = request.headers.get('idempotency-key') ?? ''
  if (key === '') {
    const detail = 'send an Idempotency-Key header, new for each request'
    return refuse('idempotency_key_required', detail, 'Idempotency-Key')
  }
  if (key.length > IDEMPOTENCY_KEY_CHARACTERS_MAX || !IDEMPOTENCY_KEY.test(key)) {
    const detail = `up to ${IDEMPOTENCY_KEY_CHARACTERS_MAX} visible ASCII characters`
    return refuse('idempotency_key_invalid', detail, 'Idempotency-Key')
  }
  const kind = contentKind(request.headers.get('content-type'))
  if (kind === undefined) {
    const detail = 'send application/json or application/msgpack'
    return refuse('unsupported_content_type', detail, 'Content-Type')
  }
  const isEmpty = empty !== undefined && request.body.length === 0
  const content = isEmpty ? { value: empty } : readContent(kind, request.body)
  if ('kind' in content && content.kind === 'refused') return content
  const answerKind = acceptedKind(request.headers.get('accept'), kind)
  return { kind: 'posted', key, value: content.value, answerKind }
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

/** `/v1/authorizations/{id}` of an authorization or a step, or a step below its payment. */
async function findByPath(world: World, path: string): Promise<Transaction | undefined> {
  const [, paymentId, plural = '', stepId] = STEPS.exec(path) ?? []
  const own = path.startsWith(`${COLLECTION}/`) ? path.slice(COLLECTION.length + 1) : ''
  const id = stepId ?? own
  if (!IDENTIFIER.test(id)) return undefined
  const found = await world.store.read(id)
  if (stepId === undefined) return found
  const isThere = found?.intent.payment?.paymentId === paymentId
  return isThere && found?.intent.kind === STORIES[plural]?.kind ? found : undefined
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
  const stepIds = found.flatMap(({ steps }) => steps).slice(0, RRN_STEPS_MAX)
  const steps: unknown[] = []
  for (const id of stepIds) {
    const step = await world.store.read(id)
    if (step?.outcome) steps.push(step.outcome.answer)
  }
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
