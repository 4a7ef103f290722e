// A refund: give back what was taken, all of it or a part. The issuer is asked with a financial
// request (0200) of processing code 20. Of one that its acquirer has made already it is told (0220)
// until it has it.

import type { Reply } from './respond.ts'
import {
  acceptStep,
  askStep,
  lastAttempt,
  type RunningStep,
  type StepRequest,
  takeStep,
  tell,
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
  const story = request.isTold === true ? tellOnce : askOnce
  return takeStep(world, acquirer, idempotencyKey, request, story)
}

function askOnce(world: World, step: RunningStep) {
  const processingCode = processingCodeOf(step)
  return askStep(world, step, { mti: '0200', processingCode, acceptsPartialApproval: false })
}

async function tellOnce(world: World, step: RunningStep) {
  const advice = tell(world, step, {
    mti: '0220',
    cause: 'refund',
    amount: step.amount,
    processingCode: processingCodeOf(step),
  })
  return 'kind' in advice ? advice : acceptStep(world, step, advice)
}

function processingCodeOf(step: RunningStep): string {
  return REFUND + lastAttempt(step).processingCode.slice(2)
}
