import assert from 'node:assert/strict'
import test from 'node:test'
import { jsonBodyOf, type MixOptions } from './mix.ts'
import { readLoadOptions } from './options.ts'
import { parseReplay, replayedRequest } from './replay.ts'
import { Schedule } from './schedule.ts'

const mix: MixOptions = {
  ...{ seed: 1, cards: 10, secondIssuerPercent: 0, startedAtMs: 0, ratePerSecond: 10 },
}
const body = {
  ...{ amount: 2_599, currency: 'EUR', channel: 'pos' },
  card: { pan: '4761739001010119', expiry: '2912' },
  merchant: { id: 'M-1', mcc: '5411', name: 'Café "A", B' },
  terminal: { id: 'T-9' },
}

test('NDJSON: bodies as they are, in order of their times, at another speed', () => {
  const lines = [
    { ...body, at: '2026-11-22T10:00:03Z' },
    { ...body, amount: 100, at: Date.UTC(2026, 10, 22, 10) },
    { ...body, amount: 300, transmittedAt: '2026-11-22T10:00:01Z' },
  ].map((line) => JSON.stringify(line))
  const replay = parseReplay(`${lines.join('\n')}\n\n`, false, 2)
  assert.ok(typeof replay !== 'string', String(replay))
  assert.deepEqual(replay.timesMs, [0, 500, 1_500])
  const request = replayedRequest(replay, mix, 2)
  assert.deepEqual(JSON.parse(jsonBodyOf(request)), body)
  assert.equal(request.pan, body.card.pan)
  assert.equal(request.terminalId, 'T-9')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII is the point.
  assert.match(jsonBodyOf(request), /^[\x00-\x7f]+$/)
})

test('CSV: a header of names with dots, cells in quotes, empty ones left out', () => {
  const csv =
    'at,amount,currency,channel,card.pan,card.expiry,merchant.id,merchant.mcc,merchant.name,' +
    'terminal.id,customer.id\r\n' +
    '2026-11-22T10:00:00Z,2599,EUR,pos,4761739001010119,2912,M-1,5411,"Café ""A"", B",T-9,\r\n'
  const replay = parseReplay(csv, true, 1)
  assert.ok(typeof replay !== 'string', String(replay))
  assert.deepEqual(JSON.parse(jsonBodyOf(replayedRequest(replay, mix, 0))), body)
})

test('a schedule of given times follows them', () => {
  const timesMs = [0, 10, 10, 500]
  const phases = [{ name: 'replay', seconds: 1, ratePerSecond: 4 }]
  const schedule = new Schedule({ phases, arrivals: 'fixed', seed: 1, timesMs })
  const seen: number[] = []
  for (; schedule.nextMs !== Number.POSITIVE_INFINITY; schedule.advance()) {
    seen.push(schedule.nextMs)
  }
  assert.deepEqual(seen, timesMs)
})

for (const [text, isCsv, message] of [
  ['', false, /no request/],
  ['{', false, /line 1 is no JSON object/],
  [JSON.stringify(body), false, /line 1 has no time/],
  ['{"at":1}', false, /line 1 has no card.pan/],
  ['at,card.pan\n1', true, /line 2 is no row/],
] as const) {
  test(`refuses ${JSON.stringify(text).slice(0, 40)}`, () => {
    assert.match(String(parseReplay(text, isCsv, 1)), message)
  })
}

test('a file that is not there, a speed of nothing, and ISO 8583 are refused', () => {
  for (const [args, message] of [
    [['--replay', '/nowhere/past.csv'], /past.csv can't be read \(ENOENT\)/],
    [['--replay', '/nowhere/past.csv', '--speed', '0'], /--speed/],
    [['--replay', '/nowhere/past.csv', '--protocol', 'iso8583'], /json, msgpack or websocket/],
    [['--replay', '/nowhere/past.csv', '--rate', '5'], /--speed is its rate/],
  ] as const) {
    const read = readLoadOptions(args)
    assert.ok(read.kind === 'wrong')
    assert.match(read.message, message)
  }
})
