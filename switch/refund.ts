// A refund: give back what was taken, all of it or a part. The issuer is asked with a financial
// request (0200) of processing code 20.

import type { Reply } from './respond.ts'
import {
  askStep,
  lastAttempt,
  type RunningStep,
  type StepRequest,
  takeStep,
} from './steps/index.ts'
import type { Acquirer, World } from './world.ts'

/** DE3, first two digits: refund. The account types behind them are the original's. */
const REFUND = '20'

export function refund(
  world: World,
  acquirer: Acquirer,
  idempotencyKey: string,
  request: StepRequest,
): Promise<Reply> {
  return takeStep(world, acquirer, idempotencyKey, request, refundOnce)
}

function refundOnce(world: World, step: RunningStep) {
  const processingCode = REFUND + lastAttempt(step).processingCode.slice(2)
  return askStep(world, step, { mti: '0200', processingCode, acceptsPartialApproval: false })
}
