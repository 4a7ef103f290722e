// DE39: what the codes of ISO 8583:1987 mean, which of them approve, and those of our own.

/** The codes that the switch itself gives. */
export const RESPONSE_CODE = {
  approved: '00',
  partiallyApproved: '10',
  insufficientFunds: '51',
  suspectedFraud: '59',
  issuerUnavailable: '91',
  noRoute: '92',
  duplicate: '94',
  fault: '96',
} as const

/** How an acquirer is told to step up: Visa style, Mastercard and generic, contactless PIN. */
export type StepUpCode = '1A' | '65' | '70'

const APPROVALS = new Set(['00', '08', '10', '11'])

/**
 * Whether DE39 approves. 85 ("no reason to decline") approves an account verification only
 * (ISO 8583:1987, codes of DE39).
 */
export function isApproval(responseCode: string, isAccountVerification: boolean): boolean {
  return APPROVALS.has(responseCode) || (isAccountVerification && responseCode === '85')
}

/** Two letters or digits, as DE39 is in ISO 8583:1987. */
export function isResponseCode(text: string): boolean {
  return /^[0-9A-Z]{2}$/.test(text)
}
