import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { Pan } from '../card-data/index.ts'
import { createFraming, defaultFraming, type IsoMessage, loadDialect } from '../iso8583/index.ts'
import {
  answerOf,
  attemptAt,
  createSeededRandom,
  createSimulatedIssuer,
  createSimulatedNetwork,
  createVirtualTime,
  reversalAt,
  type SeededRandom,
  type SimulatedIssuerOptions,
  type TimedAnswer,
} from '../simulation/index.ts'
import type { Attempt } from '../store/index.ts'
import { createIssuer, type IssuerLinkConfig } from './create-issuer.ts'
import type { AskResult, Issuer, LateIssuerAnswer } from './issuer.ts'
import type { IssuerEvent } from './issuer-events.ts'
import { NO_STAN } from './trace-numbers.ts'

const dialectFile = new URL('../iso8583/dialects/iso8583-1987-ascii.yaml', import.meta.url)
const loaded = loadDialect(readFileSync(dialectFile, 'utf8'), 'iso8583-1987-ascii')
assert.ok(loaded.ok)
const { dialect } = loaded
const framing = createFraming(defaultFraming)
const address = { host: 'issuer.test', port: 9101 }
const startMs = Date.UTC(2026, 10, 22, 10)
const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
const pan = Pan.parse('4761739001010119') as Pan
const card = { pan, expiry: '2912', cvv: undefined }

const linkConfig: IssuerLinkConfig = {
  name: 'demo-a',
  ...address,
  timeoutMs: 8_000,
  echoIntervalMs: 15_000,
  signOnTimeoutMs: 2_000,
  reconnect: { minMs: 100, maxMs: 10_000 },
  lateAnswerWindowMs: 600_000,
}

interface RigOptions {
  readonly seed?: number
  readonly config?: Partial<IssuerLinkConfig>
  readonly pieceBytes?: (random: SeededRandom, lengthBytes: number) => number
  readonly answer?: (request: IsoMessage) => readonly TimedAnswer[]
  readonly answerNetwork?: SimulatedIssuerOptions['answerNetwork']
  readonly lastStan?: string
}

/** Production's link against a simulated issuer on a simulated network, in virtual time. */
function createRig(options: RigOptions = {}) {
  const random = createSeededRandom(options.seed ?? 1)
  const time = createVirtualTime({ startMs, settle })
  const { pieceBytes } = options
  const network = createSimulatedNetwork({
    clock: time.clock,
    timers: time.timers,
    latencyMs: () => 1 + random.below(3),
    ...(pieceBytes && { pieceBytes: (lengthBytes) => pieceBytes(random, lengthBytes) }),
    bufferedBytesMax: 100_000,
  })
  const simulated = createSimulatedIssuer({
    network,
    address,
    dialect,
    framing,
    timers: time.timers,
    answer: options.answer ?? ((request) => [{ afterMs: 10, message: answerOf(request, '00') }]),
    ...(options.answerNetwork && { answerNetwork: options.answerNetwork }),
  })
  const late: LateIssuerAnswer[] = []
  const events: IssuerEvent[] = []
  const issuer = createIssuer(
    { ...linkConfig, ...options.config },
    {
      transport: network.transport,
      clock: time.clock,
      timers: time.timers,
      random,
      dialect,
      lastStan: options.lastStan ?? NO_STAN,
      onLateAnswer: (answer) => late.push(answer),
      onEvent: (event) => events.push(event),
    },
  )
  return { random, time, network, simulated, issuer, late, events }
}

/** A promise whose result can be looked at. */
function watch<Result>(promise: Promise<Result>): { result: Result | undefined } {
  const watched: { result: Result | undefined } = { result: undefined }
  void promise.then((result) => {
    watched.result = result
  })
  return watched
}

const kindsOf = (events: readonly IssuerEvent[]) => events.map((event) => event.kind)

test('signs on, asks, and hands over the answer', async () => {
  const { time, simulated, issuer } = createRig({
    answer: (request) => [{ afterMs: 10, message: answerOf(request, '00', { 38: 'A1B2C3' }) }],
  })
  assert.equal(issuer.isUp, false)
  await time.advance(50)
  assert.equal(issuer.isUp, true)
  assert.equal(simulated.received[0]?.mti, '0800')
  assert.equal(simulated.received[0]?.fields[70], '001')
  const asked = watch(issuer.ask(attemptAt(issuer), card, 8_000))
  await time.advance(50)
  assert.deepEqual(asked.result, {
    kind: 'answered',
    answer: { responseCode: '00', approvalCode: 'A1B2C3', amount: 2_599 },
  })
  assert.equal(issuer.state.inFlight, 0)
})

