// Acquirers over HTTP: they send, wait as long as they are patient, ask again with the same key, on
// another connection, at the same moment, after a restart; they reverse, sometimes too early.

import { createSeededRandom, type SeededRandom } from '../random.ts'
import type { VirtualTime } from '../time.ts'
import type { Books, Request } from './books.ts'
import { toldCodeOf } from './iso-acquirer.ts'
import type { Life } from './life.ts'
import { DEADLINE_TOLERANCE_MS, PATIENCE_MS } from './limits.ts'
import type { PayEntry, StepEntry } from './plan.ts'
import type { Trace } from './trace.ts'

export interface AcquirerOptions {
  readonly time: VirtualTime
  readonly books: Books
  readonly trace: Trace
  readonly acquirerMs: number
  /** The switch as it is now; undefined while none runs. */
  readonly life: () => Life | undefined
  /** True once faults have ended: then every request must get its answer. */
  readonly isCalm: () => boolean
  /** Monotonic time at which the life was last stopped or woken. */
  readonly lastStoppedMs: () => number
}

interface HttpAnswer {
  readonly status: number
  readonly text: string
}

const API_KEY = 'demo-key'
const ACQUIRER = 'demo'
const HOST = '127.0.0.1:8080'

export class HttpAcquirer {
  readonly #options: AcquirerOptions
  #open = 0

  constructor(options: AcquirerOptions) {
    this.#options = options
  }

  /** Requests that were not answered for good yet. */
  get openErrands(): number {
    return this.#open
  }

  /** A payment, to its end. */
  async pay(entry: PayEntry): Promise<void> {
    this.#open++
    const random = createSeededRandom(entry.seed)
    const request = this.#request(entry, entry.id)
    const body = bodyOf(entry, this.#options.time.clock.now())
    const path = entry.isTold ? '/v1/advices' : '/v1/authorizations'
    switch (entry.manner) {
      case 'doubles':
        this.#options.books.fault('acquirer_sends_twice')
        await Promise.all([
          this.#see(request, path, body, random, PATIENCE_MS),
          this.#see(request, path, body, random, PATIENCE_MS),
        ])
        break
      case 'reverses_first':
        this.#options.books.fault('reversal_before_original')
        await this.#reverse(request, body, random)
        await this.#see(request, path, body, random, PATIENCE_MS)
        break
      case 'gives_up':
        this.#options.books.fault('acquirer_gives_up')
        void this.#post(request.key, path, body, 30 + random.below(9_000), (answer) =>
          this.#take(request, answer),
        )
        await this.#sleep(20 + random.below(9_000))
        await this.#reverse(request, body, random)
        break
      default: {
        const isHasty = entry.manner === 'impatient'
        if (isHasty) this.#options.books.fault('acquirer_asks_again')
        const patienceMs = isHasty ? 50 + random.below(3_000) : PATIENCE_MS
        await this.#see(request, path, body, random, patienceMs)
      }
    }
    request.isDone = true
    this.#open--
  }

  /** A capture, reversal, refund or increment of a payment whose answer is known. */
  async step(entry: StepEntry): Promise<void> {
    const { books } = this.#options
    const paid = books.requests.get(entry.of)
    // Without an answer there is no id to name the payment by.
    if (paid?.body === undefined || paid.body.outcome !== 'approved') return
    this.#open++
    const random = createSeededRandom(entry.seed)
    const request = this.#request(entry, entry.id)
    const path = `/v1/authorizations/${String(paid.body.id)}/${entry.step}s`
    const share = Math.max(1, Math.floor(Number(paid.body.amount) * entry.share))
    const all = entry.share === 1 && entry.step !== 'increment'
    const body = all ? {} : { amount: share }
    if (entry.manner === 'doubles') {
      books.fault('acquirer_sends_twice')
      await Promise.all([
        this.#see(request, path, body, random, PATIENCE_MS),
        this.#see(request, path, body, random, PATIENCE_MS),
      ])
    } else {
      const isHasty = entry.manner === 'impatient'
      if (isHasty) books.fault('acquirer_asks_again')
      const patienceMs = isHasty ? 50 + random.below(3_000) : 2 * PATIENCE_MS
      await this.#see(request, path, body, random, patienceMs)
    }
    request.isDone = true
    this.#open--
  }

  /** GET by id: status and body. */
  async get(id: string): Promise<HttpAnswer | undefined> {
    const life = this.#options.life()
    const response = await life?.request({
      method: 'GET',
      path: `/v1/authorizations/${id}`,
      query: '',
      headers: HEADERS,
      body: new Uint8Array(0),
    })
    return response === undefined
      ? undefined
      : { status: response.status, text: String(response.body) }
  }

