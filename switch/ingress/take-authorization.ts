// An authorization from wherever it came, once it is read: its key and its fields are checked, then
// it is authorized. HTTP and WebSocket meet here, so that both give the same answers.

import { parseAdvice } from '../advice-request.ts'
import { advise } from '../advise.ts'
import { authorize } from '../authorize.ts'
import { type Refusal, refuse } from '../errors.ts'
import { IDEMPOTENCY_KEY_CHARACTERS_MAX } from '../limits.ts'
import { parseAuthorization } from '../message.ts'
import type { Reply } from '../respond.ts'
import type { Acquirer, World } from '../world.ts'

/** Visible ASCII: a key is compared byte for byte, and stands in a log. */
const IDEMPOTENCY_KEY = /^[\x21-\x7e]+$/

/** What is wrong with an idempotency key; undefined where nothing is. */
export function refuseKey(key: string): Refusal | undefined {
  if (key === '') {
    const detail = 'send an Idempotency-Key, new for each authorization'
    return refuse('idempotency_key_required', detail, 'Idempotency-Key')
  }
  if (key.length > IDEMPOTENCY_KEY_CHARACTERS_MAX || !IDEMPOTENCY_KEY.test(key)) {
    const detail = `up to ${IDEMPOTENCY_KEY_CHARACTERS_MAX} visible ASCII characters`
    return refuse('idempotency_key_invalid', detail, 'Idempotency-Key')
  }
  return undefined
}

/** `body` is what the sender's JSON or MessagePack holds; nothing of it is kept as it is. */
export function takeAuthorization(
  world: World,
  acquirer: Acquirer,
  key: string,
  body: unknown,
  traceparent: string | undefined,
): Refusal | Promise<Reply> {
  const authorization = parseAuthorization(body)
  if ('kind' in authorization) return authorization
  return authorize(world, acquirer, key, authorization, traceOf(traceparent))
}

/** The same for an advice. */
export function takeAdvice(
  world: World,
  acquirer: Acquirer,
  key: string,
  body: unknown,
): Refusal | Promise<Reply> {
  const advice = parseAdvice(body)
  return 'kind' in advice ? advice : advise(world, acquirer, key, advice)
}

/** W3C Trace Context: the text as it came when it is well-formed. */
function traceOf(traceparent: string | undefined): string | undefined {
  if (traceparent === undefined) return undefined
  return /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(traceparent)
    ? traceparent
    : undefined
}
