// Acquirers over ISO 8583: bytes on connections that break, repeats with the same numbers, on
// another connection where the first is gone. A payment is paid, and nothing else is done with it.

import type { Dialect, Framing, IsoMessage } from '../../iso8583/index.ts'
import type { Address, Connection } from '../../ports.ts'
import { createSeededRandom } from '../random.ts'
import type { VirtualTime } from '../time.ts'
import type { SimulatedNetwork } from '../transport.ts'
import type { Books, Request } from './books.ts'
import type { Life } from './life.ts'
import { DEADLINE_TOLERANCE_MS, PATIENCE_MS } from './limits.ts'
import type { PayEntry, PayType } from './plan.ts'
import type { Trace } from './trace.ts'

export interface IsoAcquirerOptions {
  readonly time: VirtualTime
  readonly network: SimulatedNetwork
  readonly address: Address
  readonly dialect: Dialect
  readonly framing: Framing
  readonly books: Books
  readonly trace: Trace
  readonly acquirerMs: number
  readonly life: () => Life | undefined
  readonly lastStoppedMs: () => number
  /** DE32. */
  readonly institution: string
}

const CONNECTIONS = 2
const ACQUIRER = 'demo'

interface Line {
  connection: Connection | undefined
  isUp: boolean
}

/** One request on its way; whoever asked hears of its answer. */
interface Pending {
  readonly request: IsoMessage
  readonly take: (answer: IsoMessage) => void
}

export class IsoAcquirer {
  readonly #options: IsoAcquirerOptions
  readonly #lines: Line[] = []
  /** By DE11 and DE7: the acquirer's own numbers. */
  readonly #pending = new Map<string, Pending>()
  #open = 0
  #isClosed = false
  #stan = 0

  constructor(options: IsoAcquirerOptions) {
    this.#options = options
    for (let i = 0; i < CONNECTIONS; i++) this.#dial(i)
  }

  get openErrands(): number {
    return this.#open
  }

  /** Hangs up, and dials no more. */
  close(): void {
    this.#isClosed = true
    for (const { connection } of this.#lines) connection?.destroy()
  }

  /** A payment, repeated until it is answered. */
  async pay(entry: PayEntry): Promise<void> {
    const { books, time } = this.#options
    this.#open++
    const random = createSeededRandom(entry.seed)
    const message = this.#message(entry)
    const request = this.#request(entry, message)
    const repeat: IsoMessage = { ...message, mti: `${message.mti.slice(0, 3)}1` }
    if (entry.manner === 'doubles') {
      books.fault('acquirer_sends_twice')
      void this.#ask(request, repeat, PATIENCE_MS)
    }
    let next = message
    let patienceMs = PATIENCE_MS
    if (entry.manner === 'impatient') {
      books.fault('acquirer_asks_again')
      patienceMs = 50 + random.below(3_000)
    }
    while (!(await this.#ask(request, next, patienceMs))) {
      await new Promise<void>((resolve) => time.timers.set(300 + random.below(2_000), resolve))
      next = repeat
      patienceMs = PATIENCE_MS
    }
    request.isDone = true
    this.#open--
  }

  #request(entry: PayEntry, message: IsoMessage): Request {
    const text = (field: number) => String(message.fields[field])
    const parts = [message.mti.slice(0, 3), text(11), text(7), this.#options.institution]
    const request: Request = {
      entry,
      acquirer: ACQUIRER,
      key: ['iso', ...parts, text(41).trimEnd()].join(' '),
      answer: undefined,
      body: undefined,
      refusedWith: undefined,
      isDone: false,
      reversalAnswered: false,
    }
    this.#options.books.requests.set(entry.id, request)
    return request
  }

  /** True: it was answered, and there is nothing to repeat. */
  #ask(request: Request, message: IsoMessage, patienceMs: number): Promise<boolean> {
    const { time, trace } = this.#options
    const isFirst = message.mti.endsWith('0')
    return new Promise((resolve) => {
      const key = keyOf(message)
      const timer = time.timers.set(patienceMs, () => resolve(request.answer !== undefined))
      this.#pending.set(key, {
        request: message,
        take: (answer) => {
          const isAnswered = this.#take(request, answer)
          if (!isAnswered) return
          time.timers.clear(timer)
          resolve(true)
        },
      })
      const line = this.#lines.find(({ isUp }) => isUp)
      trace.add(`${request.entry.id} sends ${message.mti}, ${line === undefined ? 'no' : 'a'} line`)
      if (line?.connection === undefined) return
      line.connection.write(this.#frame(message))
      if (isFirst) this.#watchDeadline(request, line, line.connection)
    })
  }

