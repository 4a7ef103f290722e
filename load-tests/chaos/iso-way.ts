// ISO 8583:1987 on TCP, many in flight on a connection: 0100, a capture as 0220, a reversal as
// 0420, and their repeats. An answer is matched by its MTI, DE11 and DE7.

import { type FieldValue, type IsoMessage, maskPan } from '#switch'
import { isoMessageOf, isoTimeOf } from '../driver/iso-door.ts'
import { type MixedRequest, stanOf } from '../driver/mix.ts'
import { Multiplexed } from '../driver/multiplexed.ts'
import { type IsoClient, openIsoClient } from '../processes/index.ts'
import type { AskedKind, Told } from './asked.ts'
import { isoConnections } from './limits.ts'
import type { Target } from './proxy.ts'
import { wireDigestOf } from './stored.ts'
import type { Answer, Question, WayIn, WayInEvents } from './way-in.ts'

const INSTITUTION = '100001'
const MTI = { authorization: '0100', capture: '0220', reversal: '0420' } as const
const DAY_MS = 86_400_000
/** A step has its authorization's DE11, of another day. */
const DAYS_AFTER = { authorization: 0, capture: 1, reversal: 2 } as const

const APPROVED: ReadonlySet<string> = new Set(['00', '08', '10', '11'])
const STEP_UP: ReadonlySet<string> = new Set(['1A', '65', '70'])
/** Merchant, transaction, amount, PAN, format, security, duplicate: never earned here. */
const REFUSED: ReadonlySet<string> = new Set(['03', '12', '13', '14', '25', '30', '63', '94'])
const UNAVAILABLE = '91'
const FAULT = '96'

interface Sent {
  readonly token: number
  readonly kind: AskedKind
}

export class IsoWay implements WayIn {
  readonly #lanes: Multiplexed<IsoClient, Answer>
  /** By what its answer will repeat. */
  readonly #sent = new Map<string, Sent>()
  readonly #traces = new Map<number, string>()

  constructor(target: Target, events: WayInEvents) {
    const settled = (token: number) => {
      this.#sent.delete(this.#traces.get(token) ?? '')
      this.#traces.delete(token)
    }
    this.#lanes = new Multiplexed<IsoClient, Answer>(
      {
        onAnswer: (token, answer) => {
          settled(token)
          events.onAnswer(token, answer)
        },
        onNoAnswer: (token) => {
          settled(token)
          events.onNoAnswer(token)
        },
        onIdle: () => undefined,
        onConnectFailed: () => undefined,
      },
      async (lane) => {
        const client = await openIsoClient({
          port: target.port,
          isKept: false,
          onMessage: (message) => {
            const sent = this.#sent.get(traceOf(message))
            if (sent !== undefined) lane.settle(sent.token, answerOf(sent.kind, message))
          },
        })
        void client.closed.then(() => lane.lost())
        return client
      },
    )
  }

  open(): Promise<void> {
    return this.#lanes.open(isoConnections)
  }

  /** One of a kind at a time: the answers of two that are the same could not be told apart. */
  send(token: number, question: Question, isRepeat: boolean): boolean {
    const message = messageOf(question, isRepeat)
    const trace = traceOf(message)
    if (this.#sent.has(trace)) return false
    return this.#lanes.send(token, (client) => {
      this.#sent.set(trace, { token, kind: question.asked.kind })
      this.#traces.set(token, trace)
      client.send(message)
    })
  }

  giveUp(token: number): void {
    this.#lanes.giveUp(token)
  }

  close(): void {
    this.#lanes.close()
  }
}

/** What the switch makes of the message: class, DE11, DE7, DE32 and DE41. */
export function isoKeyOf(kind: AskedKind, request: MixedRequest): string {
  const of = [MTI[kind].slice(0, 3), stanOf(request), timeOf(kind, request), INSTITUTION]
  return ['iso', ...of, request.terminalId].join(' ')
}

function timeOf(kind: AskedKind, request: MixedRequest): string {
  return isoTimeOf({ ...request, sentAtMs: request.sentAtMs + DAYS_AFTER[kind] * DAY_MS })
}

/** The class of request and answer are the same but for one digit. */
function traceOf({ mti, fields }: IsoMessage): string {
  return `${mti.slice(0, 2)} ${fields[11]} ${fields[7]}`
}

function messageOf({ asked, request }: Question, isRepeat: boolean): IsoMessage {
  const { kind, amount } = asked
  const of = request()
  const original = isoMessageOf(of, isRepeat)
  if (kind === 'authorization') return original
  const fields: (FieldValue | undefined)[] = [...original.fields]
  fields[4] = String(amount).padStart(12, '0')
  fields[7] = timeOf(kind, of)
  const institution = INSTITUTION.padStart(11, '0')
  fields[90] = `${MTI.authorization}${stanOf(of)}${isoTimeOf(of)}${institution}${'0'.repeat(11)}`
  return { mti: `${MTI[kind].slice(0, 3)}${isRepeat ? '1' : '0'}`, fields }
}

function answerOf(kind: AskedKind, { fields }: IsoMessage): Answer {
  const text = (field: number) => String(fields[field] ?? '').trim()
  const responseCode = text(39)
  if (responseCode === FAULT) return { kind: 'later', name: 'DE39 96' }
  if (REFUSED.has(responseCode)) return { kind: 'refused', name: `DE39 ${responseCode}` }
  const outcome = APPROVED.has(responseCode)
    ? 'approved'
    : STEP_UP.has(responseCode)
      ? 'challenged'
      : 'declined'
  const amount = Number(fields[4])
  const approvalCode = text(38)
  const told: Told = {
    digest: wireDigestOf({ responseCode, approvalCode, amount }),
    ...{ id: '', type: kind, outcome, responseCode, issuer: '', approvalCode, amount },
    ...{ rrn: text(37), maskedPan: maskPan(text(2)), authorization: '', standIn: false },
    degraded: undefined,
  }
  return { kind: responseCode === UNAVAILABLE ? 'unsure' : 'told', told }
}