test('a partial approval says how much', async () => {
  const { time, issuer } = createRig({
    answer: (request) => [{ afterMs: 1, message: answerOf(request, '10', { 4: '000000001000' }) }],
  })
  await time.advance(50)
  const asked = watch(issuer.ask(attemptAt(issuer), card, 8_000))
  await time.advance(50)
  const result = asked.result as AskResult & { kind: 'answered' }
  assert.equal(result.answer.amount, 1_000)
})

test('certainly not sent: no connection, no number, no room, no time, or unencodable', async () => {
  const { time, network, simulated, issuer, events } = createRig({ config: { inFlightMax: 2 } })
  const notSent = { kind: 'not_sent' }
  assert.deepEqual(await issuer.ask(attemptAt(issuer), card, 8_000), notSent)
  await time.advance(50)
  assert.deepEqual(await issuer.ask(attemptAt(issuer, { stan: NO_STAN }), card, 8_000), notSent)
  assert.deepEqual(await issuer.ask(attemptAt(issuer), card, 0), notSent)
  const tooWide = attemptAt(issuer, { currencyNumeric: '97800' })
  assert.deepEqual(await issuer.ask(tooWide, card, 8_000), notSent)
  assert.equal(events.at(-1)?.kind, 'unencodable_message')
  network.stall(true)
  void issuer.ask(attemptAt(issuer), card, 8_000)
  void issuer.ask(attemptAt(issuer), card, 8_000)
  assert.deepEqual(await issuer.ask(attemptAt(issuer), card, 8_000), notSent)
  assert.equal(issuer.state.counters.sent, 2)
  assert.equal(issuer.state.counters.notSent, 5)
  assert.deepEqual(
    simulated.received.map((message) => message.mti),
    ['0800'],
  )
})

test('a full connection refuses, and what was refused never leaves', async () => {
  const { time, network, simulated, issuer } = createRig()
  await time.advance(50)
  network.stall(true)
  const results: { result: AskResult | undefined }[] = []
  for (let i = 0; i < 1_000; i++) results.push(watch(issuer.ask(attemptAt(issuer), card, 8_000)))
  await time.advance(1)
  const refused = results.filter(({ result }) => result?.kind === 'not_sent').length
  assert.ok(refused > 0 && refused < 1_000)
  network.stall(false)
  await time.advance(100)
  assert.equal(simulated.received.length - 1, 1_000 - refused)
})

test('no answer: unknown at the deadline, and a late answer finds its attempt', async () => {
  const { time, issuer, late } = createRig({
    answer: (request) => [{ afterMs: 20_000, message: answerOf(request, '00') }],
  })
  await time.advance(50)
  const attempt = attemptAt(issuer)
  const asked = watch(issuer.ask(attempt, card, 8_000))
  await time.advance(7_999)
  assert.equal(asked.result, undefined)
  await time.advance(1)
  assert.deepEqual(asked.result, { kind: 'unknown', why: 'timeout' })
  assert.equal(issuer.state.givenUp, 1)
  await time.advance(20_000)
  assert.equal(late.length, 1)
  assert.equal(late[0]?.attempt, attempt)
  assert.equal(late[0]?.answer.responseCode, '00')
  assert.equal(issuer.state.givenUp, 0)
})

test('after the late-answer window an answer reaches nobody', async () => {
  const { time, issuer, late, events } = createRig({
    answer: (request) => [{ afterMs: 700_000, message: answerOf(request, '00') }],
  })
  await time.advance(50)
  void issuer.ask(attemptAt(issuer), card, 8_000)
  await time.advance(800_000)
  assert.equal(late.length, 0)
  const unmatched = events.find((event) => event.kind === 'unmatched_answer')
  assert.equal(unmatched?.kind === 'unmatched_answer' && unmatched.candidate, null)
  assert.equal(issuer.state.givenUp, 0)
})

