// A message that asks or tells, handed to the story that knows what it means. What comes back is
// the same reply that HTTP would get.

import { adviceOf } from '../advice-request.ts'
import { advise } from '../advise.ts'
import { authorize } from '../authorize.ts'
import { capture } from '../capture.ts'
import { type Refusal, refuse } from '../errors.ts'
import { increment } from '../increment.ts'
import { RRN_MATCHES_MAX } from '../limits.ts'
import { refund } from '../refund.ts'
import { type Reply, respondAgain } from '../respond.ts'
import { reverseOriginal } from '../reverse.ts'
import { refuseUnreadable } from '../shed.ts'
import { matchOriginal } from '../steps/index.ts'
import { isTombstone, type StepKind } from '../store/index.ts'
import type { Acquirer, World } from '../world.ts'
import { readIsoAuthorization } from './iso-authorization.ts'
import { institutionOf, keyWithoutTerminal, type Received, text } from './iso-received.ts'
import { type IsoSender, type IsoStep, readIsoStep, storyOf } from './iso-step.ts'

const ASKED_STORIES = { capture, refund, increment } as const

/** Undefined: a message that there is no story for. */
export function takeIsoMessage(
  world: World,
  acquirer: Acquirer,
  sender: IsoSender,
  message: Received,
): Promise<Reply> | Refusal | undefined {
  const story = storyOf(message)
  switch (story) {
    case undefined:
      return undefined
    case 'authorization':
      return takeAuthorization(world, acquirer, sender, message)
    case 'advice':
      return takeAdvice(world, acquirer, sender, message)
    default:
      return takeIsoStep(world, acquirer, sender, message, story)
  }
}

function readPayment(world: World, sender: IsoSender, message: Received) {
  const institution = institutionOf(message, sender.institution)
  return readIsoAuthorization(message, institution, world.clock.now())
}

function takeAuthorization(
  world: World,
  acquirer: Acquirer,
  sender: IsoSender,
  message: Received,
): Promise<Reply> | Refusal {
  const read = readPayment(world, sender, message)
  if ('kind' in read) return read
  // In one tick with the claim: a reversal without DE41 finds either this key or its own tombstone.
  const reversed = world.store.findKey(acquirer.id, keyWithoutTerminal(message, read.key))
  if (reversed !== undefined && isTombstone(reversed)) {
    return respondAgain(world, reversed.transactionId)
  }
  return authorize(world, acquirer, read.key, read.request, undefined, read.compared)
}

function takeIsoStep(
  world: World,
  acquirer: Acquirer,
  sender: IsoSender,
  message: Received,
  kind: StepKind,
): Promise<Reply> | Refusal {
  const step = readIsoStep(message, kind, sender, world.vault, world.clock.now())
  if ('kind' in step) return step
  return kind === 'reversal'
    ? reverseOriginal(world, acquirer, step.key, step)
    : takeNamed(world, acquirer, step, ASKED_STORIES[kind])
}

/** Told, not asked: what completes an authorization by its RRN is a capture of it. */
function takeAdvice(
  world: World,
  acquirer: Acquirer,
  sender: IsoSender,
  message: Received,
): Promise<Reply> | Refusal {
  const read = readPayment(world, sender, message)
  if ('kind' in read) return read
  const advice = adviceOf(read.request, readTold(message))
  if ('kind' in advice) return advice
  const own = () => advise(world, acquirer, read.key, advice, read.compared)
  if (!message.message.mti.startsWith('022')) return own()
  const step = readIsoStep(message, 'capture', sender, world.vault, world.clock.now())
  if ('kind' in step) return step
  return complete(world, acquirer, step, own)
}

/** A capture of what the completion names; what names nothing is an advice of its `own`. */
async function complete(
  world: World,
  acquirer: Acquirer,
  step: IsoStep,
  own: () => Promise<Reply>,
): Promise<Reply> {
  let completed: readonly string[]
  try {
    completed = await completedBy(world, acquirer, step)
  } catch (error) {
    return refuseUnreadable(world, error)
  }
  const [paymentId, another] = completed
  if (paymentId === undefined) return own()
  if (another !== undefined) {
    const detail = 'more than one authorization has this RRN: name it by original data elements'
    return refuse('original_ambiguous', detail, '37')
  }
  return capture(world, acquirer, step.key, { ...step.request, paymentId })
}

/** The approved authorizations that a completion without original data elements may mean. */
async function completedBy(
  world: World,
  acquirer: Acquirer,
  { name, request }: IsoStep,
): Promise<readonly string[]> {
  if (name.rrn === undefined) return []
  const found = await world.store.findByRrn(acquirer.id, name.rrn, RRN_MATCHES_MAX)
  const completed = found.filter(
    ({ intent, outcome }) =>
      intent.idempotencyKey !== name.ownKey &&
      intent.cardToken === request.wire?.cardToken &&
      HOLDS_MONEY.has(String(intent.request.type)) &&
      outcome?.outcome === 'approved',
  )
  return completed.map(({ intent }) => intent.id)
}

/** A sale takes it at once. */
const HOLDS_MONEY: ReadonlySet<string> = new Set(['authorization', 'preauthorization'])

/** DE38, DE39, and the reason (DE25) that 1993 and 2003 have a field for. */
function readTold({ edition, raw, message }: Received) {
  const responseCode = text(message.fields[39])
  const approvalCode = text(message.fields[38]).trim()
  const reasonCode = edition.year === 1987 ? '' : text(raw.fields[25])
  return {
    ...(responseCode === '' ? {} : { responseCode }),
    ...(/^[0-9A-Za-z]{1,6}$/.test(approvalCode) ? { approvalCode } : {}),
    ...(/^[0-9]{4}$/.test(reasonCode) ? { reasonCode } : {}),
  }
}

/** Of a payment that its message names. */
async function takeNamed(
  world: World,
  acquirer: Acquirer,
  { name, request, key }: IsoStep,
  story: (typeof ASKED_STORIES)[keyof typeof ASKED_STORIES],
): Promise<Reply> {
  const match = await matchOriginal(world, acquirer, name)
  if (match.kind === 'refused') return match
  return story(world, acquirer, key, { ...request, paymentId: match.id })
}
