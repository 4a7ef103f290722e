// Reads the CSV of the Fraud Detection Handbook's simulated transactions, as it is or gzipped.
//
//   TRANSACTION_ID,TX_DATETIME,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,...,TX_FRAUD,TX_FRAUD_SCENARIO
//   326408,2018-05-05 00:00:09,1295,1047,29.32,2937609,34,0,0
//
// Columns are found by their names in the first line. Times have no zone; they are taken as UTC.

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { createGunzip } from 'node:zlib'

export interface HandbookTransaction {
  readonly id: number
  /** Milliseconds since 1970. */
  readonly atMs: number
  readonly customer: string
  readonly terminal: string
  /** Minor units. */
  readonly amount: number
  readonly fraud: boolean
}

const NAMES = [
  'TRANSACTION_ID',
  'TX_DATETIME',
  'CUSTOMER_ID',
  'TERMINAL_ID',
  'TX_AMOUNT',
  'TX_FRAUD',
] as const

const TIME = /^(\d{4})-(\d{2})-(\d{2})[ T](\d{2}):(\d{2}):(\d{2})$/

/**
 * All transactions of a .csv or .csv.gz file, in order of time. Rejects with the system's error
 * where it can't be read, and with file, line and reason where it has another layout.
 */
export async function readTransactions(file: string): Promise<readonly HandbookTransaction[]> {
  const transactions: HandbookTransaction[] = []
  const ids = new Set<number>()
  let columns: readonly number[] | undefined
  let line = 0
  for await (const text of linesOf(file)) {
    line++
    if (columns === undefined) {
      columns = columnsOf(text, file)
      continue
    }
    if (text === '') continue
    const transaction = transactionOf(text.split(','), columns)
    if (transaction === undefined) throw new Error(`${file}:${line}: not a transaction: ${text}`)
    if (ids.has(transaction.id)) {
      throw new Error(`${file}:${line}: transaction ${transaction.id} is there twice`)
    }
    ids.add(transaction.id)
    transactions.push(transaction)
  }
  if (transactions.length === 0) throw new Error(`${file}: holds no transactions`)
  // Their numbers are in the order of time, too: so rows in any order give the same figures.
  return transactions.sort((one, other) => one.atMs - other.atMs || one.id - other.id)
}

async function* linesOf(file: string): AsyncGenerator<string, void, undefined> {
  const raw = createReadStream(file)
  const text = file.endsWith('.gz') ? raw.pipe(createGunzip()) : raw
  // An error of the file does not pass through the pipe, and would end the process.
  raw.on('error', (error) => text.destroy(error))
  yield* createInterface({ input: text, crlfDelay: Number.POSITIVE_INFINITY })
}

function columnsOf(header: string, file: string): readonly number[] {
  const names = header.replace(/^\uFEFF/, '').split(',')
  const missing = NAMES.filter((name) => !names.includes(name))
  if (missing.length > 0) {
    throw new Error(`${file}: the first line lacks ${missing.join(', ')}`)
  }
  return NAMES.map((name) => names.indexOf(name))
}

function transactionOf(
  cells: readonly string[],
  columns: readonly number[],
): HandbookTransaction | undefined {
  const [id = '', time = '', customer = '', terminal = '', amount = '', fraud = ''] = columns.map(
    (column) => cells[column] ?? '',
  )
  const parts = TIME.exec(time)?.slice(1).map(Number)
  if (parts === undefined || customer === '' || terminal === '') return undefined
  if (amount === '' || !Number.isFinite(Number(amount)) || !/^[01]$/.test(fraud)) return undefined
  if (!/^\d{1,15}$/.test(id)) return undefined
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
  return {
    id: Number(id),
    atMs: Date.UTC(year, month - 1, day, hour, minute, second),
    customer,
    terminal,
    amount: Math.round(Number(amount) * 100),
    fraud: fraud === '1',
  }
}