test('a lost connection makes everything in flight unknown at once', async () => {
  const { time, network, issuer, late } = createRig({
    answer: (request) => [{ afterMs: 1_000, message: answerOf(request, '00') }],
  })
  await time.advance(50)
  const asked = [0, 1, 2].map(() => watch(issuer.ask(attemptAt(issuer), card, 8_000)))
  await time.advance(20)
  network.cut()
  await time.advance(0)
  for (const { result } of asked) {
    assert.deepEqual(result, { kind: 'unknown', why: 'connection_lost' })
  }
  assert.equal(issuer.isUp, false)
  // The issuer answers on the next connection: late, and to the right attempts.
  await time.advance(2_000)
  assert.equal(issuer.isUp, true)
  assert.equal(late.length, 3)
  assert.equal(new Set(late.map(({ attempt }) => attempt.stan)).size, 3)
})

test('each wrong field makes an answer nobody’s, counted and reported without card data', async () => {
  const wrong: readonly [string, number, string][] = [
    ['4', 4, '000000002598'],
    ['7', 7, '1122095959'],
    ['37', 37, '632610999999'],
    ['41', 41, 'T-0002  '],
    ['49', 49, '840'],
  ]
  for (const [field, number, value] of wrong) {
    const { time, issuer, events } = createRig({
      answer: (request) => [{ afterMs: 1, message: answerOf(request, '00', { [number]: value }) }],
    })
    await time.advance(50)
    const asked = watch(issuer.ask(attemptAt(issuer), card, 8_000))
    await time.advance(100)
    assert.equal(asked.result, undefined)
    const event = events.at(-1)
    assert.ok(event?.kind === 'unmatched_answer')
    assert.equal(event.field, field)
    assert.equal(event.candidate?.stan, '004098')
    assert.ok(!JSON.stringify(event).includes('4761739001010119'))
    assert.equal(issuer.state.counters.unmatched, 1)
    await time.advance(8_000)
    assert.deepEqual(asked.result, { kind: 'unknown', why: 'timeout' })
  }
})

test('an answer of another class, or with a STAN of its own, is nobody’s', async () => {
  const { time, issuer, events } = createRig({
    answer: (request) => [
      { afterMs: 1, message: { ...answerOf(request, '00'), mti: '0210' } },
      { afterMs: 2, message: answerOf(request, '00', { 11: '777777' }) },
    ],
  })
  await time.advance(50)
  const asked = watch(issuer.ask(attemptAt(issuer), card, 8_000))
  await time.advance(100)
  assert.equal(asked.result, undefined)
  const unmatched = events.filter((event) => event.kind === 'unmatched_answer')
  assert.deepEqual(
    unmatched.map(({ field, candidate }) => [field, candidate?.stan]),
    [
      ['mti', '004098'],
      ['11', '004098'],
    ],
  )
})

test('a partial approval of more than was asked, or of nothing, is nobody’s', async () => {
  for (const amount of ['000000002600', '000000000000']) {
    const { time, issuer } = createRig({
      answer: (request) => [{ afterMs: 1, message: answerOf(request, '10', { 4: amount }) }],
    })
    await time.advance(50)
    void issuer.ask(attemptAt(issuer), card, 8_000)
    await time.advance(100)
    assert.equal(issuer.state.counters.unmatched, 1)
  }
})

test('an answer that comes twice is taken once', async () => {
  const { time, issuer } = createRig({
    answer: (request) => [
      { afterMs: 1, message: answerOf(request, '00') },
      { afterMs: 1, message: answerOf(request, '51') },
      { afterMs: 9_000, message: answerOf(request, '51') },
    ],
  })
  await time.advance(50)
  const asked = watch(issuer.ask(attemptAt(issuer), card, 8_000))
  await time.advance(10_000)
  assert.ok(asked.result?.kind === 'answered')
  assert.equal(asked.result.answer.responseCode, '00')
  assert.equal(issuer.state.counters.duplicates, 2)
  assert.equal(issuer.state.counters.unmatched, 0)
})

test('asking twice with one number is a bug, and thrown', async () => {
  const { time, issuer } = createRig({ answer: () => [] })
  await time.advance(50)
  const attempt = attemptAt(issuer)
  void issuer.ask(attempt, card, 8_000)
  assert.throws(() => issuer.ask(attempt, card, 8_000), /asked with already/)
})

