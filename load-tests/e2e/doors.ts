// One acquirer by several doors: the same payments over HTTP and over ISO 8583 of three editions,
// in one vocabulary, so that a test can say once what must come of them. Every message is sent
// again as a repeat, which must get the first answer.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { FieldValue, IsoMessage } from '#switch'
import type { IsoClient } from '../processes/index.ts'
import { ask, type FieldChange, follow, isoRequest } from './acquirer.ts'
import { type EditionWords, followIn, requestIn } from './acquirer-editions.ts'
import { type Answer, post, purchase } from './system.ts'

/** What begins a payment; `amount` in minor units of the euro. */
export interface First {
  readonly type:
    | 'authorization'
    | 'preauthorization'
    | 'sale'
    | 'cash_withdrawal'
    | 'balance_inquiry'
    | 'account_verification'
  readonly amount: number
  /** Decided without the issuer: an advice. */
  readonly isTold?: true
  /** The first of its series. */
  readonly initialReference?: string
}

export const STEPS = ['capture', 'reversal', 'refund', 'increment'] as const
export type StepWord =
  | (typeof STEPS)[number]
  | 'refund advice'
  | 'reversal of the refund'
  | 'reversal of the increment'

export interface Said {
  /** DE39, or the error's code over HTTP. */
  readonly code: string
  readonly approvalCode: string
  /** What the answer says it was. */
  readonly amount: number
}

/** One payment as its acquirer carries it. */
export interface Conversation {
  /** As `GET ?rrn=` wants it. */
  readonly rrn: string
  begin(): Promise<Said>
  /** `amount`: of this step; undefined is all of it. `standing`: what stands before a reversal. */
  step(word: StepWord, amount: number | undefined, standing: number): Promise<Said>
  /** A reversal by the original's own numbers, whether it was ever sent or not. */
  reverseUnheard(): Promise<Said>
}

export interface Door {
  readonly name: string
  /** How this door says an outcome's DE39 of 1987, or an error's code. */
  word(code: string, of: 'request' | 'advice' | 'reversal'): string
  /** `number` names the card and is the RRN. `isOld`: sent too long ago to come any more. */
  open(number: number, bin: string, first: First, isOld?: boolean): Conversation
}

/** What a step is, as far as its DE39 goes. */
export function kindOf(word: StepWord): 'request' | 'advice' | 'reversal' {
  if (word === 'capture' || word === 'refund advice') return 'advice'
  return word.startsWith('reversal') ? 'reversal' : 'request'
}

const NOBODY = 'auth_00000000000000000000000000'
const CASH_MCC = '6011'
const approvalOf = (number: number) => `A${String(number).padStart(5, '0')}`
const n12 = (amount: number) => String(amount).padStart(12, '0')

/** Over HTTP; `url` of the switch. */
export function httpDoor(url: string): Door {
  return {
    name: 'HTTP',
    word: (code) => code,
    open: (number, bin, first) => new HttpConversation(url, number, bin, first),
  }
}

class HttpConversation implements Conversation {
  readonly rrn: string
  readonly #url: string
  readonly #number: number
  readonly #body: Readonly<Record<string, unknown>>
  readonly #path: string
  /** Of the payment, and of the last refund and increment. */
  readonly #ids = new Map<string, string>()
  #sent = 0

  constructor(url: string, number: number, bin: string, first: First) {
    const { isTold, ...fields } = first
    const body = { ...purchase(number, first.amount, bin), ...fields }
    const isCash = first.type === 'cash_withdrawal'
    const isSeries = first.initialReference !== undefined
    this.rrn = body.rrn
    this.#url = url
    this.#number = number
    this.#path = isTold ? '/v1/advices' : '/v1/authorizations'
    this.#body = {
      ...body,
      ...(isCash ? { channel: 'atm', merchant: { ...body.merchant, mcc: CASH_MCC } } : {}),
      ...(isSeries ? { channel: 'recurring', terminal: { entryMode: 'stored' } } : {}),
      ...(isTold ? { responseCode: '00', approvalCode: approvalOf(number) } : {}),
    }
  }

  begin(): Promise<Said> {
    return this.#ask('payment', this.#path, this.#body, this.#firstKey)
  }

  step(word: StepWord, amount: number | undefined): Promise<Said> {
    const isNested = word.startsWith('reversal of')
    const of = this.#ids.get(isNested ? (word.split(' ').at(-1) ?? '') : 'payment') ?? NOBODY
    const kind = word === 'refund advice' ? 'refund' : word
    const plural = isNested ? 'reversals' : `${kind}s`
    const path = `/v1/authorizations/${of}/${plural}`
    // An increment has no "all that there is".
    const asked = amount ?? (word === 'increment' ? 100 : undefined)
    const told = word === 'refund advice' ? { told: true } : {}
    return this.#ask(kind, path, { ...(asked === undefined ? {} : { amount: asked }), ...told })
  }

  reverseUnheard(): Promise<Said> {
    const transmittedAt = new Date().toISOString()
    const original = { idempotencyKey: this.#firstKey, rrn: this.rrn, transmittedAt }
    const { amount, currency } = this.#body
    return this.#ask('unheard', '/v1/reversals', { amount, currency, original })
  }

  get #firstKey(): string {
    return `door-${this.#number}`
  }

  async #ask(what: string, path: string, body: object, given?: string): Promise<Said> {
    const key = given ?? `door-${this.#number}-${++this.#sent}`
    const answer = await post(this.#url, key, body, {}, path)
    const again = await post(this.#url, key, body, {}, path)
    if (answer.status === 200) {
      this.#ids.set(what, String(answer.body.id))
      assert.ok(again.bytes.equals(answer.bytes), `${what} again: ${again.bytes}`)
      assert.equal(again.headers.get('idempotent-replayed'), 'true')
    } else assert.equal(again.body.code, answer.body.code)
    return said(answer)
  }
}

