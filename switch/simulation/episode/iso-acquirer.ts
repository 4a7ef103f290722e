// Acquirers over ISO 8583: bytes on connections that break, repeats with the same numbers, on
// another connection where there is one; captures, refunds, increments and reversals that name
// their payment by its numbers, also before it has come.

import type { Dialect, Framing, IsoMessage } from '../../iso8583/index.ts'
import type { Address, Connection } from '../../ports.ts'
import { createSeededRandom, type SeededRandom } from '../random.ts'
import type { VirtualTime } from '../time.ts'
import type { SimulatedNetwork } from '../transport.ts'
import { ALL_THAT_STANDS, acquirerSums, type Sums } from './acquirer-sums.ts'
import type { Books, Request } from './books.ts'
import type { Life } from './life.ts'
import { PATIENCE_MS } from './limits.ts'
import { spoilFrame } from './line-noise.ts'
import type { PayEntry, PayType, StepEntry } from './plan.ts'
import type { LineTroubles } from './ports.ts'
import type { Trace } from './trace.ts'

export interface IsoAcquirerOptions {
  readonly time: VirtualTime
  readonly network: SimulatedNetwork
  readonly address: Address
  readonly dialect: Dialect
  readonly framing: Framing
  readonly books: Books
  readonly trace: Trace
  /** The switch at that address as it is now; undefined while none runs. */
  readonly life: () => Life | undefined
  /** What happens to the next bytes toward the switch. */
  readonly lineTroubles: LineTroubles
  readonly random: SeededRandom
  /** DE32. */
  readonly institution: string
}

/** Its line as `LineTroubles` names it. */
export const TO_THE_SWITCH = 'to the switch'

const CONNECTIONS = 2
const ACQUIRER = 'demo'

interface Line {
  connection: Connection | undefined
  isUp: boolean
  /** Monotonic time of the last bytes that came. */
  heardMs: number
}

/** One request on its way; all who asked hear of its answer. */
interface Pending {
  readonly request: Request
  readonly message: IsoMessage
  readonly waiters: Set<() => void>
  /** Bytes of it were flipped on their way: what is said of its form is about those. */
  isSpoiled: boolean
}

/** What a request is made of besides what every one has. */
interface Asked {
  readonly mti: string
  readonly processing: string
  readonly amount: number
  readonly more?: Readonly<Record<number, string>>
}

export class IsoAcquirer {
  readonly #options: IsoAcquirerOptions
  readonly #lines: Line[] = []
  /** By DE11 and DE7: the acquirer's own numbers. */
  readonly #pending = new Map<string, Pending>()
  /** By the payment's id in the plan: DE90 names it so. */
  readonly #sent = new Map<string, IsoMessage>()
  /** The last step of each payment: the next one waits for its end. */
  readonly #lastSteps = new Map<string, Promise<void>>()
  #open = 0
  #isClosed = false
  #stan = 0
  #turn = 0

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

  /** A payment, repeated until it is answered; or what became of it elsewhere, told. */
  async pay(entry: PayEntry): Promise<void> {
    const { books } = this.#options
    this.#open++
    const random = createSeededRandom(entry.seed)
    const message = this.#message(entry, paymentOf(entry))
    const request = this.#request(entry, entry.id, message)
    this.#sent.set(entry.id, message)
    switch (entry.manner) {
      case 'reverses_first':
        books.fault('reversal_before_original')
        await this.#undo(entry, random)
        await this.#see(request, message, PATIENCE_MS, random)
        break
      case 'gives_up':
        books.fault('acquirer_gives_up')
        void this.#ask(request, message, 30 + random.below(9_000))
        await this.#sleep(20 + random.below(9_000))
        await this.#undo(entry, random)
        break
      default:
        await this.#seeAs(entry.manner, request, message, random)
    }
    request.isDone = true
    this.#open--
  }

  /** Of a payment whose approval is known, after the steps before it: it says what then stands. */
  step(entry: StepEntry, pay: PayEntry): Promise<void> {
    const before = this.#lastSteps.get(entry.of) ?? Promise.resolve()
    const step = before.then(() => this.#step(entry, pay))
    this.#lastSteps.set(entry.of, step)
    return step
  }

  async #step(entry: StepEntry, pay: PayEntry): Promise<void> {
    const original = this.#sent.get(entry.of)
    const { books } = this.#options
    const paid = books.requests.get(entry.of)
    const known = paid === undefined ? undefined : acquirerSums(books, paid)
    if (original === undefined || known === undefined) return
    this.#open++
    books.note('steps_over_iso')
    const random = createSeededRandom(entry.seed)
    const { asked, amount } = this.#askedOf(entry, known, original, random)
    const message = this.#message(pay, asked)
    const request = this.#request(entry, entry.id, message)
    request.stepAmount = amount
    await this.#seeAs(entry.manner, request, message, random)
    request.isDone = true
    this.#open--
  }

