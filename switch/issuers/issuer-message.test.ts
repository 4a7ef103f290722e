import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { Pan } from '../card-data/index.ts'
import { type Dialect, type IsoMessage, loadDialect } from '../iso8583/index.ts'
import { SAMPLE_ATTEMPT } from '../simulation/index.ts'
import type { Attempt, QueuedMessage } from '../store/index.ts'
import { roomOf } from './dialect-room.ts'
import {
  buildNetworkAnswer,
  buildNetworkRequest,
  buildQueued,
  buildRequest,
  NETWORK_CODE,
  originalDataElements,
  parseAnswer,
} from './issuer-message.ts'

const dialectFile = new URL('../iso8583/dialects/iso8583-1987-ascii.yaml', import.meta.url)
const loaded = loadDialect(readFileSync(dialectFile, 'utf8'), 'iso8583-1987-ascii')
assert.ok(loaded.ok)
const dialect: Dialect = loaded.dialect
const room = roomOf(dialect)
const pan = Pan.parse('4761739001010119') as Pan
const card = { pan, expiry: '2912', cvv: undefined }

const digits = (length: number) =>
  fc
    .array(fc.integer({ min: 0, max: 9 }), { minLength: length, maxLength: length })
    .map((numbers) => numbers.join(''))
const text = (maxLength: number) =>
  fc.stringMatching(/^[A-Z0-9][A-Z0-9 .-]*$/).map((value) => value.slice(0, maxLength).trimEnd())

const attempts: fc.Arbitrary<Attempt> = fc.record({
  issuer: fc.constant('demo-a'),
  mti: fc.constantFrom('0100', '0200'),
  processingCode: digits(6),
  stan: digits(6),
  transmittedAt: digits(10),
  rrn: digits(12),
  acquiringInstitution: fc.integer({ min: 1, max: 11 }).chain(digits),
  amount: fc.integer({ min: 0, max: 999_999_999_999 }),
  currencyNumeric: digits(3),
  terminalId: fc.oneof(fc.constant(''), text(8)),
  merchantId: text(15),
  merchantNameLocation: fc.oneof(fc.constant(''), text(40)),
  mcc: digits(4),
  entryMode: fc.oneof(fc.constant(''), digits(3)),
  card: fc.constant(null),
})

function throughTheWire(message: IsoMessage): IsoMessage {
  const encoded = dialect.encode(message)
  assert.ok(encoded.ok, encoded.ok ? '' : `${encoded.problem.field}: ${encoded.problem.message}`)
  const decoded = dialect.decode(encoded.bytes)
  assert.ok(decoded.ok)
  return decoded.message
}

const sample: Attempt = {
  ...SAMPLE_ATTEMPT,
  issuer: 'demo-a',
  stan: '000123',
  transmittedAt: '1122100000',
  rrn: '632610000123',
}

const present = ({ fields }: IsoMessage) =>
  Object.fromEntries(
    fields.flatMap((value, field) => (value === undefined ? [] : [[field, value]])),
  )

test('a request carries the durable numbers, the card, and nothing else', () => {
  const message = buildRequest(sample, { pan, expiry: '2912', cvv: '123' }, room)
  assert.equal(message.mti, '0100')
  assert.deepEqual(present(message), {
    2: pan.reveal(),
    3: '000000',
    4: '000000002599',
    7: '1122100000',
    11: '000123',
    14: '2912',
    18: '5411',
    22: '071',
    32: '100001',
    37: '632610000123',
    41: 'T-0001  ',
    42: 'M-1001         ',
    43: 'Corner Shop'.padEnd(40),
    48: '9203123',
    49: '978',
  })
  assert.equal(
    buildRequest(sample, { pan, expiry: '2912', cvv: undefined }, room).fields[48],
    undefined,
  )
})

test('every request goes through the wire and comes back in an answer that says the same', () => {
  fc.assert(
    fc.property(attempts, (attempt) => {
      const request = throughTheWire(
        buildRequest(attempt, { pan, expiry: '2912', cvv: '1234' }, room),
      )
      request.fields[39] = '00'
      request.fields[38] = 'A1B2C3'
      const answer = parseAnswer(throughTheWire({ ...request, mti: '0110' }))
      assert.deepEqual(answer, {
        mti: '0110',
        amount: attempt.amount,
        transmittedAt: attempt.transmittedAt,
        stan: attempt.stan,
        rrn: attempt.rrn,
        approvalCode: 'A1B2C3',
        responseCode: '00',
        terminalId: attempt.terminalId,
        currencyNumeric: attempt.currencyNumeric,
        networkCode: '',
        passThrough: undefined,
      })
    }),
  )
})

