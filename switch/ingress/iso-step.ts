// The steps of a payment over ISO 8583: who asks for what, of which payment, and how much.
//
//   0220       naming an authorization   capture     4 what is taken
//   0400 0420                            reversal    4 all of it, 95 (30) what stands afterwards
//   0100 0200  DE3 20                    refund      4 what is given back
//   0220       DE3 20                    refund      the same, made already: told, not asked
//   0100       naming an authorization   increment   4 how much more is held
//
// An authorization is named by DE90 (1993 and 2003: DE56), or by DE37; a reversal also by the DE11,
// DE7, DE32 and DE41 that it has in common with its original.

import { currencyByNumeric } from '#rules'
import type { CardVault } from '../card-data/index.ts'
import { Pan } from '../card-data/index.ts'
import { type Refusal, refuse } from '../errors.ts'
import { isIncrement } from '../iso8583/index.ts'
import type { OriginalReversal, StepRequest, WireName } from '../steps/index.ts'
import type { StepKind } from '../store/index.ts'
import { cardNumberOf, transmittedAtOf } from './iso-authorization.ts'
import { institutionOf, keyOf, originalOf, type Received, textOf } from './iso-received.ts'

/** A step that names its payment in the acquirer's numbers. */
export interface IsoStep extends OriginalReversal {
  readonly name: WireName
  readonly key: string
}

/** Where a message comes from. */
export interface IsoSender {
  /** DE32 where the message has none. */
  readonly institution: string
  readonly institutions: ReadonlySet<string>
}

/** DE3, first two digits. */
const REFUND = '20'

/**
 * What a request or an advice asks for; `advice`: to be told what was decided elsewhere. Undefined:
 * nothing that there is a story for.
 */
export function storyOf(message: Received): StepKind | 'authorization' | 'advice' | undefined {
  const { mti } = message.message
  const namesOriginal = message.message.fields[90] !== undefined
  const isRefund = textOf(message, 3).startsWith(REFUND)
  switch (mti.slice(0, 3)) {
    case '010':
      if (isRefund) return 'refund'
      return namesOriginal || isIncrement(message.edition, message.raw)
        ? 'increment'
        : 'authorization'
    case '020':
      return isRefund ? 'refund' : 'authorization'
    case '012':
      return isRefund ? undefined : 'advice'
    case '022':
      if (isRefund) return 'refund'
      return namesOriginal ? 'capture' : 'advice'
    case '040':
    case '042':
      return 'reversal'
    default:
      return undefined
  }
}

/** What the message says of a step; whether the payment allows it is another matter. */
export function readIsoStep(
  message: Received,
  kind: StepKind,
  sender: IsoSender,
  vault: CardVault,
  nowMs: number,
): IsoStep | Refusal {
  const institution = institutionOf(message, sender.institution)
  const stan = textOf(message, 11)
  if (!/^[0-9]{6,12}$/.test(stan)) return refuse('missing_field', 'DE11 is required', '11')
  const transmittedAt = transmittedAtOf(message, nowMs)
  if (transmittedAt === undefined) return refuse('invalid_field', 'DE7 is no MMDDhhmmss', '7')
  const digits = cardNumberOf(message)
  const pan = digits === undefined ? undefined : Pan.parse(digits)
  if (digits !== undefined && pan === undefined) {
    return refuse('invalid_pan', 'DE2 is not 12 to 19 digits that pass the Luhn check', '2')
  }
  const money = readMoney(message, kind)
  if ('kind' in money) return money
  const { amount, currency, standing } = money
  const cardToken = pan === undefined ? undefined : vault.tokenOf(pan)
  const texts = [3, 4, 49, 95].map((field) => textOf(message, field))
  const isReversal = kind === 'reversal'
  const request: Omit<StepRequest, 'paymentId'> = {
    kind,
    amount: isReversal ? undefined : amount,
    currency,
    stan: stan.slice(-6),
    transmittedAt,
    ...(kind === 'refund' && isTold(message) ? { isTold: true } : {}),
    wire: {
      compared: [cardToken ?? '', ...texts],
      cardToken,
      whole: isReversal ? amount : undefined,
      standing,
    },
  }
  const named = originalOf(message, institution, sender.institutions, nowMs)
  const { name, sentAtMs } = named
  return { name, sentAtMs, rrn: name.rrn, request, key: keyOf(message, institution) }
}

/** 0220 and its repeat. */
function isTold({ message }: Received): boolean {
  return message.mti.startsWith('022')
}

interface Money {
  /** DE4; undefined in a reversal that says none. */
  readonly amount: number | undefined
  readonly currency: string | undefined
  readonly standing: number | undefined
}

function readMoney(message: Received, kind: StepKind): Money | Refusal {
  const digits = textOf(message, 4)
  const isReversal = kind === 'reversal'
  const isAmount = /^[0-9]{12}$/.test(digits)
  // A reversal repeats its original's amount, and that of an inquiry is zero.
  const isUsable = isReversal ? isAmount || digits === '' : isAmount && Number(digits) > 0
  if (!isUsable) return refuse('invalid_amount', 'DE4 must be above 0', '4')
  const numeric = textOf(message, 49)
  const currency = currencyByNumeric(numeric)?.code
  if (numeric !== '' && currency === undefined) {
    return refuse('invalid_currency', 'DE49 must be an active ISO 4217 number', '49')
  }
  const replacement = textOf(message, 95).slice(0, 12)
  if (replacement !== '' && !/^[0-9]{12}$/.test(replacement)) {
    return refuse('invalid_amount', 'DE95 begins with twelve digits', '95')
  }
  return {
    amount: digits === '' ? undefined : Number(digits),
    currency,
    standing: isReversal && replacement !== '' ? Number(replacement) : undefined,
  }
}
