// An increment: hold more of a pre-authorization. The issuer is asked as for the first amount
// (0100), with the original's data elements beside it.

import type { Reply } from './respond.ts'
import {
  askStep,
  lastAttempt,
  type RunningStep,
  type StepRequest,
  takeStep,
} from './steps/index.ts'
import type { Acquirer, World } from './world.ts'

export function increment(
  world: World,
  acquirer: Acquirer,
  idempotencyKey: string,
  request: StepRequest,
): Promise<Reply> {
  return takeStep(world, acquirer, idempotencyKey, request, incrementOnce)
}

function incrementOnce(world: World, step: RunningStep) {
  const { processingCode } = lastAttempt(step)
  const { acceptsPartialApproval } = step.acquirer
  return askStep(world, step, { mti: '0100', processingCode, acceptsPartialApproval })
}
