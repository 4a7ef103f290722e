// The acquirers' HTTP: `POST /v1/authorizations`, `GET /v1/authorizations/{id}` and `?rrn=`.

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
import type { HttpApi, HttpHead, HttpRequest, HttpResponse } from './http.ts'
import { SignatureChecker, type SignedHead } from './http-signature.ts'

const COLLECTION = '/v1/authorizations'
const IDENTIFIER = /^auth_[0-9A-HJKMNP-TV-Z]{26}$/
/** Visible ASCII: a key is compared byte for byte, and stands in a log. */
const IDEMPOTENCY_KEY = /^[\x21-\x7e]+$/

/** Who is asking, and, where the request is signed, what is left to check with its body. */
export interface Caller {
  readonly acquirer: Acquirer
  readonly signed: SignedHead | undefined
}

export function createAcquirerApi(world: World): HttpApi<Caller> {
  const { acquirers, behindTlsTerminator } = world.config
  const authenticator = new Authenticator(acquirers)
  const scheme = behindTlsTerminator ? 'https' : 'http'
  const signatures = new SignatureChecker(acquirers, scheme, () => world.clock.now())
  const authenticate = (head: HttpHead): Caller | Refusal => {
    if (head.headers.has('signature-input')) {
      const signed = signatures.checkHead(head)
      return 'kind' in signed ? signed : { acquirer: signed.acquirer, signed }
    }
    const acquirer = authenticator.authenticate(head.headers.get('authorization') ?? '')
    return 'kind' in acquirer ? acquirer : { acquirer, signed: undefined }
  }
  const refused = (refusal: Refusal) => refusalResponse(world, refusal)
  return {
    gate(head) {
      if (!head.path.startsWith('/v1/')) {
        return { refused: refused(refuse('not_found', `see ${COLLECTION}`)) }
      }
      const caller = authenticate(head)
      return 'kind' in caller ? { refused: refused(caller) } : { caller }
    },
    handle(request, { acquirer, signed }) {
      if (signed !== undefined) {
        const refusal = signatures.admit(request, request.body, signed)
        if (refusal !== undefined) return refused(refusal)
      }
      if (request.path === COLLECTION && request.method === 'POST') {
        return postAuthorization(world, acquirer, request)
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
  const refused = (refusal: Refusal) => refusalResponse(world, refusal)
  const key = request.headers.get('idempotency-key') ?? ''
  if (key === '') {
    const detail = 'send an Idempotency-Key header, new for each authorization'
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
  const content = readContent(kind, request.body)
  if (content.kind === 'refused') return refused(content)
  const authorization = parseAuthorization(content.value)
  if ('kind' in authorization) return refused(authorization)
  const answerKind = acceptedKind(request.headers.get('accept'), kind)
  return authorize(world, acquirer, key, authorization, traceOf(request)).then((reply) =>
    replyResponse(world, reply, answerKind),
  )
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
  const id = request.path.startsWith(`${COLLECTION}/`)
    ? request.path.slice(COLLECTION.length + 1)
    : ''
  const transaction = IDENTIFIER.test(id) ? await world.store.read(id) : undefined
  // Another acquirer's is as unknown as none: ids must not tell what exists.
  if (transaction === undefined || transaction.intent.acquirer !== acquirer.id) {
    return refusalResponse(world, refuse('not_found', 'no such authorization of yours'))
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
  return contentResponse(200, answerKind, { authorizations: answers }, [])
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