  #request(entry: PayEntry | StepEntry, key: string): Request {
    const request: Request = {
      entry,
      acquirer: ACQUIRER,
      key,
      answer: undefined,
      body: undefined,
      refusedWith: undefined,
      isDone: false,
      reversalAnswered: false,
      stepAmount: undefined,
    }
    this.#options.books.requests.set(key, request)
    return request
  }

  /** Asks until there is an answer, or a refusal that no retry changes. */
  async #see(
    request: Request,
    path: string,
    body: object,
    random: SeededRandom,
    firstPatienceMs: number,
  ): Promise<void> {
    let patienceMs = firstPatienceMs
    for (;;) {
      let isSettled = false
      const answer = await this.#post(request.key, path, body, patienceMs, (late) => {
        isSettled = this.#take(request, late)
      })
      if (answer && isSettled) return
      // A payment's next step may find it busy for long; nobody waits for ever.
      await this.#sleep(200 + random.below(this.#options.isCalm() ? 800 : 4_000))
      patienceMs = 2 * PATIENCE_MS
    }
  }

  /** By key, with what is needed where the original has not come. */
  async #reverse(request: Request, body: Body, random: SeededRandom): Promise<void> {
    const { amount, currency, transmittedAt } = body
    if (amount === 0) return
    const key = `${request.key}-reversal`
    const reversal = this.#request(request.entry, key)
    const named = { idempotencyKey: request.key, transmittedAt }
    const asked = { amount, currency, original: named }
    for (;;) {
      let isSettled = false
      await this.#post(key, '/v1/reversals', asked, PATIENCE_MS, (answer) => {
        isSettled = this.#take(reversal, answer)
      })
      if (isSettled) break
      await this.#sleep(200 + random.below(2_000))
    }
    reversal.isDone = true
    request.reversalAnswered = reversal.body?.outcome === 'approved'
  }

  /** True: there is nothing more to ask. */
  #take(request: Request, { status, text }: HttpAnswer): boolean {
    const { books, trace } = this.#options
    const body = JSON.parse(text) as Record<string, unknown>
    if (status === 200) {
      trace.add(`${request.key} is answered ${body.outcome} ${body.responseCode} ${body.id}`)
      books.answered(request, text, body)
      const { entry } = request
      const isPayment = entry.kind === 'pay' && request.key === entry.id
      if (isPayment && (body.requestedAmount ?? body.amount) !== entry.amount) {
        books.violate('crossed', `${request.key} of ${entry.amount} is answered ${text}`)
      }
      return true
    }
    trace.add(`${request.key} is refused ${status} ${body.code}`)
    if (status === 503 || status === 409) {
      if (RETRIED.has(String(body.code))) return false
      request.refusedWith = String(body.code)
      return true
    }
    request.refusedWith = String(body.code)
    if (request.answer !== undefined) {
      books.violate('key_answered_twice', `${request.key}: answered, then ${status} ${body.code}`)
    }
    return true
  }

  /** True: an answer came within `patienceMs`; a later one is given to `take` all the same. */
  async #post(
    key: string,
    path: string,
    body: object,
    patienceMs: number,
    take: (answer: HttpAnswer) => void,
  ): Promise<boolean> {
    const { time, trace, life } = this.#options
    await this.#sleep(2)
    const now = life()
    if (now === undefined) return false
    trace.add(`${key} sends ${path}`)
    const reply = now
      .request({
        method: 'POST',
        path,
        query: '',
        headers: new Map([...HEADERS, ['idempotency-key', key]]),
        body: Buffer.from(JSON.stringify(body)),
      })
      .then((response) => {
        isAnswered = true
        if (response === undefined) return false
        take({ status: response.status, text: String(response.body) })
        return true
      })
    let isAnswered = false
    this.#watchDeadline(now, key, path, () => isAnswered)
    return new Promise((resolve) => {
      const timer = time.timers.set(patienceMs, () => resolve(false))
      void reply.then((isReply) => {
        time.timers.clear(timer)
        resolve(isReply)
      })
    })
  }

  /** An answer by the deadline, or the connection closed: the life's end closes it. */
  #watchDeadline(life: Life, key: string, path: string, isAnswered: () => boolean): void {
    const { time, books, acquirerMs, lastStoppedMs } = this.#options
    const sentMs = time.clock.monotonic()
    time.timers.set(acquirerMs + DEADLINE_TOLERANCE_MS, () => {
      if (isAnswered() || life.ports.isDead || life.ports.isStopped) return
      if (lastStoppedMs() >= sentMs) return
      books.violate('late_answer', `${key} on ${path} had no answer after ${acquirerMs} ms`)
    })
  }

  #sleep(durationMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.time.timers.set(durationMs, resolve)
    })
  }
}

/** Refusals that ask for a retry. */
const RETRIED: ReadonlySet<string> = new Set([
  'idempotency_key_in_progress',
  'authorization_in_progress',
  'payment_in_progress',
  'overloaded',
  'draining',
  'store_unavailable',
  'outcome_unknown',
])

const HEADERS: ReadonlyMap<string, string> = new Map([
  ['host', HOST],
  ['authorization', `Bearer ${API_KEY}`],
  ['content-type', 'application/json'],
])

type Body = ReturnType<typeof bodyOf>

/** The request of a payment; its merchant is the payment itself. */
export function bodyOf(entry: PayEntry, nowMs: number) {
  const isCash = entry.type === 'cash_withdrawal'
  return {
    type: entry.type,
    amount: entry.amount,
    currency: 'EUR',
    channel: isCash ? 'atm' : 'pos',
    card: { pan: entry.pan, expiry: '3012' },
    merchant: { id: entry.id, name: 'Corner Shop', mcc: isCash ? '6011' : '5411', country: 'DE' },
    terminal: { id: `T${entry.id}`.slice(0, 8), entryMode: 'chip' },
    transmittedAt: new Date(nowMs).toISOString(),
    ...(entry.isTold ? { responseCode: '00', approvalCode: toldCodeOf(entry) } : {}),
  }
}