test('a broken frame closes the connection with its reason, and the link comes back', async () => {
  const { time, simulated, issuer, events } = createRig({ answer: () => [] })
  await time.advance(50)
  const asked = watch(issuer.ask(attemptAt(issuer), card, 8_000))
  await time.advance(10)
  simulated.sendBytes(Uint8Array.of(0xff, 0xff, 0x30, 0x31))
  await time.advance(5)
  assert.deepEqual(asked.result, { kind: 'unknown', why: 'connection_lost' })
  assert.deepEqual(events.at(-1), {
    kind: 'link_down',
    issuer: 'demo-a',
    connection: 1,
    reason: 'bad_frame',
    code: 'frame_too_long',
    lost: 1,
  })
  await time.advance(1_000)
  assert.equal(issuer.isUp, true)
})

test('one undecodable message costs itself, three in a row the connection', async () => {
  const { time, simulated, issuer, events } = createRig()
  const garbage = Uint8Array.of(0, 4, 1, 2, 3, 4)
  await time.advance(50)
  simulated.sendBytes(garbage)
  simulated.sendBytes(garbage)
  await time.advance(5)
  assert.ok((await issuedAnswer(time, issuer))?.kind === 'answered')
  for (let i = 0; i < 3; i++) simulated.sendBytes(garbage)
  await time.advance(5)
  assert.equal(issuer.isUp, false)
  assert.equal(issuer.state.counters.undecodable, 5)
  assert.ok(events.some((event) => event.kind === 'link_down' && event.reason === 'undecodable'))
})

async function issuedAnswer(
  time: ReturnType<typeof createVirtualTime>,
  issuer: Issuer,
): Promise<AskResult | undefined> {
  const asked = watch(issuer.ask(attemptAt(issuer), card, 8_000))
  await time.advance(100)
  return asked.result
}

test('an idle link is probed by an echo; an issuer that is silent to it is left', async () => {
  let isDeaf = false
  const { time, simulated, issuer, events } = createRig({
    answerNetwork: () => (isDeaf ? null : '00'),
  })
  const echoes = () => simulated.received.filter(({ fields }) => fields[70] === '301').length
  await time.advance(40_000)
  assert.equal(echoes(), 2)
  assert.equal(issuer.isUp, true)
  isDeaf = true
  await time.advance(20_000)
  assert.ok(events.some((event) => event.kind === 'link_down' && event.reason === 'echo_timeout'))
  assert.equal(issuer.isUp, false)
  isDeaf = false
  await time.advance(15_000)
  assert.equal(issuer.isUp, true)
})

test('a dead peer behind a silent network is noticed while requests are in flight', async () => {
  const { time, network, issuer } = createRig()
  await time.advance(50)
  network.stall(true)
  const first = watch(issuer.ask(attemptAt(issuer), card, 8_000))
  await time.advance(14_000)
  const second = watch(issuer.ask(attemptAt(issuer), card, 8_000))
  await time.advance(4_000)
  assert.deepEqual(first.result, { kind: 'unknown', why: 'timeout' })
  assert.deepEqual(second.result, { kind: 'unknown', why: 'connection_lost' })
  assert.equal(issuer.isUp, false)
})

test('sign-on refused or unanswered: down, waiting longer each time', async () => {
  for (const [answer, reason] of [
    ['91', 'sign_on_refused'],
    [null, 'sign_on_timeout'],
  ] as const) {
    const { time, issuer, events } = createRig({ answerNetwork: () => answer })
    await time.advance(60_000)
    assert.equal(issuer.isUp, false)
    const downs = events.filter((event) => event.kind === 'link_down')
    assert.ok(downs.every((event) => event.reason === reason))
    assert.ok(downs.length > 5 && downs.length < 20, `${downs.length}`)
  }
})

test('a refused connection is dialled again with a growing wait', async () => {
  const { time, simulated, issuer, events } = createRig()
  simulated.stop()
  await time.advance(60_000)
  assert.equal(issuer.isUp, false)
  const refused = events.filter((event) => event.kind === 'link_down')
  assert.ok(refused.every((event) => event.code === 'ECONNREFUSED'))
  assert.ok(refused.length > 8 && refused.length < 25, `${refused.length}`)
})

