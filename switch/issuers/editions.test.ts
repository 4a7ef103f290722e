// One link in every shipped dialect: the same payment, whatever the edition says for it.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { listDialects, readDialect } from '../adapters/dialect-files.ts'
import { Pan } from '../card-data/index.ts'
import {
  createFraming,
  type Dialect,
  defaultFraming,
  editionOf,
  type FieldParts,
  type FieldValue,
  type IsoMessage,
  type MacKey,
} from '../iso8583/index.ts'
import {
  answerOf,
  attemptAt,
  createSeededRandom,
  createSimulatedIssuer,
  createSimulatedNetwork,
  createVirtualTime,
  reversalAt,
} from '../simulation/index.ts'
import type { Attempt, QueuedMessage } from '../store/index.ts'
import { createIssuer, type IssuerLinkConfig } from './create-issuer.ts'
import { chipOf, roomOf } from './dialect-room.ts'
import type { CardData } from './issuer.ts'
import type { IssuerEvent } from './issuer-events.ts'
import { NO_STAN } from './trace-numbers.ts'

const startMs = Date.UTC(2026, 10, 22, 10)
const address = { host: 'issuer.test', port: 9101 }
const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
const pan = Pan.parse('4761739001010119') as Pan
const chip = new Map([
  ['9F26', '0011223344556677'],
  ['9F36', '0001'],
])
const issuerData = new Map([['91', '1122334455667788']])
const mac: MacKey = { algorithm: 'aes-cmac', key: Buffer.alloc(16, 3) }

interface Options {
  readonly link?: Partial<IssuerLinkConfig>
  readonly issuersMac?: MacKey
  readonly answer?: (request: IsoMessage) => IsoMessage
}

function createRig(dialect: Dialect, { link, issuersMac, answer }: Options = {}) {
  const random = createSeededRandom(3)
  const time = createVirtualTime({ startMs, settle })
  const { clock, timers } = time
  const network = createSimulatedNetwork({
    clock,
    timers,
    latencyMs: () => 1,
    bufferedBytesMax: 100_000,
  })
  const chipForm = roomOf(dialect).chip
  const echoed =
    chipForm === 'data_set'
      ? new Map([['01', issuerData]])
      : chipForm === 'hex'
        ? '91081122334455667788'
        : issuerData
  const simulated = createSimulatedIssuer({
    network,
    address,
    dialect,
    framing: createFraming(defaultFraming),
    timers,
    clock,
    ...(issuersMac === undefined ? {} : { mac: issuersMac }),
    answer: (request) => {
      const isAsked = request.fields[55] !== undefined
      const changes = isAsked ? { 38: 'A1B2C3', 55: echoed } : {}
      return [{ afterMs: 5, message: answer?.(request) ?? answerOf(request, '00', changes) }]
    },
  })
  const events: IssuerEvent[] = []
  const issuer = createIssuer(
    { name: 'demo-a', ...address, timeoutMs: 8_000, ...link },
    {
      transport: network.transport,
      clock,
      timers,
      random,
      dialect,
      lastStan: NO_STAN,
      onLateAnswer: () => assert.fail('nothing is late here'),
      onEvent: (event) => events.push(event),
    },
  )
  const attemptOf = (changes: Partial<Attempt> = {}): Attempt =>
    attemptAt(issuer, {
      merchantNameLocation: `${'Corner Shop'.padEnd(25)}${'Berlin'.padEnd(13)}DE`,
      entryMode: '051',
      ...changes,
    })
  const queuedOf = (original: Attempt, changes: Partial<QueuedMessage> = {}): QueuedMessage =>
    reversalAt(issuer, original, { queuedAtMs: startMs, ...changes })
  const finish = async <Result>(promise: Promise<Result>): Promise<Result | undefined> => {
    let result: Result | undefined
    void promise.then((value) => {
      result = value
    })
    await time.advance(50)
    return result
  }
  return { time, issuer, simulated, events, attemptOf, queuedOf, finish }
}

const card: CardData = {
  pan,
  expiry: '2912',
  cvv: '123',
  passThrough: { track2: '4761739001010119=29122010000012300000', cardSequence: '001', chip },
}
const CODE_ELEMENTS: FieldParts = new Map([
  ['TCC', 'R'],
  ['92', '123'],
])
/** DE62 and DE48 where they are not text. */
const NAMED: Readonly<Record<string, readonly (FieldValue | null)[]>> = {
  'visa-base1': [new Map([['2', '123456789012345']]), '9203123'],
  'mastercard-cis': [
    null,
    new Map<string, FieldValue>([
      ['TCC', 'R'],
      [
        '63',
        new Map([
          ['1', 'MCC000001'],
          ['2', '1122  '],
        ]),
      ],
      ['92', '123'],
    ]),
  ],
}
const ADVICE = { mti: '0120', step: 'advice', cause: 'advice' } as const
const withoutCode = (parts: FieldValue | null | undefined) =>
  parts instanceof Map ? new Map([...parts].filter(([tag]) => tag !== '92')) : undefined
