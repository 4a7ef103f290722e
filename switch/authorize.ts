// The life of an authorization, top to bottom (docs/life-of-an-authorization.md draws it).

import { admit, admitWithoutCard, fingerprintOf } from './admit.ts'
import { ask } from './ask.ts'
import { identifyCard, type Pan, refuseStrayCardNumber } from './card-data/index.ts'
import { claim, hasTraceNumber, prepare } from './claim.ts'
import { answerOfFirst, KeyTaken } from './first-answer.ts'
import { type AuthorizationRequest, storedRequest } from './message.ts'
import { publish } from './publish.ts'
import { type Ending, record } from './record.ts'
import { type Reply, respond, respondUnknown } from './respond.ts'
import { score } from './score.ts'
import { refuseTraceNumber } from './shed.ts'
import { standIn } from './stand-in/index.ts'
import { riskEffect } from './step-up.ts'
import { type Outcome, StoreFault } from './store/index.ts'
import type { RunningAuthorization } from './transaction.ts'
import type { Acquirer, World } from './world.ts'

const PATH = '/v1/authorizations'

/**
 * Takes one authenticated, well-formed request to its answer: admitted, claimed and scored side by
 * side, asked, recorded, answered, published. Resolves with an answer or a refusal; what rejects is
 * a bug, and the process ends so that recovery decides. `compared` says what, besides the card, makes
 * a request with the same key the same one, where that is less than all of it.
 */
export async function authorize(
  world: World,
  acquirer: Acquirer,
  idempotencyKey: string,
  request: AuthorizationRequest,
  traceparent: string | undefined,
  compared?: readonly string[],
): Promise<Reply> {
  const identified = identifyCard(world, acquirer.id, request.card)
  const card = identified instanceof Promise ? await identified : identified
  if ('kind' in card) {
    const again = (known: Pick<Pan, 'masked' | 'bin'>) =>
      compare(world, request, tokenOf(request), known, compared).fingerprint
    return admitWithoutCard(world, acquirer.id, idempotencyKey, again, card)
  }

  const cardToken = world.vault.tokenOf(card.pan)
  const { stored, text, fingerprint } = compare(world, request, cardToken, card.pan, compared)
  // Keys made from ISO 8583 numbers join digits that are no card's.
  const ownKey = compared === undefined ? idempotencyKey : ''
  const stray = refuseStrayCardNumber(stored, ownKey, world.router, text)
  if (stray !== undefined) return stray
  const admission = admit(world, acquirer.id, idempotencyKey, fingerprint)
  if (admission.kind === 'refused') return admission
  if (admission.kind === 'later') return admission.reply

  const who = { acquirer, idempotencyKey, fingerprint, traceparent }
  const asked = { ...who, request, card, cardToken, stored, storedText: text }
  const running = prepare(world, asked, world.router.routeOf(card.pan))
  world.inFlight.name(admission.place, running.id)
  const reply = hasTraceNumber(running)
    ? await seeThrough(world, running)
    : refuseTraceNumber(world)
  world.inFlight.leave(admission.place, reply)
  return reply
}

/** From the claim to the recorded outcome: what must not stop half-way. */
async function seeThrough(world: World, running: RunningAuthorization): Promise<Reply> {
  try {
    // Side by side: the flush of the claim, and the score. Both must be in before the issuer is
    // asked.
    const [decision] = await Promise.all([score(world, running), claim(world, running)])
    const effect = riskEffect(decision.outcome, running.request, stepUpPolicy(world, running))
    const ending: Ending =
      effect.kind !== 'forward'
        ? { by: 'risk', effect }
        : running.issuer === undefined
          ? { by: 'no_route' }
          : { by: 'issuer', asked: await ask(world, running) }
    const stoodIn = await standIn(world, running, decision, ending)
    const outcome = stoodIn ?? (await record(world, running, decision, ending))
    publish(world, running, outcome)
    return respondWith(outcome, ending)
  } catch (error) {
    if (error instanceof StoreFault) return respondUnknown()
    if (error instanceof KeyTaken) return answerOfFirst(world, error, running.fingerprint)
    throw error
  }
}

/** With what the issuer sent for the terminal, where its word is the outcome. */
function respondWith(outcome: Outcome, ending: Ending): Reply {
  const reply = respond(outcome)
  if (reply.kind !== 'answer' || ending.by !== 'issuer') return reply
  const { result } = ending.asked
  if (result.kind !== 'answered' || outcome.cause !== 'issuer') return reply
  const { passThrough } = result.answer
  return passThrough === undefined ? reply : { ...reply, passThrough }
}

/**
 * The request in the one form that is compared and stored, without PAN, expiry and CVV; that form
 * as JSON, made once for all who search it; and what makes it the same request.
 */
function compare(
  world: World,
  request: AuthorizationRequest,
  cardToken: string,
  pan: Pick<Pan, 'masked' | 'bin'>,
  compared: readonly string[] | undefined,
) {
  const stored = storedRequest(request, cardToken, pan)
  const text = JSON.stringify(stored)
  // The expiry that came, not the one of a token's newest card: that may be another by the retry.
  const same =
    compared === undefined
      ? `[${text},${JSON.stringify(request.card.expiry ?? null)}]`
      : JSON.stringify([cardToken, ...compared])
  return { stored, text, fingerprint: fingerprintOf(world.fingerprints, PATH, same) }
}

function tokenOf({ card }: AuthorizationRequest): string {
  return card.kind === 'token' ? card.token : ''
}

function stepUpPolicy(world: World, running: RunningAuthorization) {
  return {
    elsewhere: world.config.challenge.elsewhere,
    stepUpCode: running.acquirer.stepUpCode,
  }
}