  /** Answered by the deadline, or the connection is closed, or the outcome is not known. */
  #watchDeadline(request: Request, line: Line, connection: Connection): void {
    const { time, books, acquirerMs, life, lastStoppedMs } = this.#options
    const sentMs = time.clock.monotonic()
    const asked = life()
    // Bytes may be late on a bad line, both ways; the switch's own time is checked over HTTP.
    time.timers.set(acquirerMs * 2 + DEADLINE_TOLERANCE_MS, () => {
      if (request.answer !== undefined || line.connection !== connection) return
      if (asked === undefined || asked.ports.isDead || asked.isEnding || life() !== asked) return
      if (lastStoppedMs() >= sentMs || books.wasLineTroubled(sentMs)) return
      books.violate('late_answer', `${request.entry.id} over ISO 8583 had no answer`)
    })
  }

  /** True: the answer is the last word. */
  #take(request: Request, answer: IsoMessage): boolean {
    const { books, trace } = this.#options
    const text = (field: number) => String(answer.fields[field] ?? '').trimEnd()
    const responseCode = text(39)
    trace.add(`${request.entry.id} is answered ${answer.mti} ${responseCode} ${text(38)}`)
    // The door: nothing was taken. A repeat asks again.
    const isDoor = responseCode === '91' && this.#isUnknown(request)
    if (isDoor) return false
    if (responseCode === '30' || responseCode === '96') {
      books.violate('crossed', `${request.entry.id} was refused with ${responseCode}`)
    }
    const said = [responseCode, text(38), text(4)].join(' ')
    books.answered(request, said, {
      responseCode,
      approvalCode: text(38) === '' ? undefined : text(38),
      amount: Number(text(4)),
    })
    return true
  }

  /** Whether the switch has no record of it yet: 91 was then said at the door. */
  #isUnknown(request: Request): boolean {
    const store = this.#options.life()?.world?.store
    if (store?.status.writable !== true) return true
    return store.findKey(request.acquirer, request.key)?.state !== 'recorded'
  }

  #received(message: IsoMessage): void {
    const pending = this.#pending.get(keyOf(message))
    if (pending === undefined || !isAnswerTo(pending.request, message)) return
    pending.take(message)
  }

  #dial(index: number): void {
    const { network, address, framing, dialect, time } = this.#options
    if (this.#isClosed) return
    const line: Line = { connection: undefined, isUp: false }
    this.#lines[index] = line
    const splitter = framing.createSplitter(
      (payload) => {
        const decoded = dialect.decode(payload)
        if (decoded.ok) this.#received(decoded.message)
        else line.connection?.destroy()
      },
      () => line.connection?.destroy(),
    )
    line.connection = network.transport.connect(address, {
      onOpen: () => {
        line.isUp = true
      },
      onBytes: (bytes) => splitter.push(bytes),
      onClose: () => {
        splitter.stop()
        line.isUp = false
        line.connection = undefined
        time.timers.set(200, () => this.#dial(index))
      },
    })
  }

  #frame(message: IsoMessage): Uint8Array {
    const { dialect, framing } = this.#options
    const encoded = dialect.encode(message)
    if (!encoded.ok) throw new Error(`can't encode: ${encoded.problem.message}`)
    const frame = framing.encode(encoded.bytes)
    if (!frame.ok) throw new Error(`can't frame: ${frame.problem.message}`)
    return frame.bytes
  }

  #message(entry: PayEntry): IsoMessage {
    const { processing, mti } = WIRE[entry.type]
    const isCash = entry.type === 'cash_withdrawal'
    this.#stan = (this.#stan % 999_999) + 1
    const fields: (string | undefined)[] = new Array(50)
    fields[2] = entry.pan
    fields[3] = processing
    fields[4] = String(entry.amount).padStart(12, '0')
    fields[7] = timeField(this.#options.time.clock.now())
    fields[11] = String(this.#stan).padStart(6, '0')
    fields[14] = '3012'
    fields[18] = isCash ? '6011' : '5411'
    fields[22] = '051'
    fields[25] = entry.type === 'preauthorization' ? '06' : isCash ? '02' : '00'
    fields[32] = this.#options.institution
    fields[41] = `T${entry.id}`.slice(0, 8).padEnd(8)
    fields[42] = entry.id.padEnd(15)
    fields[43] = `${'Corner Shop'.padEnd(25)}${''.padEnd(13)}DE`
    fields[49] = '978'
    return { mti, fields }
  }
}

const WIRE: Readonly<Record<PayType, { readonly mti: string; readonly processing: string }>> = {
  authorization: { mti: '0100', processing: '000000' },
  preauthorization: { mti: '0100', processing: '000000' },
  sale: { mti: '0200', processing: '000000' },
  cash_withdrawal: { mti: '0200', processing: '010000' },
  balance_inquiry: { mti: '0100', processing: '310000' },
  account_verification: { mti: '0100', processing: '330000' },
}

/** DE7: MMDDhhmmss, UTC. */
function timeField(atMs: number): string {
  return new Date(atMs).toISOString().replace(/[-T:]/g, '').slice(4, 14)
}

function keyOf(message: IsoMessage): string {
  return `${message.fields[11]} ${message.fields[7]}`
}

/** All that a careful acquirer compares: what does not fit is nobody's. */
function isAnswerTo(request: IsoMessage, answer: IsoMessage): boolean {
  if (answer.mti.slice(0, 3) !== `${request.mti.slice(0, 2)}1`) return false
  const same = (field: number) =>
    String(request.fields[field] ?? '').trimEnd() === String(answer.fields[field] ?? '').trimEnd()
  return [2, 3, 32, 41, 42, 49].every(same)
}
