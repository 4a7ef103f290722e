import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { readTransactions } from './transactions.ts'

const HEADER =
  'TRANSACTION_ID,TX_DATETIME,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,TX_TIME_SECONDS,TX_TIME_DAYS,TX_FRAUD,TX_FRAUD_SCENARIO'
const FIRST = '12,2018-05-05 00:00:09,1295,1047,29.32,2937609,34,0,0'
const SECOND = '11,2018-05-05 00:00:57,4805,8359,3.2,2937657,34,1,2'

let folder: string
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'switchyard-handbook-'))
})
after(() => rm(folder, { recursive: true }))

async function written(name: string, content: string | Uint8Array): Promise<string> {
  const file = path.join(folder, name)
  await writeFile(file, content)
  return file
}

test('a file is read in order of time, gzipped or not', async () => {
  const text = [HEADER, SECOND, FIRST, ''].join('\n')
  const plain = await readTransactions(await written('a.csv', text))
  assert.deepEqual(plain, [
    {
      id: 12,
      atMs: Date.UTC(2018, 4, 5, 0, 0, 9),
      customer: '1295',
      terminal: '1047',
      amount: 2932,
      fraud: false,
    },
    {
      id: 11,
      atMs: Date.UTC(2018, 4, 5, 0, 0, 57),
      customer: '4805',
      terminal: '8359',
      amount: 320,
      fraud: true,
    },
  ])
  const zipped = await written('a.csv.gz', gzipSync(text.replaceAll('\n', '\r\n')))
  assert.deepEqual(await readTransactions(zipped), plain)
})

test('rows in any order, after a byte order mark or more columns, are the same transactions', async () => {
  const together = ['13', '14'].map((id) => FIRST.replace(/^12/, id))
  const rows = [FIRST, ...together, SECOND]
  const sorted = await readTransactions(await written('b.csv', [HEADER, ...rows].join('\n')))
  assert.deepEqual(
    sorted.map(({ id }) => id),
    [12, 13, 14, 11],
  )
  const other = [HEADER, ...rows.toReversed()].map((row, i) => `${i === 0 ? '' : i},${row}`)
  const shuffled = await written('c.csv', `\uFEFF${other.join('\n')}`)
  assert.deepEqual(await readTransactions(shuffled), sorted)
})

test('a file of another layout is refused with the line', async () => {
  const cases: [string, RegExp][] = [
    ['', /holds no transactions/],
    [HEADER, /holds no transactions/],
    [HEADER.replace('TX_AMOUNT', 'AMOUNT'), /the first line lacks TX_AMOUNT/],
    [`${HEADER}\n${FIRST}\n1,yesterday,1,1,1,1,1,0,0`, /:3: not a transaction/],
    [`${HEADER}\n${FIRST.replace('29.32', 'much')}`, /:2: not a transaction/],
    [`${HEADER}\n${FIRST.replace(',0,0', ',maybe,0')}`, /:2: not a transaction/],
    [`${HEADER}\n${FIRST.replace('12,', '-12,')}`, /:2: not a transaction/],
    [`${HEADER}\n${FIRST}\n${FIRST}`, /:3: transaction 12 is there twice/],
  ]
  for (const [text, message] of cases) {
    await assert.rejects(readTransactions(await written('bad.csv', text)), message)
  }
  await assert.rejects(readTransactions(path.join(folder, 'absent.csv')), /ENOENT/)
  await assert.rejects(readTransactions(path.join(folder, 'absent.csv.gz')), /ENOENT/)
  await assert.rejects(readTransactions(await written('torn.csv.gz', gzipSync(HEADER).subarray(5))))
})
