// An advice from an acquirer, top to bottom: a payment that was decided without its issuer. It is
// accepted durably and told to the issuer (0120, 0220) until that knows. What has happened can't be
// declined any more: velocity sees it, rules and model are asked, and nothing they say stops it.

import { admit, admitWithoutCard, fingerprintOf } from './admit.ts'
import type { AdviceRequest } from './advice-request.ts'
import { identifyCard, type OpenCard, type Pan, refuseStrayCardNumber } from './card-data/index.ts'
import { type Asked, hasTraceNumber, intentOf, prepare } from './claim.ts'
import { type Refusal, refuse } from './errors.ts'
import { answerOfFirst, KeyTaken, mustBeTaken } from './first-answer.ts'
import { storedRequest } from './message.ts'
import { answered, queuedAdvice } from './record.ts'
import { answerBody, type Reply, respond, respondUnknown } from './respond.ts'
import { isApproval, RESPONSE_CODE } from './response-codes.ts'
import type { Route } from './route.ts'
import { score } from './score.ts'
import { refuseTraceNumber } from './shed.ts'
import { type Attempt, type Outcome, StoreFault } from './store/index.ts'
import type { RunningAuthorization } from './transaction.ts'
import type { Acquirer, World } from './world.ts'

export const ADVICES_PATH = '/v1/advices'

/**
 * Takes one authenticated, well-formed advice to its answer. The answer's `responseCode` is 00, it
 * was taken; `outcome` is what had been decided. Resolves with an answer or a refusal; what rejects
 * is a bug. `compared` is as in `authorize`.
 */
export async function advise(
  world: World,
  acquirer: Acquirer,
  idempotencyKey: string,
  request: AdviceRequest,
  compared?: readonly string[],
): Promise<Reply> {
  const identified = identifyCard(world, acquirer.id, request.authorization.card)
  const card = identified instanceof Promise ? await identified : identified
  if ('kind' in card) {
    const again = (known: Pick<Pan, 'masked' | 'bin'>) =>
      compare(world, request, tokenOf(request), known, compared).fingerprint
    return admitWithoutCard(world, acquirer.id, idempotencyKey, again, card)
  }

  const asked = askedOf(world, acquirer, idempotencyKey, request, card, compared)
  const ownKey = compared === undefined ? idempotencyKey : ''
  const stray = refuseStrayCardNumber(asked.stored, ownKey, world.router)
  if (stray !== undefined) return stray
  const admission = admit(world, acquirer.id, idempotencyKey, asked.fingerprint, 'accepted')
  if (admission.kind === 'refused') return admission
  if (admission.kind === 'later') return admission.reply

  const route = world.router.routeOf(card.pan)
  const reply = route === undefined ? refuseNoRoute() : await accept(world, asked, request, route)
  world.inFlight.leave(admission.place, reply)
  return reply
}

/** Scored, made durable, and on its way to the issuer. */
async function accept(
  world: World,
  asked: Asked,
  request: AdviceRequest,
  route: Route,
): Promise<Reply> {
  const running = prepare(world, asked, route, 'told')
  const { attempt } = running
  if (attempt === null) throw new Error(`a route names the issuer ${route[0]}, which is not there`)
  if (!hasTraceNumber(running)) return refuseTraceNumber(world)
  try {
    const decision = await score(world, running)
    const outcome: Outcome = {
      ...outcomeOf(world, running, request, attempt),
      decision,
    }
    const result = await world.store.accept(intentOf(running, 'advice'), outcome)
    mustBeTaken(result)
    if (outcome.advice !== undefined) world.storeAndForward.enqueue(outcome.advice)
    world.journal.stepTaken('advice', outcome)
    const kind = outcome.outcome === 'approved' ? 'approved' : 'declined'
    world.scorer.publish({ request: running.scoring, kind, responseCode: request.responseCode })
    return respond(outcome)
  } catch (error) {
    if (error instanceof StoreFault) return respondUnknown()
    if (error instanceof KeyTaken) return answerOfFirst(world, error, running.fingerprint)
    throw error
  }
}

function outcomeOf(
  world: World,
  running: RunningAuthorization,
  request: AdviceRequest,
  attempt: Attempt,
): Outcome {
  const { responseCode, approvalCode, reasonCode, authorization } = request
  const isApproved = isApproval(responseCode, false)
  const ruling = {
    outcome: isApproved ? 'approved' : 'declined',
    responseCode: RESPONSE_CODE.approved,
    issuerAnswer: {
      responseCode,
      approvalCode: approvalCode ?? null,
      amount: authorization.amount,
    },
  } as const
  const told = { responseCode, ...(reasonCode === undefined ? {} : { reasonCode }) }
  return {
    id: running.id,
    recordedAtMs: world.clock.now(),
    outcome: ruling.outcome,
    responseCode: ruling.responseCode,
    cause: 'accepted',
    issuerResponseCode: null,
    answer: { ...answerBody(answered(running, attempt.issuer), ruling, null), advice: told },
    decision: null,
    reversal: null,
    advice: queuedAdvice(world, running.id, attempt, attempt, {
      cause: 'advice',
      ...told,
      ...(approvalCode === undefined ? {} : { approvalCode }),
    }),
  }
}

/** The request in the one form that is compared and stored: no PAN, no expiry, no CVV. */
function askedOf(
  world: World,
  acquirer: Acquirer,
  idempotencyKey: string,
  advice: AdviceRequest,
  card: OpenCard,
  compared: readonly string[] | undefined,
): Asked {
  const { authorization: request } = advice
  const cardToken = world.vault.tokenOf(card.pan)
  const { stored, fingerprint } = compare(world, advice, cardToken, card.pan, compared)
  const who = { acquirer, idempotencyKey, fingerprint, traceparent: undefined }
  return { ...who, request, card, cardToken, stored, storedText: JSON.stringify(stored) }
}

/** What is stored, and what makes it the same advice. */
function compare(
  world: World,
  { authorization: request, responseCode, approvalCode, reasonCode }: AdviceRequest,
  cardToken: string,
  pan: Pick<Pan, 'masked' | 'bin'>,
  compared: readonly string[] | undefined,
) {
  const stored = storedRequest(request, cardToken, pan)
  const told = [stored, request.card.expiry, responseCode, approvalCode, reasonCode]
  const same = compared === undefined ? told : [cardToken, ...compared]
  const text = JSON.stringify(same)
  return { stored, fingerprint: fingerprintOf(world.fingerprints, ADVICES_PATH, text) }
}

function tokenOf({ authorization: { card } }: AdviceRequest): string {
  return card.kind === 'token' ? card.token : ''
}

function refuseNoRoute(): Refusal {
  return refuse('no_route', 'no issuer takes this card, so there is nobody to tell', 'card.pan')
}