test('the issuer’s own echo, sign-off and sign-on are answered and obeyed', async () => {
  const { time, simulated, issuer } = createRig()
  await time.advance(50)
  const request = (code: string): IsoMessage => {
    const fields: IsoMessage['fields'] = []
    fields[7] = '1122100000'
    fields[11] = '000777'
    fields[70] = code
    return { mti: '0800', fields }
  }
  const newestAnswer = () => {
    const { mti, fields } = simulated.received.at(-1) as IsoMessage
    return [mti, fields[7], fields[11], fields[39], fields[70]]
  }
  simulated.send(request('301'))
  await time.advance(10)
  assert.deepEqual(newestAnswer(), ['0810', '1122100000', '000777', '00', '301'])
  simulated.send(request('101'))
  await time.advance(10)
  assert.deepEqual(newestAnswer(), ['0810', '1122100000', '000777', '12', '101'])
  simulated.send(request('002'))
  await time.advance(10)
  assert.equal(issuer.isUp, false)
  simulated.send(request('001'))
  await time.advance(10)
  assert.equal(issuer.isUp, true)
  simulated.send(request('002'))
  await time.advance(11_000)
  assert.equal(issuer.isUp, true, 'we sign on again by ourselves')
  assert.equal(simulated.openConnections, 1)
})

test('what is in flight when the issuer signs off is still answered', async () => {
  const { time, simulated, issuer } = createRig({
    answer: (request) => [{ afterMs: 500, message: answerOf(request, '00') }],
  })
  await time.advance(50)
  const asked = watch(issuer.ask(attemptAt(issuer), card, 8_000))
  await time.advance(10)
  const fields: IsoMessage['fields'] = []
  fields[7] = '1122100000'
  fields[11] = '000001'
  fields[70] = '002'
  simulated.send({ mti: '0800', fields })
  await time.advance(10)
  assert.equal(issuer.isUp, false)
  assert.deepEqual(await issuer.ask(attemptAt(issuer), card, 8_000), { kind: 'not_sent' })
  await time.advance(1_000)
  assert.equal(asked.result?.kind, 'answered')
})

test('a reversal goes out as 0420, its repeat as 0421, and both keep their numbers', async () => {
  const { time, simulated, issuer } = createRig({
    // A host that echoes the keys and nothing else.
    answer: (request) => [
      {
        afterMs: 1,
        message: answerOf(request, '00', { 4: undefined, 41: undefined, 49: undefined }),
      },
    ],
  })
  await time.advance(50)
  const message = reversalAt(issuer, attemptAt(issuer))
  for (const isRepeat of [false, true]) {
    const delivered = watch(issuer.deliver(message, card, isRepeat, 8_000))
    await time.advance(50)
    assert.deepEqual(delivered.result, { kind: 'answered', responseCode: '00' })
  }
  const [, first, second] = simulated.received
  assert.equal(first?.mti, '0420')
  assert.equal(second?.mti, '0421')
  assert.deepEqual(first?.fields, second?.fields)
})

test('a reversal without an answer is unknown, and its late answer reaches nobody', async () => {
  const { time, issuer, late } = createRig({
    answer: (request) => [{ afterMs: 9_000, message: answerOf(request, '00') }],
  })
  await time.advance(50)
  const delivered = watch(issuer.deliver(reversalAt(issuer, attemptAt(issuer)), card, false, 8_000))
  await time.advance(20_000)
  assert.deepEqual(delivered.result, { kind: 'unknown' })
  assert.equal(late.length, 0)
  assert.equal(issuer.state.counters.unmatched, 1)
})

test('after a restart the late answer of an earlier process finds its attempt', async () => {
  const { time, simulated, issuer, late } = createRig({ lastStan: '000500' })
  await time.advance(50)
  const attempt = attemptAt(issuer, {
    stan: '000499',
    rrn: '632610000499',
    transmittedAt: '1122095950',
  })
  issuer.expectLateAnswer(attempt)
  issuer.expectLateAnswer(attempt)
  const fields: IsoMessage['fields'] = []
  fields[4] = '000000002599'
  fields[7] = attempt.transmittedAt
  fields[11] = attempt.stan
  fields[37] = attempt.rrn
  fields[41] = 'T-0001  '
  fields[49] = '978'
  simulated.send(answerOf({ mti: '0100', fields }, '00'))
  await time.advance(50)
  assert.equal(late[0]?.attempt, attempt)
  assert.equal(late.length, 1)
})

