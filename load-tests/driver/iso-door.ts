// ISO 8583:1987 on TCP: 0100 and its repeat 0101, many in flight, matched by DE11 and DE7.

import type { FieldValue, IsoMessage } from '#switch'
import { type IsoClient, openIsoClient } from '../processes/index.ts'
import type { Door, DoorAnswer, DoorEvents, Target } from './door.ts'
import { type MixedRequest, stanOf } from './mix.ts'
import { Multiplexed } from './multiplexed.ts'

/** DE39 that means approved. */
const APPROVED: ReadonlySet<string> = new Set(['00', '08', '10', '11'])
/** DE39 of a request that was not decided: format, unavailable, fault, duplicate. */
const REFUSED: ReadonlySet<string> = new Set(['12', '30', '91', '94', '96'])
const STEP_UP: ReadonlySet<string> = new Set(['1A', '65', '70'])

export class IsoDoor implements Door {
  readonly #lanes: Multiplexed<IsoClient>
  /** The request that carries these trace numbers now: DE11 wraps after a million. */
  readonly #tokens = new Map<string, number>()
  readonly #requests = new Map<number, MixedRequest>()

  constructor(target: Target, events: DoorEvents) {
    const settled = (token: number) => {
      const request = this.#requests.get(token)
      if (request !== undefined) this.#tokens.delete(traceOf(stanOf(request), isoTimeOf(request)))
      this.#requests.delete(token)
    }
    this.#lanes = new Multiplexed(
      {
        ...events,
        onAnswer: (token, answer) => {
          settled(token)
          events.onAnswer(token, answer)
        },
        onNoAnswer: (token, why) => {
          settled(token)
          events.onNoAnswer(token, why)
        },
      },
      async (lane) => {
        const client = await openIsoClient({
          port: target.port,
          onMessage: ({ fields }) => {
            const token = this.#tokens.get(traceOf(fields[11], fields[7]))
            const request = token === undefined ? undefined : this.#requests.get(token)
            if (token === undefined || request === undefined) return
            lane.settle(token, readAnswer(fields, request))
          },
        })
        void client.closed.then(() => lane.lost())
        return client
      },
    )
  }

  open(count: number): Promise<void> {
    return this.#lanes.open(count)
  }

  send(token: number, request: MixedRequest, isRepeat: boolean): boolean {
    return this.#lanes.send(token, (client) => {
      this.#tokens.set(traceOf(stanOf(request), isoTimeOf(request)), token)
      this.#requests.set(token, request)
      client.send(isoMessageOf(request, isRepeat))
    })
  }

  giveUp(token: number): void {
    this.#lanes.giveUp(token)
  }

  close(): void {
    this.#lanes.close()
  }
}

function traceOf(stan: unknown, transmittedAt: unknown): string {
  return `${stan} ${transmittedAt}`
}

/** DE7, MMDDhhmmss in UTC. */
export function isoTimeOf({ sentAtMs }: MixedRequest): string {
  return new Date(sentAtMs).toISOString().slice(5, 19).replace(/[-T:]/g, '')
}

/** 0100, or its repeat 0101. */
export function isoMessageOf(request: MixedRequest, isRepeat: boolean): IsoMessage {
  const { merchant, home } = request
  const fields: (FieldValue | undefined)[] = new Array(50)
  fields[2] = request.pan
  fields[3] = '000000'
  fields[4] = String(request.amount).padStart(12, '0')
  fields[7] = isoTimeOf(request)
  fields[11] = stanOf(request)
  fields[14] = request.expiry
  fields[18] = merchant.category
  fields[22] = { ecommerce: '810', contactless: '071', chip: '051' }[request.entryMode]
  fields[25] = request.isRemote ? '59' : '00'
  fields[32] = '100001'
  fields[37] = String(request.index % 1_000_000_000_000).padStart(12, '0')
  fields[41] = request.terminalId.padEnd(8)
  fields[42] = `M${merchant.number}`.padEnd(15)
  fields[43] = `Shop ${merchant.number}`.padEnd(25) + home.name.padEnd(13) + home.country
  fields[49] = '978'
  return { mti: isRepeat ? '0101' : '0100', fields }
}

function readAnswer(fields: IsoMessage['fields'], request: MixedRequest): DoorAnswer {
  const code = String(fields[39])
  if (REFUSED.has(code)) {
    return { kind: 'refused', error: `de39_${code}`, isOpen: code === '96' }
  }
  const approvalCode = String(fields[38] ?? '').trimEnd()
  return {
    kind: 'outcome',
    outcome: APPROVED.has(code) ? 'approved' : STEP_UP.has(code) ? 'challenged' : 'declined',
    // ISO 8583 does not say who approved: the routes of the shipped configuration do.
    issuer: request.pan.startsWith('541333') ? 'demo-b' : 'demo-a',
    approvalCode,
    amount: Number(fields[4]),
    standIn: false,
  }
}
