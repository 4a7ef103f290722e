// The acquirers' HTTP: `POST /v1/authorizations`, `GET /v1/authorizations/{id}` and `?rrn=`, the
// steps of a payment below them (payment-path.ts), and `POST /v1/advices`.

import { ADVICES_PATH } from '../advise.ts'
import { Authenticator } from '../authenticate.ts'
import {
  ERRORS,
  problemDocument,
  type Refusal,
  refuse,
  refuseForNow,
  refusePath,
} from '../errors.ts'
import { RETRY_AFTER_SECONDS, RRN_MATCHES_MAX } from '../limits.ts'
import { clip } from '../message.ts'
import type { Reply } from '../respond.ts'
import type { Acquirer, World } from '../world.ts'
import { AcquirerStream } from './acquirer-stream.ts'
import {
  acceptedKind,
  CONTENT_TYPES,
  type ContentKind,
  contentKind,
  readContent,
  writeContent,
} from './content.ts'
import type { Admittance, HttpApi, HttpHead, HttpRequest, HttpResponse } from './http.ts'
import { SignatureChecker, type SignedHead } from './http-signature.ts'
import { STREAM_BUFFERED_BYTES_MAX, STREAM_FRAME_BYTES_MAX, STREAM_IDLE_SECONDS } from './limits.ts'
import {
  COLLECTION,
  findByPath,
  isBelowCollection,
  PATHS,
  postStep,
  type StepPath,
  stepAnswers,
  stepOfPath,
} from './payment-path.ts'
import type { StreamApi } from './stream.ts'
import { refuseKey, takeAdvice, takeAuthorization } from './take-authorization.ts'

/** What begins a payment. */
const FIRST_PATHS: readonly string[] = [COLLECTION, ADVICES_PATH]

const NO_BODY = new Uint8Array(0)

/** Who is asking, and, where the request is signed, what is left to check with its body. */
export interface Caller {
  readonly acquirer: Acquirer
  readonly signed: SignedHead | undefined
}

export interface AcquirerApi extends HttpApi<Caller> {
  /** The same authorizations over a WebSocket. */
  readonly stream: StreamApi<Caller>
}

export function createAcquirerApi(world: World): AcquirerApi {
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
  const gate = (head: HttpHead): Admittance<Caller> => {
    if (!head.path.startsWith('/v1/')) {
      return { refused: refused(refusePath(PATHS)) }
    }
    const caller = authenticate(head)
    return 'kind' in caller ? { refused: refused(caller) } : { caller }
  }
  return {
    gate,
    handle(request, { acquirer, signed }) {
      if (signed !== undefined) {
        const refusal = signatures.admit(request, request.body, signed)
        if (refusal !== undefined) return refused(refusal)
      }
      if (request.method === 'POST') {
        const step = stepOfPath(request.path)
        if (step !== undefined || FIRST_PATHS.includes(request.path)) {
          return post(world, acquirer, request, step)
        }
      }
      const isRead = request.method === 'GET' || request.method === 'HEAD'
      if (isRead) return getOrRefuse(world, acquirer, request)
      return refused(refusePath(PATHS))
    },
    refuse: (code, detail) => refused(refuse(code, detail)),
    stream: {
      path: '/v1/stream',
      frameBytesMax: STREAM_FRAME_BYTES_MAX,
      bufferedBytesMax: STREAM_BUFFERED_BYTES_MAX,
      idleSeconds: STREAM_IDLE_SECONDS,
      gate(head) {
        const admittance = gate(head)
        const signed = 'caller' in admittance ? admittance.caller.signed : undefined
        if (signed === undefined) return admittance
        const refusal = signatures.admit(head, NO_BODY, signed)
        return refusal === undefined ? admittance : { refused: refused(refusal) }
      },
      open: (connection, { acquirer }) => new AcquirerStream(world, acquirer, connection),
    },
  }
}

/**
 * An authorization, an advice, or a step of one. Everything up to its story is synchronous: the
 * body is gone after the first await.
 */
function post(
  world: World,
  acquirer: Acquirer,
  request: HttpRequest,
  step: StepPath | undefined,
): HttpResponse | Promise<HttpResponse> {
  const refused = (refusal: Refusal) => refusalResponse(world, refusal)
  const key = request.headers.get('idempotency-key') ?? ''
  const wrongKey = refuseKey(key)
  if (wrongKey !== undefined) return refused(wrongKey)
  const kind = contentKind(request.headers.get('content-type'))
  if (kind === undefined) {
    const received = clip(request.headers.get('content-type') ?? '')
    const detail = `${received} is not spoken: send application/json or application/msgpack`
    return refused(refuse('unsupported_content_type', detail, 'Content-Type'))
  }
  // A step without a body asks for all that there is.
  const isBare = step !== undefined && request.body.length === 0
  const content = isBare ? NO_FIELDS : readContent(kind, request.body)
  if (content.kind === 'refused') return refused(content)
  const traceparent = request.headers.get('traceparent')
  const taken =
    step !== undefined
      ? postStep(world, acquirer, key, step, content.value)
      : request.path === ADVICES_PATH
        ? takeAdvice(world, acquirer, key, content.value)
        : takeAuthorization(world, acquirer, key, content.value, traceparent)
  if (!(taken instanceof Promise)) return refused(taken)
  const answerKind = acceptedKind(request.headers.get('accept'), kind)
  return taken.then((reply) => replyResponse(world, reply, answerKind))
}

const NO_FIELDS = { kind: 'read', value: {} } as const

/** A record that can't be read is the disk's fault, not a bug: said so, and the rest goes on. */
async function getOrRefuse(
  world: World,
  acquirer: Acquirer,
  request: HttpRequest,
): Promise<HttpResponse> {
  try {
    return await getAuthorization(world, acquirer, request)
  } catch (error) {
    const { name, message } = error as Error
    world.journal.log.error({ error: { name, message } }, 'a record could not be read')
    const detail = 'the record can not be read now: retry later'
    const refusal = refuseForNow('store_unavailable', detail, RETRY_AFTER_SECONDS)
    return refusalResponse(world, refusal)
  }
}

async function getAuthorization(
  world: World,
  acquirer: Acquirer,
  request: HttpRequest,
): Promise<HttpResponse> {
  const answerKind = acceptedKind(request.headers.get('accept'), 'json')
  if (request.path === COLLECTION) return findByRrn(world, acquirer, request.query, answerKind)
  if (!isBelowCollection(request.path)) return refusalResponse(world, refusePath(PATHS))
  const transaction = await findByPath(world, request.path)
  // Another acquirer's is as unknown as none: ids must not tell what exists.
  if (transaction === undefined || transaction.intent.acquirer !== acquirer.id) {
    return refusalResponse(world, refuse('not_found', 'nothing of yours has this id'))
  }
  if (transaction.outcome === null) return refusalResponse(world, refuseOpen())
  return contentResponse(200, answerKind, transaction.outcome.answer, [])
}

function refuseOpen(): Refusal {
  const detail = 'it has no outcome yet: ask again'
  return refuseForNow('authorization_in_progress', detail, RETRY_AFTER_SECONDS)
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
  // "None" would read as "it never came", and be sent again under another key.
  if (found.some((one) => one.outcome === null)) return refusalResponse(world, refuseOpen())
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
