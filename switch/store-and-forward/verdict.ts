// What the answer to a reversal (DE39 of 0430) means for its delivery.

export type Verdict =
  /**
   * It reached the issuer and is settled: 00, 21, or 25 when no late approval can come any more.
   */
  | 'done'
  /** The issuer does not know the original yet (25), and might still. */
  | 'not_yet'
  /** 91, 96, and whatever says neither yes nor no: a reversal is never given up for it. */
  | 'again'
  /** 12, 30: the issuer can't read it, and the same bytes will not read better. */
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