const fieldsOf = (message: IsoMessage | undefined, ...fields: readonly number[]) =>
  fields.map((field) => message?.fields[field])

for (const name of listDialects()) {
  const loaded = readDialect(name)
  assert.ok(loaded.ok)
  const { dialect } = loaded
  const room = roomOf(dialect)
  describe(`a link in ${name}`, () => {
    test('signs on, asks with chip and track, and hands the issuer’s data back', async () => {
      const { time, issuer, simulated, attemptOf, finish } = createRig(dialect)
      await time.advance(50)
      assert.equal(issuer.isUp, true)
      assert.deepEqual(fieldsOf(simulated.received[0], 70), ['001'])
      const attempt = attemptOf()
      const answered = await finish(issuer.ask(attempt, card, 8_000))
      assert.ok(answered?.kind === 'answered')
      const { responseCode, approvalCode, amount, passThrough } = answered.answer
      assert.deepEqual([responseCode, approvalCode, amount], ['00', 'A1B2C3', 2_599])
      assert.ok(room.chip !== null && room.track2 !== null)
      assert.deepEqual(passThrough?.chip, issuerData)
      const request = simulated.received[1]
      assert.equal(request?.mti, '0100')
      const numbers = [attempt.transmittedAt, attempt.stan, attempt.rrn]
      assert.deepEqual(fieldsOf(request, 7, 11, 37), numbers)
      assert.deepEqual(fieldsOf(request, 2, 14, 23), [pan.reveal(), '2912', '001'])
      assert.match(String(request?.fields[35]), /^4761739001010119[=D]29122010000012300000$/)
      assert.deepEqual(chipOf(request?.fields[55] ?? ''), chip)
      assert.equal(issuer.state.counters.unmatched, 0)
    })

    test('tells the first of a series where the dialect has a place, and asks without otherwise', async () => {
      const { time, issuer, simulated, attemptOf, queuedOf, finish } = createRig(dialect)
      await time.advance(50)
      const reference = room.series === 'identifier' ? '123456789012345' : 'MCC0000011122'
      for (const initialReference of [reference, 'é'.repeat(64)]) {
        const asked = issuer.ask(attemptOf({ initialReference }), card, 8_000)
        assert.equal((await finish(asked))?.kind, 'answered')
      }
      const seriesOf = ({ fields }: IsoMessage) => [fields[62] ?? null, fields[48]]
      const [named, without] = simulated.received.slice(1).map(seriesOf)
      assert.deepEqual(named, NAMED[name] ?? [null, '92031236313MCC0000011122'])
      const cardCode = room.cardCode === 'subelements' ? CODE_ELEMENTS : '9203123'
      assert.deepEqual(without, [null, cardCode])
      // Told afterwards, when nobody knows the card's code any more; and not by what follows it.
      const original = attemptOf({ initialReference: reference })
      const told = queuedOf(original, { ...ADVICE, responseCode: '00' })
      await finish(issuer.deliver(told, card, false, 8_000))
      const [first, second] = NAMED[name] ?? [null, '6313MCC0000011122']
      const isText = typeof second === 'string'
      const tags = isText ? second.replace(/^92.{5}/, '') || undefined : withoutCode(second)
      assert.deepEqual(simulated.received.slice(-1).map(seriesOf), [[first ?? null, tags]])
      await finish(issuer.deliver(queuedOf(original), card, false, 8_000))
      assert.deepEqual(simulated.received.slice(-1).map(seriesOf), [[null, undefined]])
    })

    test('says of a pre-authorization that it is one, asked, told and asked again', async () => {
      const { time, issuer, simulated, attemptOf, queuedOf, finish } = createRig(dialect)
      await time.advance(50)
      const is1987 = room.edition.year === 1987
      const condition = async (sent: Promise<unknown>) => {
        await finish(sent)
        return simulated.received.at(-1)?.fields[25]
      }
      const byMail = { conditionCode: '08', entryMode: '010' }
      const hold: Attempt = attemptOf({ ...byMail, isPreauthorization: true })
      const told = { ...ADVICE, responseCode: '00', reasonCode: '1004' }
      const more = '0'.repeat(42)
      const steps = { originalDataElements: more, ...hold, ...issuer.drawTraceNumbers() }
      const refunded = { ...steps, mti: '0200', ...issuer.drawTraceNumbers() }
      assert.equal(await condition(issuer.ask(attemptOf(byMail), card, 8_000)), '08')
      assert.equal(await condition(issuer.ask(hold, card, 8_000)), '06')
      // Why it was not asked is in DE25 from 1993 on, and what it is in DE24.
      assert.equal(await condition(issuer.deliver(queuedOf(hold, told), card, false, 8_000)), '06')
      const reversed = issuer.deliver(queuedOf(hold), card, true, 8_000)
      assert.equal(await condition(reversed), is1987 ? '06' : '08')
      assert.equal(await condition(issuer.ask(steps, card, 8_000)), is1987 ? '06' : '08')
      assert.equal(await condition(issuer.ask(refunded, card, 8_000)), '08')
      // Records of before say nothing of it, and nothing is invented.
      const older = await condition(issuer.ask(attemptOf(), card, 8_000))
      assert.equal(older, is1987 ? undefined : '00')
    })

    test('reverses whole and in part, captures, advises and repeats', async () => {
      const { time, issuer, simulated, attemptOf, queuedOf, finish } = createRig(dialect)
      await time.advance(50)
      const original = attemptOf()
      const part = { step: 'reversal', cause: 'acquirer', replacementAmount: 1_000 } as const
      const capture = { step: 'capture', mti: '0220', cause: 'capture', amount: 2_000 } as const
      const standIn = {
        mti: '0120',
        step: 'advice',
        cause: 'stand_in',
        responseCode: '00',
      } as const
      const wanted = [
        [queuedOf(original), false, '0420'],
        [queuedOf(original), true, '0421'],
        [queuedOf(original, part), false, '0420'],
        [queuedOf(original, { ...capture, approvalCode: 'A1B2C3' }), true, '0221'],
        [queuedOf(original, { ...standIn, reasonCode: '1003' }), false, '0120'],
      ] as const
      for (const [message, isRepeat, mti] of wanted) {
        const delivered = await finish(issuer.deliver(message, card, isRepeat, 8_000))
        assert.deepEqual(delivered, { kind: 'answered', responseCode: '00' })
        const received = simulated.received.at(-1)
        assert.equal(received?.mti, mti)
        const institution = original.acquiringInstitution.padStart(11, '0')
        const named = `0100${original.stan}${original.transmittedAt}${institution}${'0'.repeat(11)}`
        assert.equal(received?.fields[90], mti === '0120' ? undefined : named)
      }
      const partial = simulated.received.at(-3)
      assert.equal(String(partial?.fields[95]).slice(0, 12), '000000001000')
      assert.equal(partial?.fields[4], '000000002599')
      assert.equal(issuer.state.counters.unmatched, 0)
    })

    test('an answer in the numbers of another is nobody’s', async () => {
      const { time, issuer, events, attemptOf, finish } = createRig(dialect, {
        answer: (request) => answerOf(request, '00', { 37: '632610999999' }),
      })
      await time.advance(50)
      assert.equal(await finish(issuer.ask(attemptOf(), card, 8_000)), undefined)
      const event = events.at(-1)
      assert.ok(event?.kind === 'unmatched_answer')
      assert.equal(event.field, '37')
    })

    test('its authentication codes are set and checked', async () => {
      const right = createRig(dialect, {
        link: { mac: { key: mac, coversNetwork: true } },
        issuersMac: mac,
      })
      await right.time.advance(50)
      const asked = right.issuer.ask(right.attemptOf(), card, 8_000)
      assert.equal((await right.finish(asked))?.kind, 'answered')
      const reversal = right.queuedOf(right.attemptOf())
      const delivered = await right.finish(right.issuer.deliver(reversal, card, false, 8_000))
      assert.equal(delivered?.kind, 'answered')
      // An issuer that has no key: it is heard in network management only, where that is agreed on.
      const wrong = createRig(dialect, { link: { mac: { key: mac, coversNetwork: false } } })
      await wrong.time.advance(50)
      assert.equal(wrong.issuer.isUp, true)
      const unheard = await wrong.finish(wrong.issuer.ask(wrong.attemptOf(), card, 8_000))
      assert.equal(unheard, undefined)
      assert.equal(wrong.issuer.state.counters.badMacs, 1)
      const event = wrong.events.at(-1)
      assert.deepEqual(event?.kind === 'bad_mac' && [event.verdict, event.mti[1]], ['absent', '1'])
      assert.equal(wrong.issuer.state.counters.unmatched, 0)
      await wrong.time.advance(8_000)
      assert.equal(wrong.issuer.state.counters.timeouts, 1)
    })
  })
}

test('on the wire each edition has its own words', async () => {
  for (const [name, mtis] of [
    ['iso8583-1987-binary', ['0800', '0100', '0420']],
    ['iso8583-1993-binary', ['1804', '1100', '1420']],
  ] as const) {
    const loaded = readDialect(name)
    assert.ok(loaded.ok)
    const { dialect } = loaded
    const seen: string[] = []
    const watched: Dialect = {
      ...dialect,
      encode: (message) => {
        seen.push(message.mti)
        return dialect.encode(message)
      },
    }
    const { time, issuer, attemptOf, queuedOf, finish } = createRig(watched)
    await time.advance(50)
    const original = attemptOf()
    await finish(issuer.ask(original, card, 8_000))
    await finish(issuer.deliver(queuedOf(original), card, false, 8_000))
    for (const mti of mtis) assert.ok(seen.includes(mti), `${mti} of ${name}`)
    assert.ok(seen.every((mti) => mti[0] === editionOf(dialect).digit))
  }
})