test('a held number stays out of circulation until it is released', async () => {
  const { time, issuer } = createRig({ config: { echoIntervalMs: 86_400_000 } })
  const { stan } = issuer.drawTraceNumbers('reversal')
  issuer.holdStan(stan)
  await time.advance(7_200_000)
  assert.equal(issuer.state.freeStans, 999_998)
  issuer.releaseStan(stan)
  issuer.releaseStan(NO_STAN)
  await time.advance(20_000)
  assert.equal(issuer.state.freeStans, 999_999)
})

test('close lets what is in flight end, signs off, and leaves no timer', async () => {
  const { time, network, simulated, issuer } = createRig({
    answer: (request) => [{ afterMs: 500, message: answerOf(request, '00') }],
  })
  await time.advance(50)
  const asked = watch(issuer.ask(attemptAt(issuer), card, 8_000))
  let isClosed = false
  void issuer.close().then(() => {
    isClosed = true
  })
  assert.deepEqual(await issuer.ask(attemptAt(issuer), card, 8_000), { kind: 'not_sent' })
  await time.advance(100)
  assert.equal(isClosed, false)
  await time.advance(500)
  assert.equal(asked.result?.kind, 'answered')
  assert.equal(isClosed, true)
  assert.equal(simulated.received.at(-1)?.fields[70], '002')
  assert.equal(network.openConnections, 0)
  assert.equal(time.pendingTimers, 0)
})

test('close of a link that is down ends its dialling', async () => {
  const { time, simulated, issuer, events } = createRig()
  simulated.stop()
  await time.advance(1_000)
  await issuer.close()
  const before = events.length
  await time.advance(60_000)
  assert.equal(events.length, before)
  assert.equal(time.pendingTimers, 0)
})

test('a configuration whose holds can’t be counted is refused', () => {
  assert.throws(() => createRig({ config: { lateAnswerWindowMs: 3_600_000 } }), /more than/)
})

const shortBreaker = { timeoutsInARow: 3, openMinMs: 1_000, openMaxMs: 8_000 }

test('a host that answers echoes only: the breaker opens, and nothing more is asked', async () => {
  let isSilent = true
  const { time, simulated, issuer, events } = createRig({
    config: { breaker: shortBreaker },
    answer: (request) => (isSilent ? [] : [{ afterMs: 1, message: answerOf(request, '00') }]),
  })
  await time.advance(50)
  for (let i = 0; i < 3; i++) void issuer.ask(attemptAt(issuer), card, 500)
  await time.advance(510)
  assert.deepEqual(issuer.connections, ['open'])
  assert.equal(issuer.isUp, false)
  assert.deepEqual(await issuer.ask(attemptAt(issuer), card, 500), { kind: 'not_sent' })
  assert.equal(simulated.received.filter(({ mti }) => mti === '0100').length, 3)
  const queued = reversalAt(issuer, attemptAt(issuer))
  assert.deepEqual(await issuer.deliver(queued, card, false, 500), { kind: 'not_sent' })
  // The echo is answered: a trial goes out, times out, and it opens for twice as long.
  await time.advance(1_000)
  assert.deepEqual(issuer.connections, ['half_open'])
  const trial = watch(issuer.ask(attemptAt(issuer), card, 500))
  await time.advance(510)
  assert.deepEqual(trial.result, { kind: 'unknown', why: 'timeout' })
  assert.deepEqual(issuer.connections, ['open'])
  isSilent = false
  await time.advance(1_400)
  assert.deepEqual(issuer.connections, ['open'])
  await time.advance(700)
  assert.deepEqual(issuer.connections, ['half_open'])
  const answered = watch(issuer.ask(attemptAt(issuer), card, 500))
  await time.advance(50)
  assert.equal(answered.result?.kind, 'answered')
  assert.deepEqual(issuer.connections, ['up'])
  assert.equal(issuer.state.counters.breakerOpenings, 1 + 1)
  assert.equal(events.filter((event) => event.kind === 'breaker_closed').length, 1)
  await Promise.all([issuer.close(), time.advance(10_000)])
})