  /** Said of what the acquirer knows by now. */
  #askedOf(
    { step, share }: StepEntry,
    { authorized, reversed }: Sums,
    original: IsoMessage,
    random: SeededRandom,
  ): { asked: Asked; amount: number } {
    const amount = Math.max(1, Math.floor(authorized * share))
    const names = { 90: elementsOf(original, this.#options.institution) }
    if (step !== 'reversal') {
      const { mti, processing } = STEPS[step]
      return { asked: { mti, processing, amount, more: names }, amount }
    }
    const standing = authorized - reversed - amount
    const isWhole = share === 1 || standing <= 0
    const left = `${String(standing).padStart(12, '0')}${'0'.repeat(30)}`
    const asked = {
      mti: random.chance(0.5) ? '0420' : '0400',
      processing: String(original.fields[3]),
      amount: authorized,
      more: isWhole ? names : { ...names, 95: left },
    }
    return { asked, amount: isWhole ? ALL_THAT_STANDS : amount }
  }

  /** All of it, whatever became of it: by its numbers. */
  async #undo(entry: PayEntry, random: SeededRandom): Promise<void> {
    const original = this.#sent.get(entry.id)
    if (original === undefined || entry.amount === 0) return
    const message = this.#message(entry, {
      mti: '0420',
      processing: String(original.fields[3]),
      amount: entry.amount,
      more: { 90: elementsOf(original, this.#options.institution) },
    })
    const request = this.#request(entry, `${entry.id}-reversal`, message)
    request.stepAmount = ALL_THAT_STANDS
    await this.#see(request, message, PATIENCE_MS, random)
    request.isDone = true
  }

  async #seeAs(
    manner: PayEntry['manner'],
    request: Request,
    message: IsoMessage,
    random: SeededRandom,
  ): Promise<void> {
    const { books } = this.#options
    if (manner === 'doubles') {
      books.fault('acquirer_sends_twice')
      void this.#ask(request, repeatOf(message), PATIENCE_MS)
    }
    const isHasty = manner === 'impatient'
    if (isHasty) books.fault('acquirer_asks_again')
    await this.#see(request, message, isHasty ? 50 + random.below(3_000) : PATIENCE_MS, random)
  }

  /** Asks, and repeats until there is an answer that no repeat changes. */
  async #see(
    request: Request,
    message: IsoMessage,
    firstPatienceMs: number,
    random: SeededRandom,
  ): Promise<void> {
    if (await this.#ask(request, message, firstPatienceMs)) return
    do await this.#sleep(300 + random.below(2_000))
    while (!(await this.#ask(request, repeatOf(message), PATIENCE_MS)))
  }

  #request(entry: PayEntry | StepEntry, name: string, message: IsoMessage): Request {
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
      stepAmount: undefined,
    }
    this.#options.books.requests.set(name, request)
    return request
  }

  /** True: it was answered, and there is nothing to repeat. */
  #ask(request: Request, message: IsoMessage, patienceMs: number): Promise<boolean> {
    const { time, trace } = this.#options
    const key = keyOf(message)
    const pending = this.#pending.get(key) ?? {
      request,
      message,
      waiters: new Set<() => void>(),
      isSpoiled: false,
    }
    this.#pending.set(key, pending)
    if (isOver(request)) return Promise.resolve(true)
    const up = this.#lines.filter(({ isUp }) => isUp)
    const line = up[this.#turn++ % Math.max(1, up.length)]
    const sentMs = time.clock.monotonic()
    trace.add(`${request.key} sends ${message.mti}, ${line === undefined ? 'no' : 'a'} line`)
    return new Promise((resolve) => {
      const timer = time.timers.set(patienceMs, () => {
        pending.waiters.delete(answered)
        // Nothing at all came for so long: another connection is better than this one.
        const isMute = patienceMs >= PATIENCE_MS && line !== undefined && line.heardMs < sentMs
        if (isMute && !isOver(request)) line.connection?.destroy()
        resolve(isOver(request))
      })
      const answered = () => {
        time.timers.clear(timer)
        resolve(true)
      }
      pending.waiters.add(answered)
      if (line?.connection !== undefined) this.#write(line.connection, message, pending)
    })
  }

  /** As the line lets it through. */
  #write(connection: Connection, message: IsoMessage, pending: Pending): void {
    const { lineTroubles, books, dialect, random } = this.#options
    const frame = this.#frame(message)
    const trouble = lineTroubles.get(TO_THE_SWITCH)
    if (trouble === undefined) {
      connection.write(frame)
      return
    }
    const isCut = trouble.kind === 'cut'
    const spoiled = isCut ? undefined : spoilFrame(frame, dialect, random)
    if (!isCut && spoiled === undefined) {
      connection.write(frame)
      return
    }
    lineTroubles.delete(TO_THE_SWITCH)
    books.fault(isCut ? 'connection_cut' : 'message_corrupted')
    pending.isSpoiled ||= !isCut
    connection.write(
      spoiled ?? frame.subarray(0, Math.floor((isCut ? trouble.share : 1) * frame.length)),
    )
    if (isCut) connection.destroy()
  }

  #received(answer: IsoMessage): void {
    const pending = this.#pending.get(keyOf(answer))
    if (pending === undefined || !isAnswerTo(pending, answer)) return
    if (!this.#take(pending, answer)) return
    for (const answered of pending.waiters) answered()
    pending.waiters.clear()
  }

  /** True: the answer is the last word. */
  #take({ request, isSpoiled }: Pending, answer: IsoMessage): boolean {
    const { books, trace } = this.#options
    const { entry } = request
    const text = (field: number) => String(answer.fields[field] ?? '').trimEnd()
    const responseCode = text(39)
    trace.add(`${request.key} is answered ${answer.mti} ${responseCode} ${text(38)}`)
    // The door, or another step that runs: nothing was taken. A repeat asks again.
    if (responseCode === '91' && this.#isUnknown(request)) return false
    if (responseCode === '09' || (responseCode === '30' && isSpoiled)) return false
    if (responseCode === '30' || responseCode === '96') {
      books.violate('crossed', `${request.key} was refused with ${responseCode}`)
    }
    const said = [responseCode, text(38), text(4)].join(' ')
    const isPayment = entry.kind === 'pay' && request.stepAmount === undefined
    books.answered(request, said, {
      outcome: APPROVED.has(responseCode) ? 'approved' : 'declined',
      responseCode,
      approvalCode: text(38) === '' ? undefined : text(38),
      amount: request.stepAmount ?? Number(text(4)),
      type: entry.kind === 'step' ? entry.step : isPayment ? entry.type : 'reversal',
    })
    return true
  }

  /** Whether the switch has no record of it yet: 91 was then said at the door. */
  #isUnknown(request: Request): boolean {
    const store = this.#options.life()?.world?.store
    if (store?.status.writable !== true) return true
    return store.findKey(request.acquirer, request.key)?.state !== 'recorded'
  }

  #dial(index: number): void {
    const { network, address, framing, dialect, time } = this.#options
    if (this.#isClosed) return
    const line: Line = { connection: undefined, isUp: false, heardMs: 0 }
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
      onBytes: (bytes) => {
        line.heardMs = time.clock.monotonic()
        splitter.push(bytes)
      },
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

  #message(entry: PayEntry, { mti, processing, amount, more }: Asked): IsoMessage {
    const isCash = entry.type === 'cash_withdrawal'
    this.#stan = (this.#stan % 999_999) + 1
    const fields: (string | undefined)[] = new Array(129)
    fields[2] = entry.pan
    fields[3] = processing
    fields[4] = String(amount).padStart(12, '0')
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
    for (const [field, value] of Object.entries(more ?? {})) fields[Number(field)] = value
    return { mti, fields }
  }

  #sleep(durationMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.time.timers.set(durationMs, resolve)
    })
  }
}

