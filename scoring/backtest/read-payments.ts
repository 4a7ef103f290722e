// Rows of a data file to past payments, checked column by column.

import { hash } from 'node:crypto'
import type { RiskOutcome } from '#rules'
import type { ScoringRequest } from '../request.ts'
import { type Cell, COLUMNS, columnIndex } from './columns.ts'
import type { BadLine, PastPayment } from './past-payment.ts'
import { createTableReader, type TableHead, type TableRow } from './table.ts'

export interface PaymentLayout {
  readonly format: 'csv' | 'ndjson'
  /** The file's own name of a column, where it is another: `amount` to `TX_AMOUNT`. */
  readonly renamed: ReadonlyMap<string, string>
  /** Values of columns that the file does not have, or where a row leaves them out. */
  readonly defaults: ReadonlyMap<string, string>
  /** Amounts are written in major units: 25.99. */
  readonly decimalAmounts: boolean
}

/** Why a file can't be read at all. */
export interface LayoutProblem {
  readonly message: string
}

export interface PaymentReader {
  readonly head: TableHead | undefined
  /** Set as soon as it is known that the file can't be read. */
  readonly problem: LayoutProblem | undefined
  payments(
    bytes: AsyncIterable<Uint8Array>,
    onBad: (bad: BadLine) => void,
  ): AsyncGenerator<readonly PastPayment[], void, undefined>
}

const at = {
  id: columnIndex('id'),
  arrivedAt: columnIndex('arrivedAt'),
  amount: columnIndex('amount'),
  currency: columnIndex('currency'),
}

/** Rows may be this much older than the one before: as much as velocity takes out of order. */
export const disorderMsMax = 10_000

export function createPaymentReader(layout: PaymentLayout): PaymentReader {
  return new Reader(layout)
}

class Reader implements PaymentReader {
  readonly #layout: PaymentLayout
  readonly #table
  readonly #defaults: readonly (string | undefined)[]
  #problem: LayoutProblem | undefined
  #newestMs = Number.NEGATIVE_INFINITY

  constructor(layout: PaymentLayout) {
    this.#layout = layout
    const columns = COLUMNS.map(({ name }) => name)
    this.#table = createTableReader({ format: layout.format, columns, renamed: layout.renamed })
    this.#defaults = columns.map((name) => layout.defaults.get(name))
  }

  get head(): TableHead | undefined {
    return this.#table.head
  }

  get problem(): LayoutProblem | undefined {
    return this.#problem
  }

  async *payments(bytes: AsyncIterable<Uint8Array>, onBad: (bad: BadLine) => void) {
    let checked = false
    for await (const rows of this.#table.rows(bytes, onBad)) {
      if (!checked && this.#table.head !== undefined) {
        this.#problem = this.#missing(this.#table.head)
        if (this.#problem !== undefined) return
        checked = true
      }
      const payments: PastPayment[] = []
      for (const row of rows) {
        const read = this.#read(row)
        if ('request' in read) payments.push(read)
        else onBad(read)
      }
      yield payments
    }
  }

  #missing({ present, unused }: TableHead): LayoutProblem | undefined {
    const missing = COLUMNS.filter(
      ({ name, required }, index) =>
        required && !present.includes(name) && this.#defaults[index] === undefined,
    ).map(({ name }) => name)
    if (missing.length === 0) return undefined
    const others = unused.length === 0 ? '' : `; the file also has ${unused.join(', ')}`
    return {
      message: `the file has no column ${missing.join(', ')}${others}; name them with --map theirs=ours`,
    }
  }

  #read({ line, fields }: TableRow): PastPayment | BadLine {
    const cells: Cell[] = new Array(COLUMNS.length).fill(undefined)
    for (let index = 0; index < COLUMNS.length; index++) {
      const column = COLUMNS[index] as (typeof COLUMNS)[number]
      const text = fields[index] ?? this.#defaults[index]
      if (text === undefined) {
        if (!column.required) continue
        return { line, column: column.name, message: `is required: ${column.looks}` }
      }
      const value = index === at.amount && this.#layout.decimalAmounts ? text : column.read(text)
      if (value === undefined) return { line, column: column.name, message: `is ${column.looks}` }
      cells[index] = value
    }
    if (this.#layout.decimalAmounts) {
      const amount = minorUnits(String(cells[at.amount]))
      if (amount === undefined) return { line, column: 'amount', message: 'is a number as 25.99' }
      cells[at.amount] = amount
    }
    const arrivedAtMs = cells[at.arrivedAt] as number
    if (arrivedAtMs < this.#newestMs - disorderMsMax) {
      const message = 'is older than the lines before it: sort the file by this column'
      return { line, column: 'arrivedAt', message }
    }
    if (arrivedAtMs > this.#newestMs) this.#newestMs = arrivedAtMs
    cells[at.id] ??= `line-${line}`
    return paymentOf(cells)
  }
}

/** Hundredths, which is what nearly every currency has; others are written in minor units. */
function minorUnits(text: string): number | undefined {
  const match = /^(\d{1,13})(?:\.(\d{1,2})\d*)?$/.exec(text)
  if (match === null) return undefined
  const [, whole = '', fraction = ''] = match
  return Number(whole) * 100 + Number(fraction.padEnd(2, '0'))
}

const answerDelayMs = 1_000

/** Cells in the order of `COLUMNS`, each checked. */
export function paymentOf(cells: readonly Cell[]): PastPayment {
  const text = (index: number) => cells[index] as string | undefined
  const request = {
    id: cells[0],
    eventHash: hash('sha256', `${cells[2] ?? 'data'}\n${cells[0]}`, 'hex').slice(0, 16),
    arrivedAtMs: cells[1],
    acquirer: cells[2] ?? 'data',
    type: cells[3] ?? 'authorization',
    amount: cells[4],
    currency: cells[5],
    channel: cells[6],
    card: { token: cells[7], bin: cells[8], country: cells[9], expiry: cells[10] },
    merchant: {
      id: cells[11],
      mcc: cells[12],
      name: cells[13],
      city: cells[14],
      country: cells[15],
      latitude: cells[16],
      longitude: cells[17],
      timeZone: cells[18],
    },
    terminal: { id: cells[19], entryMode: cells[20] },
    device: { id: cells[21], ip: cells[22], ipCountry: cells[23], userAgent: cells[24] },
    customer: { id: cells[25], email: cells[26], country: cells[27] },
    threeDs: { version: cells[28], eci: cells[29], status: cells[30] },
  }
  const responseCode = text(33)
  const byCode =
    responseCode === undefined ? undefined : /^0?00$/.test(responseCode) ? 'approved' : 'declined'
  const kind = text(36)
  return {
    request: request as unknown as ScoringRequest,
    rrn: text(31),
    outcome: (cells[32] ?? byCode) as PastPayment['outcome'],
    responseCode,
    endedAtMs: (cells[34] as number | undefined) ?? (cells[1] as number) + answerDelayMs,
    decided: cells[35] as RiskOutcome | undefined,
    decision: undefined,
    label:
      kind === undefined ? undefined : { kind, knownAtMs: (cells[37] as number) ?? Number.NaN },
  }
}