test('an open breaker whose echo stays unanswered gives way to a new connection', async () => {
  let isDead = true
  const { time, issuer, events } = createRig({
    config: { breaker: shortBreaker },
    answer: (request) => (isDead ? [] : [{ afterMs: 1, message: answerOf(request, '00') }]),
    answerNetwork: (code) => (isDead && code === '301' ? null : '00'),
  })
  await time.advance(50)
  for (let i = 0; i < 3; i++) void issuer.ask(attemptAt(issuer), card, 500)
  await time.advance(510 + 1_000 + 2_000)
  assert.ok(events.some((event) => event.kind === 'link_down' && event.reason === 'echo_timeout'))
  isDead = false
  await time.advance(20_000)
  assert.deepEqual(issuer.connections, ['up'])
})

test('several connections: each signs on, requests are spread, answers come on their own', async () => {
  const { time, simulated, issuer } = createRig({ config: { connections: 3 } })
  await time.advance(50)
  assert.deepEqual(issuer.connections, ['up', 'up', 'up'])
  assert.equal(simulated.received.filter(({ mti }) => mti === '0800').length, 3)
  const asked = Array.from({ length: 30 }, () => watch(issuer.ask(attemptAt(issuer), card, 8_000)))
  await time.advance(50)
  assert.ok(asked.every(({ result }) => result?.kind === 'answered'))
  const counts = new Map<unknown, number>()
  for (const [i, { mti }] of simulated.received.entries()) {
    const on = simulated.receivedOn[i]
    if (mti === '0100') counts.set(on, (counts.get(on) ?? 0) + 1)
  }
  assert.deepEqual([...counts.values()], [10, 10, 10])
})

test('one connection lost: only its own in flight are unknown, and the others carry on', async () => {
  const { time, simulated, issuer } = createRig({
    config: { connections: 2 },
    answer: (request) => [{ afterMs: 500, message: answerOf(request, '00') }],
  })
  await time.advance(50)
  const asked = Array.from({ length: 10 }, () => watch(issuer.ask(attemptAt(issuer), card, 8_000)))
  await time.advance(20)
  simulated.disconnect(simulated.receivedOn.at(-1))
  await time.advance(10)
  assert.equal(issuer.isUp, true)
  assert.equal(asked.filter(({ result }) => result?.kind === 'unknown').length, 5)
  const next = Array.from({ length: 4 }, () => watch(issuer.ask(attemptAt(issuer), card, 8_000)))
  await time.advance(2_000)
  assert.equal(asked.filter(({ result }) => result?.kind === 'answered').length, 5)
  assert.ok(next.every(({ result }) => result?.kind === 'answered'))
  assert.deepEqual(issuer.connections, ['up', 'up'])
})

test('a reversal waits for the connection of its request while that lives, then takes any', async () => {
  const { time, simulated, issuer } = createRig({
    config: { connections: 2, breaker: { ...shortBreaker, timeoutsInARow: 100 } },
    answer: (request) =>
      request.mti === '0100' ? [] : [{ afterMs: 1, message: answerOf(request, '00') }],
  })
  await time.advance(50)
  const attempts = Array.from({ length: 8 }, () => attemptAt(issuer))
  for (const attempt of attempts) void issuer.ask(attempt, card, 500)
  await time.advance(600)
  const connectionOf = (stan: unknown) =>
    simulated.receivedOn[simulated.received.findIndex(({ fields }) => fields[11] === stan)]
  for (const attempt of attempts.slice(0, 6)) {
    const reversal = reversalAt(issuer, attempt, { queuedAtMs: startMs })
    const delivered = watch(issuer.deliver(reversal, card, false, 500))
    await time.advance(50)
    assert.equal(delivered.result?.kind, 'answered')
    assert.equal(connectionOf(reversal.stan), connectionOf(attempt.stan))
  }
  const [last] = attempts.slice(-1) as [Attempt]
  simulated.disconnect(connectionOf(last.stan))
  await time.advance(10)
  const delivered = watch(
    issuer.deliver(reversalAt(issuer, last, { queuedAtMs: startMs }), card, false, 500),
  )
  await time.advance(50)
  assert.equal(delivered.result?.kind, 'answered')
})

test('more connections than a link may have are refused', () => {
  assert.throws(() => createRig({ config: { connections: 17 } }), /connections/)
})