function said({ status, body }: Answer): Said {
  return {
    code: String(status === 200 ? body.responseCode : body.code),
    approvalCode: String(body.approvalCode ?? ''),
    amount: Number(body.amount),
  }
}

/** DE39 of the errors, a row each: 1987, 1993, 2003. */
const ERROR_CODES = new Map(
  [
    ...readFileSync(new URL('../../switch/docs/errors.md', import.meta.url), 'utf8').matchAll(
      /^\| `([a-z_]+)` \| (\w{2}) \| (\w{3}) \| (\w{4}) \|$/gm,
    ),
  ].map(([, code = '', ...codes]) => [code, codes]),
)

/** The same of outcomes. */
const OUTCOME_CODES: Readonly<Record<string, readonly [string, string, string]>> = {
  '00': ['00', '000', '0000'],
  '00 advice': ['00', '900', '9000'],
  '00 reversal': ['00', '400', '4000'],
  '10': ['10', '002', '0002'],
  '51': ['51', '116', '1016'],
  '94': ['94', '913', '9113'],
}

/** How an edition says what a conversation is about; amounts in minor units. */
interface IsoWords {
  readonly name: string
  /** Column of the tables above. */
  readonly column: 0 | 1 | 2
  first(number: number, bin: string, first: First, isOld: boolean): IsoMessage
  capture(original: IsoMessage, amount: number): IsoMessage
  refund(original: IsoMessage, amount: number): IsoMessage
  increment(original: IsoMessage, amount: number): IsoMessage
  /** `whole`: what it was; `stands`: what is left of it, where any is. */
  reversal(original: IsoMessage, whole: number, stands?: number): IsoMessage
}

const IN_1987: IsoWords = {
  name: 'ISO 8583:1987',
  column: 0,
  first: (number, bin, { type, amount, isTold, initialReference }, isOld) =>
    isoRequest(
      number,
      amount,
      {
        2: purchase(number, amount, bin).card.pan,
        3: PROCESSING[type] ?? '000000',
        ...(type === 'preauthorization' ? { 25: '06' } : {}),
        ...(type === 'cash_withdrawal' ? { 18: CASH_MCC, 25: '02' } : {}),
        ...(isTold ? { 38: approvalOf(number), 39: '00' } : {}),
        ...(initialReference ? { 22: '100', 48: reference48(initialReference) } : {}),
        ...(isOld ? { 7: '0101000000' } : {}),
      },
      `0${isFinancial(type) ? 2 : 1}${isTold ? 2 : 0}0`,
    ),
  capture: (original, amount) => follow(original, '0220', { 4: n12(amount) }),
  refund: (original, amount) => follow(original, '0200', { 3: '200000', 4: n12(amount) }),
  increment: (original, amount) => follow(original, '0100', { 4: n12(amount) }),
  reversal: (original, whole, stands) =>
    follow(original, '0420', {
      4: n12(whole),
      95: stands === undefined ? undefined : n12(stands) + '0'.repeat(30),
    }),
}

const PROCESSING: Readonly<Partial<Record<First['type'], string>>> = {
  cash_withdrawal: '010000',
  balance_inquiry: '310000',
  account_verification: '330000',
}

function isFinancial(type: First['type']): boolean {
  return type === 'sale' || type === 'cash_withdrawal'
}

/** DE48: tag 63, a length of two digits, the value. */
function reference48(reference: string): string {
  return `63${String(reference.length).padStart(2, '0')}${reference}`
}

/** DE24 of 1993 and 2003. */
const FUNCTIONS: Readonly<Partial<Record<First['type'], string>>> = {
  preauthorization: '101',
  sale: '200',
  cash_withdrawal: '200',
  balance_inquiry: '108',
  account_verification: '108',
}