/** What is asked for, or told with the approval that the acquirer gave itself. */
function paymentOf(entry: PayEntry): Asked {
  const { processing, mti } = WIRE[entry.type]
  const { amount } = entry
  if (!entry.isTold) return { mti, processing, amount }
  const more = { 38: toldCodeOf(entry).padEnd(6), 39: '00' }
  return { mti: `${mti.slice(0, 2)}20`, processing, amount, more }
}

/** DE38 of a payment that was decided by its acquirer. */
export function toldCodeOf({ id }: PayEntry): string {
  return `X${id.slice(1).padStart(5, '0')}`
}

/** Nothing more will be asked about it. */
function isOver({ answer }: Request): boolean {
  return answer !== undefined
}

function repeatOf(message: IsoMessage): IsoMessage {
  return { ...message, mti: `${message.mti.slice(0, 3)}1` }
}

/** DE90: MTI, DE11, DE7, DE32 and DE33 of eleven digits each. */
function elementsOf({ mti, fields }: IsoMessage, institution: string): string {
  return `${mti}${fields[11]}${fields[7]}${institution.padStart(11, '0')}${'0'.repeat(11)}`
}

const APPROVED: ReadonlySet<string> = new Set(['00', '08', '10', '11', '85'])

const STEPS = {
  capture: { mti: '0220', processing: '000000' },
  refund: { mti: '0200', processing: '200000' },
  increment: { mti: '0100', processing: '000000' },
} as const

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
function isAnswerTo({ message }: Pending, answer: IsoMessage): boolean {
  const { mti } = message
  if (answer.mti.slice(0, 3) !== `${mti.slice(0, 2)}${Number(mti[2]) + 1}`) return false
  const same = (field: number) =>
    String(message.fields[field] ?? '').trimEnd() === String(answer.fields[field] ?? '').trimEnd()
  return [2, 3, 32, 41, 42, 49].every(same)
}
