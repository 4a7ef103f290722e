// A message that asks or tells, handed to the story that knows what it means. What comes back is
// the same reply that HTTP would get.

import { authorize } from '../authorize.ts'
import { capture } from '../capture.ts'
import type { Refusal } from '../errors.ts'
import { increment } from '../increment.ts'
import { refund } from '../refund.ts'
import type { Reply } from '../respond.ts'
import { reverseOriginal } from '../reverse.ts'
import { matchOriginal } from '../steps/index.ts'
import type { StepKind } from '../store/index.ts'
import type { Acquirer, World } from '../world.ts'
import { readIsoAuthorization } from './iso-authorization.ts'
import { institutionOf, type Received } from './iso-received.ts'
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
      return undefined
    default:
      return takeIsoStep(world, acquirer, sender, message, story)
  }
}

function takeAuthorization(
  world: World,
  acquirer: Acquirer,
  sender: IsoSender,
  message: Received,
): Promise<Reply> | Refusal {
  const institution = institutionOf(message, sender.institution)
  const read = readIsoAuthorization(message, institution, world.clock.now())
  if ('kind' in read) return read
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
