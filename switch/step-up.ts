// What the risk outcome does to an authorization: forwarded, challenged or declined.

import type { Decision } from '#scoring'
import type { AuthorizationRequest } from './message.ts'
import { RESPONSE_CODE, type StepUpCode } from './response-codes.ts'

export type RiskEffect =
  | { readonly kind: 'forward' }
  | { readonly kind: 'challenge'; readonly responseCode: StepUpCode }
  | { readonly kind: 'decline'; readonly responseCode: typeof RESPONSE_CODE.suspectedFraud }

const FORWARD: RiskEffect = { kind: 'forward' }
const DECLINE: RiskEffect = { kind: 'decline', responseCode: RESPONSE_CODE.suspectedFraud }

export interface StepUpPolicy {
  /** What `challenge` counts as where there is no step-up. */
  readonly elsewhere: 'review' | 'decline'
  /** DE39 of a challenge, by the acquirer's dialect. */
  readonly stepUpCode: '1A' | '65'
}

/**
 * `approve` and `review` are forwarded. `challenge` is answered with a step-up code where step-up
 * exists (e-commerce: 3-D Secure; contactless: PIN) and was not done; elsewhere the policy decides.
 */
export function riskEffect(
  outcome: Decision['outcome'],
  request: Pick<AuthorizationRequest, 'channel' | 'terminal' | 'threeDs'>,
  policy: StepUpPolicy,
): RiskEffect {
  if (outcome === 'decline') return DECLINE
  if (outcome !== 'challenge') return FORWARD
  if (request.threeDs.status !== 'authenticated') {
    if (request.channel === 'ecommerce') {
      return { kind: 'challenge', responseCode: policy.stepUpCode }
    }
    if (request.terminal.entryMode === 'contactless') {
      return { kind: 'challenge', responseCode: '70' }
    }
  }
  return policy.elsewhere === 'decline' ? DECLINE : FORWARD
}
