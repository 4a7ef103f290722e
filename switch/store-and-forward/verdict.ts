// What the answer to a queued message (DE39 of 0430 or 0230) means for its delivery.

import { isApproval } from '../response-codes.ts'

export type Verdict =
  /**
   * It reached the issuer and is settled: 00, 21, or 25 when no late approval can come any more.
   */
  | 'done'
  /** The issuer does not know the original yet (25), and might still. */
  | 'not_yet'
  /** 91, 96, and whatever says neither yes nor no: a reversal is never given up for it. */
  | 'again'
  /**
   * 12, 30: the issuer can't read it, and the same bytes will not read better. An advice that it
   * refuses: told once more it says no once more. Somebody has to look at it.
   */
  | 'dead'

/**
 * `isSettled`: the late-answer window of the original is over and no approval came after it was
 * given up, so that a 25 is the last word.
 */
export function verdictOf(responseCode: string, isSettled: boolean): Verdict {
  switch (responseCode) {
    case '00':
    case '21':
      return 'done'
    case '25':
      return isSettled ? 'done' : 'not_yet'
    case '12':
    case '30':
      return 'dead'
    default:
      return 'again'
  }
}

/**
 * The same for an advice (0230). The issuer is told, not asked, so a no is an exception for people
 * and is not repeated; 94 says that an earlier one arrived.
 */
export function adviceVerdictOf(responseCode: string): Verdict {
  switch (responseCode) {
    case '91':
    case '96':
      return 'again'
    case '94':
      return 'done'
    default:
      return isApproval(responseCode, false) ? 'done' : 'dead'
  }
}
