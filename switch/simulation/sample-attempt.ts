// One purchase as an issuer is asked for it, and its reversal: what tests of links send.

import type { Attempt, QueuedMessage } from '../store/index.ts'

/** What draws trace numbers toward an issuer. */
interface Numbers {
  readonly name: string
  drawTraceNumbers(
    purpose?: 'request' | 'reversal',
  ): Pick<Attempt, 'stan' | 'transmittedAt' | 'rrn'>
}

/** 25.99 EUR at a corner shop, without the numbers that are drawn for it. */
export const SAMPLE_ATTEMPT = {
  mti: '0100',
  processingCode: '000000',
  acquiringInstitution: '100001',
  amount: 2_599,
  currencyNumeric: '978',
  terminalId: 'T-0001',
  merchantId: 'M-1001',
  merchantNameLocation: 'Corner Shop',
  mcc: '5411',
  entryMode: '071',
  card: null,
} as const

export function attemptAt(issuer: Numbers, changes: Partial<Attempt> = {}): Attempt {
  return {
    ...SAMPLE_ATTEMPT,
    issuer: issuer.name,
    ...issuer.drawTraceNumbers(),
    ...changes,
  }
}

/** As it is queued after a time-out. */
export function reversalAt(
  issuer: Numbers,
  original: Attempt,
  changes: Partial<QueuedMessage> = {},
): QueuedMessage {
  return {
    transactionId: 'auth_1',
    step: 'authorization',
    issuer: issuer.name,
    mti: '0420',
    ...issuer.drawTraceNumbers('reversal'),
    original,
    cause: 'timeout',
    queuedAtMs: 0,
    ...changes,
  }
}