// The whole of promise 4: whatever the issuer and the network do, an answer reaches its request or
// nobody, each request ends once and in time, and nothing is left behind.
test('answers never cross, whatever the issuer and the network do', async () => {
  let answered = 0
  const storm = async (seed: number) => {
    answered += await runStorm(seed)
  }
  await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 - 1 }), storm), {
    numRuns: 25,
  })
  // One storm may cut every connection before its first answer; all of them together may not.
  assert.ok(answered > 0)
})

const fault = (random: SeededRandom, request: IsoMessage): IsoMessage => {
  const changes: Record<number, string> = {}
  const field = [4, 7, 11, 37, 41, 49][random.below(6)] as number
  const digits = random.below(90) + 10
  const value = String(request.fields[field])
  changes[field] = field === 49 ? '840' : `${value.slice(0, -2)}${digits}`
  if (changes[field] === value) changes[field] = field === 49 ? '392' : `${value.slice(0, -2)}09`
  return answerOf(request, codeOf(request), changes)
}

/** The approval code of an answer names the request that it was made for. */
function codeOf(request: IsoMessage): string {
  return Number(request.fields[4]) % 3 === 0 ? '51' : '00'
}

function signedAnswer(request: IsoMessage): IsoMessage {
  return answerOf(request, codeOf(request), { 38: String(request.fields[11]) })
}

/** Resolves with how many were answered. */
async function runStorm(seed: number): Promise<number> {
  const random = createSeededRandom(seed)
  const isSplit = random.chance(0.5)
  const rig = createRig({
    seed,
    config: {
      timeoutMs: 1_000,
      lateAnswerWindowMs: 20_000,
      signOnTimeoutMs: 500,
      connections: 1 + random.below(3),
    },
    pieceBytes: (_, lengthBytes) => (isSplit ? 1 : 1 + random.below(lengthBytes)),
    answer: (request) => {
      const answers: TimedAnswer[] = []
      if (random.chance(0.2))
        answers.push({ afterMs: random.below(900), message: fault(random, request) })
      if (random.chance(0.9))
        answers.push({ afterMs: random.below(1_300), message: signedAnswer(request) })
      if (random.chance(0.2))
        answers.push({ afterMs: random.below(30_000), message: signedAnswer(request) })
      return answers
    },
  })
  const { time, network, issuer, late } = rig
  const asked: {
    attempt: Attempt
    atMs: number
    endings: { result: AskResult; atMs: number }[]
  }[] = []
  await time.advance(2_000)
  for (let i = 0; i < 150; i++) {
    const mti = random.chance(0.5) ? '0100' : '0200'
    const amount = 1 + random.below(100_000)
    const attempt = attemptAt(issuer, { mti, amount, terminalId: `T-${random.below(3)}` })
    const entry: (typeof asked)[number] = { attempt, atMs: time.clock.monotonic(), endings: [] }
    asked.push(entry)
    void issuer.ask(attempt, card, 1_000).then((result) => {
      entry.endings.push({ result, atMs: time.clock.monotonic() })
    })
    if (random.chance(0.01)) network.cut()
    if (random.chance(0.02)) rig.simulated.disconnect(rig.simulated.receivedOn.at(-1))
    if (random.chance(0.01)) rig.simulated.sendBytes(Uint8Array.of(255, 255))
    await time.advance(random.below(20))
  }
  await time.advance(60_000)
  let answered = 0
  for (const { attempt, atMs, endings } of asked) {
    assert.equal(endings.length, 1)
    const { result, atMs: endedAtMs } = endings[0] as (typeof endings)[number]
    assert.ok(endedAtMs <= atMs + 1_000)
    if (result.kind !== 'answered') continue
    answered++
    assert.equal(result.answer.approvalCode, attempt.stan)
    assert.equal(result.answer.responseCode, attempt.amount % 3 === 0 ? '51' : '00')
  }
  for (const { attempt, answer } of late) assert.equal(answer.approvalCode, attempt.stan)
  assert.equal(new Set(late.map(({ attempt }) => attempt.stan)).size, late.length)
  assert.ok(!kindsOf(rig.events).includes('unencodable_message'))
  await Promise.all([issuer.close(), time.advance(10_000)])
  assert.equal(issuer.state.inFlight, 0)
  assert.equal(issuer.state.givenUp, 0)
  assert.equal(network.openConnections, 0)
  await time.advance(30_000)
  assert.equal(time.pendingTimers, 0)
  return answered
}
