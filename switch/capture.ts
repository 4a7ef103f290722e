// A capture: take what was authorized, all of it or a part. Accepted durably, then told to the
// issuer as a financial advice (0220) until it has it.

import type { Reply } from './respond.ts'
import {
  acceptStep,
  approvalCodeOf,
  type RunningStep,
  type StepRequest,
  takeStep,
  tell,
} from './steps/index.ts'
import type { Acquirer, World } from './world.ts'

export function capture(
  world: World,
  acquirer: Acquirer,
  idempotencyKey: string,
  request: StepRequest,
): Promise<Reply> {
  return takeStep(world, acquirer, idempotencyKey, request, captureOnce)
}

async function captureOnce(world: World, step: RunningStep) {
  const approvalCode = approvalCodeOf(step.authorization)
  const advice = tell(world, step, {
    mti: '0220',
    cause: 'capture',
    amount: step.amount,
    ...(approvalCode === undefined ? {} : { approvalCode }),
  })
  return 'kind' in advice ? advice : acceptStep(world, step, advice)
}
