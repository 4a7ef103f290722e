// The paths of a payment below `/v1/authorizations`: what they ask for, and what is found there.
//
//   POST {id}/captures, /reversals, /refunds, /increments
//   POST /v1/reversals, by the acquirer's own numbers
//   GET  {id} of an authorization, an advice or a step, {id}/captures/{step id}
//
// An advice begins a payment as an authorization does: POST /v1/advices, GET /v1/advices/{id}.

import { ADVICES_PATH } from '../advise.ts'
import { capture } from '../capture.ts'
import { refuseStrayCardNumber } from '../card-data/index.ts'
import type { Refusal } from '../errors.ts'
import { increment } from '../increment.ts'
import { RRN_STEPS_MAX } from '../limits.ts'
import { refund } from '../refund.ts'
import type { AnswerBody, Reply } from '../respond.ts'
import { reverse, reverseOriginal } from '../reverse.ts'
import { parseOriginalReversal, parseStep } from '../steps/index.ts'
import type { StepKind, Transaction } from '../store/index.ts'
import type { Acquirer, World } from '../world.ts'

export const COLLECTION = '/v1/authorizations'
const REVERSALS = '/v1/reversals'

/** What a request to any other path is told. */
export const PATHS =
  `POST to ${COLLECTION}, ${ADVICES_PATH}, ${REVERSALS}, or captures, reversals, refunds, increments ` +
  `below ${COLLECTION}/{id}/; GET ${COLLECTION}/{id}, or ${COLLECTION}?rrn=`

const ULID = '[0-9A-HJKMNP-TV-Z]{26}'
const IDENTIFIER = new RegExp(`^(auth|adv|cap|rev|ref|inc)_${ULID}$`)
/** A payment's id, the kind of step, and where it is asked for one step its id. */
const STEPS = new RegExp(
  `^${COLLECTION}/([^/]+)/(captures|reversals|refunds|increments)(?:/([^/]+))?$`,
)

const KINDS: Readonly<Record<string, StepKind>> = {
  captures: 'capture',
  reversals: 'reversal',
  refunds: 'refund',
  increments: 'increment',
}

const STORIES = { capture, reversal: reverse, refund, increment } as const

/** A step that a POST asks for; `null`: the body names the payment. */
export interface StepPath {
  readonly kind: StepKind
  readonly paymentId: string | null
}

/** Undefined: the path names no kind of step. */
export function stepOfPath(path: string): StepPath | undefined {
  if (path === REVERSALS) return { kind: 'reversal', paymentId: null }
  const [, paymentId = '', plural = '', stepId] = STEPS.exec(path) ?? []
  const kind = KINDS[plural]
  return kind === undefined || stepId !== undefined ? undefined : { kind, paymentId }
}

/** `body` is what the sender's JSON or MessagePack holds; nothing of it is kept as it is. */
export function postStep(
  world: World,
  acquirer: Acquirer,
  key: string,
  { kind, paymentId }: StepPath,
  body: unknown,
): Refusal | Promise<Reply> {
  if (paymentId === null) {
    const reversal = parseOriginalReversal(body)
    if ('kind' in reversal) return reversal
    // Kept in clear, where the original has not come: in the place of its key.
    const { name: original } = reversal
    const stray = refuseStrayCardNumber({ original }, key, world.router)
    return stray ?? reverseOriginal(world, acquirer, key, reversal)
  }
  const request = parseStep(kind, paymentId, body)
  if (request.kind === 'refused') return request
  const stray = refuseStrayCardNumber({}, key, world.router)
  return stray ?? STORIES[kind](world, acquirer, key, request)
}

/** Whether a path may name something that is kept, as far as its beginning says. */
export function isBelowCollection(path: string): boolean {
  return [COLLECTION, ADVICES_PATH].some((collection) => path.startsWith(`${collection}/`))
}

/** Whose it is stays to be checked. */
export async function findByPath(world: World, path: string): Promise<Transaction | undefined> {
  const [, paymentId, plural = '', stepId] = STEPS.exec(path) ?? []
  const id = stepId ?? ownId(path)
  if (!IDENTIFIER.test(id)) return undefined
  const found = await world.store.read(id)
  if (stepId === undefined) return found
  const isThere = found?.intent.payment?.paymentId === paymentId
  return isThere && found?.intent.kind === KINDS[plural] ? found : undefined
}

function ownId(path: string): string {
  if (path.startsWith(`${COLLECTION}/`)) return path.slice(COLLECTION.length + 1)
  const id = path.startsWith(`${ADVICES_PATH}/`) ? path.slice(ADVICES_PATH.length + 1) : ''
  return id.startsWith('adv_') ? id : ''
}

/** The answers to the steps of these payments, RRN_STEPS_MAX at most. */
export async function stepAnswers(
  world: World,
  payments: readonly Transaction[],
): Promise<readonly AnswerBody[]> {
  const answers: AnswerBody[] = []
  for (const id of payments.flatMap(({ steps }) => steps).slice(0, RRN_STEPS_MAX)) {
    const step = await world.store.read(id)
    if (step?.outcome) answers.push(step.outcome.answer)
  }
  return answers
}