test('DE90 names what we sent: MTI, DE11, DE7, DE32 and zeros for DE33', () => {
  assert.equal(originalDataElements(sample), '010000012311221000000000010000100000000000')
  fc.assert(
    fc.property(attempts, (attempt) => {
      const elements = originalDataElements(attempt)
      assert.match(elements, /^[0-9]{42}$/)
      assert.equal(elements.slice(0, 4), attempt.mti)
      assert.equal(elements.slice(4, 10), attempt.stan)
      assert.equal(elements.slice(10, 20), attempt.transmittedAt)
      assert.equal(Number(elements.slice(20, 31)), Number(attempt.acquiringInstitution))
      assert.equal(elements.slice(31), '00000000000')
    }),
  )
})

test('a reversal has numbers of its own, and only the MTI of a repeat differs', () => {
  fc.assert(
    fc.property(attempts, digits(6), digits(10), digits(12), (original, stan, at, rrn) => {
      const queued: QueuedMessage = {
        transactionId: 'auth_1',
        step: 'authorization',
        issuer: 'demo-a',
        mti: '0420',
        stan,
        transmittedAt: at,
        rrn,
        original,
        cause: 'timeout',
        queuedAtMs: 0,
      }
      const first = throughTheWire(buildQueued(queued, card, false, room))
      const repeat = throughTheWire(buildQueued(queued, card, true, room))
      assert.equal(first.mti, '0420')
      assert.equal(repeat.mti, '0421')
      assert.deepEqual(first.fields, repeat.fields)
      assert.deepEqual([first.fields[7], first.fields[11], first.fields[37]], [at, stan, rrn])
      assert.equal(first.fields[90], originalDataElements(original))
      assert.equal(Number(first.fields[4]), original.amount)
    }),
  )
})

test('a capture advice names amount, approval and original; a part reversed, what stands', () => {
  fc.assert(
    fc.property(attempts, digits(6), digits(10), digits(12), (original, stan, at, rrn) => {
      const queued: QueuedMessage = {
        transactionId: 'cap_1',
        step: 'capture',
        issuer: 'demo-a',
        mti: '0220',
        stan,
        transmittedAt: at,
        rrn,
        original,
        cause: 'capture',
        queuedAtMs: 0,
        amount: 700,
        approvalCode: 'A1B2C3',
      }
      const advice = throughTheWire(buildQueued(queued, card, false, room))
      assert.deepEqual(
        [advice.mti, throughTheWire(buildQueued(queued, card, true, room)).mti],
        ['0220', '0221'],
      )
      assert.equal(advice.fields[4], '000000000700')
      assert.equal(advice.fields[38], 'A1B2C3')
      assert.equal(advice.fields[90], originalDataElements(original))
      const told = { ...queued, step: 'advice', mti: '0120', responseCode: '00' } as const
      const standIn = throughTheWire(buildQueued(told, card, true, room))
      assert.equal(standIn.mti, '0121')
      assert.deepEqual(
        [14, 38, 39].map((field) => standIn.fields[field]),
        ['2912', 'A1B2C3', '00'],
      )
      assert.equal(standIn.fields[90], undefined)
      const { approvalCode: _, ...rest } = queued
      const partial: QueuedMessage = {
        ...rest,
        step: 'reversal',
        mti: '0420',
        cause: 'acquirer',
        replacementAmount: 250,
      }
      const reversal = throughTheWire(buildQueued(partial, card, false, room))
      assert.equal(String(reversal.fields[95]).slice(0, 12), '000000000250')
      assert.equal(reversal.fields[38], undefined)
    }),
  )
})

test('network management names what it asks, and its answer echoes it', () => {
  for (const code of Object.values(NETWORK_CODE)) {
    const request = throughTheWire(buildNetworkRequest(code, '000777', '1122100000'))
    assert.deepEqual(present(request), { 7: '1122100000', 11: '000777', 70: code })
    const answer = throughTheWire(buildNetworkAnswer(request, '00'))
    assert.equal(answer.mti, '0810')
    assert.equal(parseAnswer(answer).networkCode, code)
    assert.equal(parseAnswer(answer).stan, '000777')
  }
})

test('an answer that lacks everything says nothing, and nothing throws', () => {
  assert.deepEqual(parseAnswer({ mti: '0110', fields: [] }), {
    mti: '0110',
    amount: -1,
    transmittedAt: '',
    stan: '',
    rrn: '',
    approvalCode: '',
    responseCode: '',
    terminalId: '',
    currencyNumeric: '',
    networkCode: '',
    passThrough: undefined,
  })
  const parts = new Map([['1', 'x']])
  const fields = Array(71).fill(parts)
  assert.equal(parseAnswer({ mti: '0110', fields }).stan, '')
})
