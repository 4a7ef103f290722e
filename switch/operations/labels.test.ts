import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Label, Transaction } from '../store/index.ts'
import { readLabelFile } from './label-file.ts'
import { type LabelItem, readLabelItem, recordLabels } from './labels.ts'

const NOW_MS = Date.UTC(2026, 10, 22, 10)
const clock = { now: () => NOW_MS, monotonic: () => 0 }

function problemOf(value: unknown): string {
  const read = readLabelItem(value, NOW_MS)
  return read.ok ? 'none' : read.problem
}

test('an item names its transaction, a kind and perhaps a time', () => {
  const read = readLabelItem({ id: 'auth_1', kind: 'chargeback', knownAt: '2026-11-20' }, NOW_MS)
  assert.ok(read.ok)
  assert.deepEqual(read.item, {
    transaction: { id: 'auth_1' },
    kind: 'chargeback',
    knownAtMs: Date.UTC(2026, 10, 20),
  })
  const other = readLabelItem({ acquirer: 'demo', rrn: '1', kind: 'genuine' }, NOW_MS)
  assert.ok(other.ok && other.item.knownAtMs === undefined)
})

test('what is wrong with an item is said, and nothing throws', () => {
  const kind = 'chargeback'
  assert.match(problemOf({ id: 'a', kind: 'fraud' }), /"kind" is one of chargeback/)
  assert.match(problemOf({ kind }), /by "id", or by "acquirer" and "rrn"/)
  assert.match(problemOf({ id: 'a', rrn: '1', kind }), /by "id", or/)
  assert.match(problemOf({ rrn: '1', kind }), /by "id", or/)
  assert.match(problemOf({ id: 'a', kind, knownAt: '20.11.2026' }), /"knownAt" is a date/)
  assert.match(problemOf({ id: 'a', kind, knownAt: '2026-02-30' }), /"knownAt" is a date/)
  assert.match(problemOf({ id: 'a', kind, knownAt: '2026-99-99' }), /"knownAt" is a date/)
  assert.match(problemOf({ id: 'a', kind, knownAt: '2027-11-20' }), /in the future/)
  assert.match(problemOf({ id: 'a', kind, pan: '4' }), /"pan": a label has/)
  assert.match(problemOf({ id: 7, kind }), /"id" is a text/)
  assert.match(problemOf({ id: 'auth_\u0000', kind }), /"id" is a text of 1 to 64 visible/)
  assert.match(problemOf({ acquirer: 'd\u0000', rrn: '1', kind }), /"acquirer" is a text/)
  fc.assert(
    fc.property(fc.anything(), (value) => {
      assert.equal(typeof readLabelItem(value, NOW_MS).ok, 'boolean')
    }),
  )
})

/** Two payments share an RRN; auth_1 has what was recorded of it. */
function storeOf(labels: readonly Label[]) {
  const recorded: Label[] = []
  const transaction = (id: string) => ({ intent: { id }, labels }) as unknown as Transaction
  return {
    recorded,
    read: async (id: string) => (id === 'auth_1' ? transaction(id) : undefined),
    findByRrn: async (_: string, rrn: string) =>
      rrn === 'twice' ? [transaction('auth_1'), transaction('auth_2')] : [],
    recordLabel: async (label: Label) => {
      recorded.push(label)
      return 'recorded' as const
    },
  }
}

test('by an RRN that two payments share nobody is labelled', async () => {
  const store = storeOf([])
  const by = (rrn: string): LabelItem => {
    return { transaction: { acquirer: 'demo', rrn }, kind: 'genuine', knownAtMs: 1 }
  }
  const [twice, none] = await recordLabels(store, clock, [by('twice'), by('never')])
  assert.equal(twice?.result, 'ambiguous')
  assert.equal(none?.result, 'unknown')
  assert.deepEqual(store.recorded, [])
})

test('without a time a label is known where the newest says the same', async () => {
  const label = (kind: Label['kind'], knownAtMs: number): Label => {
    return { transactionId: 'auth_1', kind, knownAtMs, recordedAtMs: 0 }
  }
  const store = storeOf([label('genuine', 20), label('chargeback', 10)])
  const item = (kind: Label['kind']): LabelItem => {
    return { transaction: { id: 'auth_1' }, kind, knownAtMs: undefined }
  }
  const answers = await recordLabels(store, clock, [item('genuine'), item('chargeback')])
  assert.deepEqual(
    answers.map(({ result }) => result),
    ['known', 'recorded'],
  )
  assert.deepEqual(store.recorded, [
    { transactionId: 'auth_1', kind: 'chargeback', knownAtMs: NOW_MS, recordedAtMs: NOW_MS },
  ])
})

test('a file says its bad lines by their number, and gives the good ones', () => {
  const csv =
    'id,kind,knownAt\nauth_1,chargeback,2026-11-20\n\nauth_2,fraud,\n"auth_3",genuine,\nx\n'
  const read = readLabelFile(csv, NOW_MS)
  assert.deepEqual(
    read.lines.map(({ line, sent }) => [line, sent.id]),
    [
      [2, 'auth_1'],
      [5, 'auth_3'],
    ],
  )
  assert.deepEqual(
    read.bad.map(({ line }) => line),
    [4, 6],
  )
  const ndjson = '{"id":"auth_1","kind":"genuine"}\r\n{"id":\r\n"text"\r\n'
  const lines = readLabelFile(ndjson, NOW_MS)
  assert.deepEqual([lines.lines.length, lines.bad.map(({ line }) => line)], [1, [2, 3]])
})

test('a header that is none, or an empty file, is a problem and not an empty import', () => {
  for (const [text, expected] of [
    ['', /holds no label/],
    ['id,kind\n', /holds no label/],
    ['auth_1,chargeback\n', /the columns are/],
    ['kind,rrn\n', /id or acquirer and rrn/],
    ['id,id,kind\n', /twice/],
  ] as const) {
    const { lines, bad } = readLabelFile(text, NOW_MS)
    assert.equal(lines.length, 0)
    assert.match(bad[0]?.problem ?? '', expected)
  }
})

test('any text is read to the end: every line is good, bad or empty', () => {
  const row = fc.oneof(
    fc.string(),
    fc.constantFrom('auth_1,chargeback', '{"id":"a","kind":"dispute"}'),
  )
  fc.assert(
    fc.property(fc.array(row), (rows) => {
      const { lines, bad } = readLabelFile(rows.join('\n'), NOW_MS)
      assert.ok(lines.length + bad.length >= 1)
    }),
  )
})
