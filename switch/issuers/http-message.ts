// The messages between us and an issuer by HTTP: JSON bodies, POSTed, signed as RFC 9421 has it.
//
//   POST <path>/authorizations   0100, 0200: asks; also refunds and increments, which name `original`
//   POST <path>/reversals        0420, 0421: takes back `original`, all of it or down to `standing`
//   POST <path>/advices          0120, 0220 and their repeats: told, not asked
//   POST <path>/echo             a sign of life
//
//   200 {"messageType":"0110","stan":...,"transmittedAt":...,"rrn":...,"amount":...,"currency":...,
//        "terminalId":...,"responseCode":"00","approvalCode":"A1B2C3"}
//
// Idempotency-Key is the same in each repeat of one message, and no other message has it.

import type { Attempt, QueuedMessage } from '../store/index.ts'
import { chipHex, chipOf } from './dialect-room.ts'
import type { CardData, DeliveredCard } from './issuer.ts'
import { amountOf, type ParsedAnswer } from './issuer-message.ts'

export type HttpPath = 'authorizations' | 'reversals' | 'advices' | 'echo'

export interface HttpMessage {
  readonly path: HttpPath
  readonly idempotencyKey: string
  readonly body: Readonly<Record<string, unknown>>
}

/** 0100 or 0200 of an attempt. */
export function httpRequest(attempt: Attempt, card: CardData): HttpMessage {
  const { pan, expiry, cvv, passThrough } = card
  return {
    path: 'authorizations',
    idempotencyKey: keyOf(attempt.mti, attempt),
    body: {
      ...sharedOf(attempt),
      ...numbersOf(attempt.mti, attempt),
      amount: attempt.amount,
      card: {
        pan: pan.reveal(),
        expiry,
        cvv,
        sequence: passThrough?.cardSequence,
        track1: passThrough?.track1,
        track2: passThrough?.track2,
        pinBlock: passThrough?.pinBlock,
        securityControl: passThrough?.securityControl,
        chip: passThrough?.chip === undefined ? undefined : chipHex(passThrough.chip),
      },
      ...(attempt.originalDataElements === undefined
        ? ownOf(attempt)
        : { original: originalIn(attempt.originalDataElements) }),
    },
  }
}

/** 0420, 0220 or 0120 of a queued message; a repeat says so and differs in nothing else. */
export function httpQueued(
  message: QueuedMessage,
  card: DeliveredCard,
  isRepeat: boolean,
): HttpMessage {
  const { original } = message
  const isAdvice = message.step === 'advice'
  return {
    path: message.mti === '0420' ? 'reversals' : 'advices',
    idempotencyKey: keyOf(message.mti, message),
    body: {
      ...sharedOf(original),
      ...numbersOf(message.mti, message),
      ...(message.processingCode === undefined ? {} : { processingCode: message.processingCode }),
      repeat: isRepeat,
      amount: amountOf(message),
      standing: message.replacementAmount,
      card: { pan: card.pan.reveal(), ...(isAdvice ? { expiry: card.expiry } : {}) },
      approvalCode: message.approvalCode,
      responseCode: message.responseCode,
      reasonCode: message.reasonCode,
      ...(isAdvice
        ? ownOf(original)
        : {
            original: {
              messageType: original.mti,
              stan: original.stan,
              transmittedAt: original.transmittedAt,
              acquiringInstitution: original.acquiringInstitution,
            },
          }),
    },
  }
}

/** A sign of life, with numbers like any other. */
export function httpEcho(stan: string, transmittedAt: string): HttpMessage {
  const numbers = { stan, transmittedAt }
  const idempotencyKey = keyOf('0800', numbers)
  return { path: 'echo', idempotencyKey, body: { messageType: '0800', ...numbers } }
}

/** What an answer's body says; undefined where it is no answer. Never throws. */
export function parseHttpAnswer(bytes: Uint8Array): ParsedAnswer | undefined {
  let body: unknown
  try {
    body = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return undefined
  const fields = body as Readonly<Record<string, unknown>>
  const text = (name: string) => {
    const value = fields[name]
    return typeof value === 'string' ? value : ''
  }
  const { amount } = fields
  const isAmount = Number.isSafeInteger(amount) && (amount as number) >= 0
  // DE38 (an 6): a longer one could not be written into an acquirer's answer, which would not leave.
  const approvalCode = text('approvalCode')
  if (!/^[0-9A-Za-z ]{0,6}$/.test(approvalCode)) return undefined
  const chip = text('chip')
  const additionalAmounts = text('additionalAmounts')
  return {
    mti: text('messageType'),
    amount: isAmount ? (amount as number) : -1,
    transmittedAt: text('transmittedAt'),
    stan: text('stan'),
    rrn: text('rrn'),
    approvalCode,
    responseCode: text('responseCode'),
    terminalId: text('terminalId').trimEnd(),
    currencyNumeric: text('currency'),
    networkCode: '',
    passThrough:
      chip === '' && additionalAmounts === ''
        ? undefined
        : {
            ...(chip === '' ? {} : { chip: chipOf(chip) }),
            ...(additionalAmounts === '' ? {} : { additionalAmounts }),
          },
  }
}

/** What an authorization says of itself, asked for or told, and no step of its payment does. */
function ownOf({ initialReference, isPreauthorization }: Attempt) {
  return { initialReference, preauthorization: isPreauthorization }
}

function sharedOf(attempt: Attempt) {
  const { processingCode, currencyNumeric, acquiringInstitution, mcc, entryMode } = attempt
  return {
    processingCode,
    currency: currencyNumeric,
    acquiringInstitution,
    terminalId: attempt.terminalId.trimEnd(),
    entryMode,
    conditionCode: attempt.conditionCode,
    merchant: {
      id: attempt.merchantId.trimEnd(),
      mcc,
      nameAndLocation: attempt.merchantNameLocation,
    },
  }
}

function numbersOf(
  messageType: string,
  { stan, transmittedAt, rrn }: Pick<Attempt, 'stan' | 'transmittedAt' | 'rrn'>,
) {
  return { messageType, stan, transmittedAt, rrn }
}

/** The number alone comes round; with the moment and the class it names one message. */
function keyOf(mti: string, { stan, transmittedAt }: Pick<Attempt, 'stan' | 'transmittedAt'>) {
  return `${mti}-${transmittedAt}-${stan}`
}

/** DE90 (n 42) in its parts. */
function originalIn(elements: string) {
  return {
    messageType: elements.slice(0, 4),
    stan: elements.slice(4, 10),
    transmittedAt: elements.slice(10, 20),
    acquiringInstitution: elements.slice(20, 31).replace(/^0+/, ''),
  }
}