function inEdition(words: EditionWords, name: string, column: 1 | 2): IsoWords {
  const written = (original: IsoMessage, mti: string, amount: number, change: FieldChange) =>
    followIn(words, original, mti, { ...words.amount(amount), ...change })
  return {
    name,
    column,
    first(number, bin, { type, amount, isTold, initialReference }, isOld) {
      const change: Record<number, FieldValue> = {
        2: purchase(number, amount, bin).card.pan,
        3: PROCESSING[type] ?? '000000',
      }
      if (type === 'cash_withdrawal') change[26] = CASH_MCC
      if (isTold) {
        const approved = OUTCOME_CODES['00']?.[column] ?? ''
        Object.assign(change, { 25: '1004', 38: approvalOf(number), 39: approved })
      }
      if (initialReference !== undefined) {
        Object.assign(change, { 22: words.recurring, 48: reference48(initialReference) })
      }
      if (isOld) change[12] = `${words.local().slice(0, -10)}0101000000`
      const message = requestIn(words, number, amount, FUNCTIONS[type] ?? '100', change)
      const told = isTold ? `${message.mti.slice(0, 2)}20` : message.mti
      return { ...message, mti: told }
    },
    capture: (original, amount) => written(original, '220', amount, { 24: '202' }),
    refund: (original, amount) => written(original, '200', amount, { 3: '200000', 24: '200' }),
    increment: (original, amount) => written(original, '100', amount, { 24: '106' }),
    reversal(original, whole, stands) {
      if (stands === undefined) return written(original, '420', whole, {})
      return written(original, '420', stands, { 24: '401', 30: words.was(whole) })
    },
  }
}

/** Over ISO 8583:1987, by a client that is connected. */
export function doorOf1987(client: IsoClient): Door {
  return isoDoor(client, IN_1987)
}

/** Over a later edition. */
export function doorOfEdition(client: IsoClient, words: EditionWords): Door {
  const name = `ISO 8583:${words.digit === '1' ? 1993 : 2003}`
  return isoDoor(client, inEdition(words, name, words.digit === '1' ? 1 : 2))
}

function isoDoor(client: IsoClient, words: IsoWords): Door {
  return {
    name: words.name,
    word(code, of) {
      const codes = ERROR_CODES.get(code) ?? OUTCOME_CODES[`${code} ${of}`] ?? OUTCOME_CODES[code]
      const word = codes?.[words.column]
      assert.ok(word, `${code} has no DE39`)
      return word
    },
    open: (number, bin, first, isOld = false) =>
      new IsoConversation(client, words, first, words.first(number, bin, first, isOld)),
  }
}

class IsoConversation implements Conversation {
  readonly rrn: string
  readonly #client: IsoClient
  readonly #words: IsoWords
  readonly #first: First
  readonly #message: IsoMessage
  /** The last refund and the last increment, with their amounts. */
  readonly #steps = new Map<string, readonly [IsoMessage, number]>()

  constructor(client: IsoClient, words: IsoWords, first: First, message: IsoMessage) {
    this.rrn = String(message.fields[37])
    this.#client = client
    this.#words = words
    this.#first = first
    this.#message = message
  }

  begin(): Promise<Said> {
    return this.#ask(this.#message)
  }

  async step(word: StepWord, amount: number | undefined, standing: number): Promise<Said> {
    const asked = amount ?? (this.#first.amount || 100)
    switch (word) {
      case 'capture':
        return this.#ask(this.#words.capture(this.#message, asked))
      case 'refund':
      case 'increment': {
        const message = this.#words[word](this.#message, asked)
        this.#steps.set(word, [message, asked])
        return this.#ask(message)
      }
      case 'refund advice': {
        const { mti, fields } = this.#words.refund(this.#message, asked)
        const message = { mti: `${mti.slice(0, 2)}2${mti.slice(3)}`, fields }
        this.#steps.set('refund', [message, asked])
        return this.#ask(message)
      }
      case 'reversal':
        return this.#ask(this.#reversal(amount, standing))
      default: {
        const taken = this.#steps.get(word.split(' ').at(-1) ?? '')
        assert.ok(taken, `${word}: there is none`)
        return this.#ask(this.#words.reversal(...taken))
      }
    }
  }

  reverseUnheard(): Promise<Said> {
    return this.#ask(this.#reversal(undefined, this.#first.amount))
  }

  /** More than stands can't be said as what is left: then the whole is said to be so much. */
  #reversal(amount: number | undefined, standing: number): IsoMessage {
    const whole = this.#first.amount
    if (amount === undefined) return this.#words.reversal(this.#message, whole)
    return amount > standing
      ? this.#words.reversal(this.#message, amount)
      : this.#words.reversal(this.#message, whole, standing - amount)
  }

  async #ask(message: IsoMessage): Promise<Said> {
    const answer = await ask(this.#client, message)
    const repeat = { ...message, mti: `${message.mti.slice(0, 3)}1` }
    assert.deepEqual(await ask(this.#client, repeat), answer, `${repeat.mti} of ${message.mti}`)
    const { fields } = answer
    return {
      code: String(fields[39]),
      approvalCode: String(fields[38] ?? '').trim(),
      amount: Number(String(fields[4] ?? '').slice(-12)),
    }
  }
}
