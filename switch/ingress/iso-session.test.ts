// One ISO 8583 connection, behind a door that is shut: every well-formed authorization is answered
// 91 at once. What an open door gives is in load-tests/e2e.

import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import pino from 'pino'
import { closedWorld } from '../adapters/closed-world.ts'
import { readDialect } from '../adapters/dialect-files.ts'
import {
  createFraming,
  defaultFraming,
  type IsoMessage,
  MessageAuthentication,
} from '../iso8583/index.ts'
import { createSeededRandom, SimulatedDisk } from '../simulation/index.ts'
import { StoreFault } from '../store/index.ts'
import { ExchangedKeys } from './exchanged-keys.ts'
import { answerMti } from './iso-answer.ts'
import { writeIsoAuthorization } from './iso-authorization.ts'
import { createIsoDoor } from './iso-door.ts'
import { ISO_IN_FLIGHT_MAX } from './limits.ts'

const random = createSeededRandom(1)
const { config } = closedWorld()
const listener = config.iso?.listeners[0]
assert.ok(listener)
const loaded = readDialect('iso8583-1987-ascii')
assert.ok(loaded.ok)
const { dialect } = loaded
const dialects = new Map([[listener.dialect, dialect]])
const framing = createFraming(defaultFraming)
const PAN = '4761739001010119'

async function createRig(
  from = { address: '127.0.0.1', certificateSha256: undefined },
  door: object = listener as object,
  store: object = {},
) {
  const lines: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
  const world = closedWorld({ log, store })
  const { journal, vault } = world
  const kept = await ExchangedKeys.open(new SimulatedDisk({ random }), vault)
  const answers: IsoMessage[] = []
  const payloads: Uint8Array[] = []
  const splitter = framing.createSplitter(
    (payload) => {
      payloads.push(Buffer.from(payload))
      const decoded = dialect.decode(payload)
      assert.ok(decoded.ok)
      answers.push(decoded.message)
    },
    (problem) => assert.fail(problem.message),
  )
  const connection = {
    bufferedBytes: 0,
    isFull: false,
    isDestroyed: false,
    write(bytes: Uint8Array) {
      if (connection.isFull) return false
      splitter.push(bytes)
      return true
    },
    destroy() {
      connection.isDestroyed = true
    },
  }
  const session = createIsoDoor(world, door as never, dialects, kept)(connection, from)
  const send = (message: IsoMessage) => session?.onBytes(frameOf(message))
  return { session, connection, answers, payloads, send, lines, kept, journal }
}

function frameOf(message: IsoMessage): Uint8Array {
  const encoded = dialect.encode(message)
  assert.ok(encoded.ok)
  const framed = framing.encode(encoded.bytes)
  assert.ok(framed.ok)
  return framed.bytes
}

function authorization(change: Readonly<Record<number, string | undefined>> = {}): IsoMessage {
  const message = writeIsoAuthorization(
    {
      amount: 2599,
      currency: 'EUR',
      channel: 'pos',
      card: { pan: PAN, expiry: '2912', cvv: '123' },
      merchant: { id: 'M-1', mcc: '5411' },
    },
    { stan: '000123', transmittedAt: '1122095959', institution: '100001' },
  )
  assert.ok(message)
  for (const [field, value] of Object.entries(change)) message.fields[Number(field)] = value
  return message
}

function network(code: string): IsoMessage {
  const fields = new Array<string | undefined>(71)
  fields[7] = '1122095959'
  fields[11] = '000007'
  fields[70] = code
  return { mti: '0800', fields }
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 5))

test('sign-on, echo, sign-off and key exchange are acknowledged', async () => {
  const { send, answers, kept } = await createRig()
  const exchange = network('161')
  exchange.fields[48] = '0123456789ABCDEF'
  for (const message of [network('001'), network('301'), exchange, network('002')]) send(message)
  send(network('999'))
  await settled()
  assert.ok(kept.has('demo'))
  assert.deepEqual(
    answers.map(({ mti, fields }) => [mti, fields[11], fields[39], fields[70]]).sort(),
    [
      ['0810', '000007', '00', '001'],
      ['0810', '000007', '00', '002'],
      ['0810', '000007', '00', '161'],
      ['0810', '000007', '00', '301'],
      ['0810', '000007', '12', '999'],
    ],
  )
  assert.ok(
    answers.every(({ fields }) => fields[48] === undefined),
    'keys are not sent back',
  )
})

test('a store that can not be read ends nothing: told again, or asked again', async () => {
  const fault = async () => {
    throw new StoreFault('the database was not read')
  }
  const disk = async () => {
    throw Object.assign(new Error('read'), { code: 'EIO' })
  }
  for (const lookUp of [fault, disk]) {
    const store = { findByRrn: lookUp, lookUpKey: lookUp, lookUpKeys: lookUp }
    const { send, answers } = await createRig(undefined, undefined, store)
    const completion = authorization({ 37: '632610000123' })
    send({ ...completion, mti: '0220' })
    send({ ...completion, mti: '0400' })
    const original = `0100000122112209595900000100001${'0'.repeat(11)}`
    send({ ...authorization({ 3: '200000', 90: original }), mti: '0200' })
    await settled()
    assert.deepEqual(
      answers.map(({ mti, fields }) => [mti, fields[39]]),
      [['0210', '91']],
    )
  }
})

test('who asked is not left waiting where no answer will come: its connection ends', async () => {
  const fingerprint = new Uint8Array(32)
  const store = {
    findKey: () => ({ transactionId: 'auth_1', state: 'recorded', fingerprint }),
    read: async () => {
      throw Object.assign(new Error('read'), { code: 'EIO' })
    },
  }
  const { send, answers, connection } = await createRig(undefined, undefined, store)
  assert.equal(connection.isDestroyed, false)
  send({ ...authorization(), mti: '0101' })
  await settled()
  assert.deepEqual(answers, [])
  assert.equal(connection.isDestroyed, true)
})

test('each refusal has its DE39, and the acquirer’s own numbers come back', async () => {
  for (const [change, code] of [
    [{}, '91'],
    [{ 32: '999999' }, '03'],
    [{ 32: undefined }, '91'],
    [{ 2: '4761739001010118' }, '14'],
    [{ 3: '990000' }, '12'],
    [{ 4: '000000000000' }, '13'],
    [{ 11: undefined }, '30'],
    [{ 42: undefined }, '30'],
    [{ 52: '0123456789ABCDEF' }, '91'],
  ] as const) {
    const { send, answers } = await createRig()
    const message = authorization(change)
    send(message)
    await settled()
    const [answer, ...more] = answers
    assert.deepEqual(more, [])
    assert.equal(answer?.mti, '0110')
    assert.equal(answer?.fields[39], code, JSON.stringify(change))
    for (const field of [7, 11, 37]) assert.equal(answer?.fields[field], message.fields[field])
    for (const field of [14, 35, 48, 52]) assert.equal(answer?.fields[field], undefined)
  }
})

test('what has no story is answered 12, an answer is not answered', async () => {
  const { send, answers } = await createRig()
  for (const mti of ['0102', '0302', '0500', '0620']) send({ ...authorization(), mti })
  send({ ...authorization({ 3: '200000' }), mti: '0120' })
  send({ ...authorization({ 39: '00' }), mti: '0110' })
  await settled()
  assert.deepEqual(
    answers.map(({ mti, fields }) => [mti, fields[39]]),
    ['0112', '0312', '0510', '0630', '0130'].map((mti) => [mti, '12']),
  )
})

test('a step of the unknown is 25, one that is no step of its own code, a drain is not answered', async () => {
  const { send, answers } = await createRig()
  const named = `0100000999${'1122095959'}00000100001${'0'.repeat(11)}`
  send({ ...authorization({ 90: named }), mti: '0220' })
  send({ ...authorization({ 3: '200000', 90: named }), mti: '0200' })
  send({ ...authorization({ 3: '200000', 90: named }), mti: '0220' })
  send({ ...authorization({ 90: named }), mti: '0100' })
  send({ ...authorization(), mti: '0400' })
  send({ ...authorization({ 4: '000000000000', 90: named }), mti: '0220' })
  send({ ...authorization({ 2: '4761739001010118' }), mti: '0420' })
  await settled()
  assert.deepEqual(answers.map(({ mti, fields }) => [mti, fields[39]]).sort(), [
    ['0110', '25'],
    ['0210', '25'],
    ['0230', '13'],
    ['0230', '25'],
    ['0230', '25'],
    ['0410', '25'],
    ['0430', '14'],
  ])
  // It could be kept for its original by a door that is open: 25 would say that there is none.
  const now = new Date()
    .toISOString()
    .replace(/[^0-9]/g, '')
    .slice(4, 14)
  const fresh = `0100000999${now}00000100001${'0'.repeat(11)}`
  send({ ...authorization({ 90: fresh }), mti: '0420' })
  await settled()
  assert.equal(answers.length, 7)
})

test('MTIs of answers, repeats included', () => {
  for (const [asked, answered] of [
    ['0100', '0110'],
    ['0101', '0110'],
    ['0201', '0210'],
    ['0421', '0430'],
    ['0422', '0432'],
    ['0801', '0810'],
  ] as const) {
    assert.equal(answerMti(asked), answered)
  }
})

test('over the limit in flight: 91 at once', async () => {
  const { send, answers } = await createRig()
  for (let i = 0; i <= ISO_IN_FLIGHT_MAX; i++) {
    send(authorization({ 11: String(i).padStart(6, '0') }))
  }
  assert.deepEqual(
    answers.map(({ fields }) => [fields[11], fields[39]]),
    [[String(ISO_IN_FLIGHT_MAX).padStart(6, '0'), '91']],
  )
  await settled()
  assert.equal(answers.length, ISO_IN_FLIGHT_MAX + 1)
})

test('an unknown peer is not heard at all', async () => {
  const { session, journal } = await createRig({
    address: '192.0.2.7',
    certificateSha256: undefined,
  })
  assert.equal(session, undefined)
  assert.match(await journal.registry.metrics(), /event="unknown_peer"\} 1/)
})

test('three unreadable messages in a row, or a slipped stream, end the connection', async () => {
  const { session, connection, lines, send, answers } = await createRig()
  const junk = (text: string) => {
    const framed = framing.encode(Buffer.from(text))
    assert.ok(framed.ok)
    session?.onBytes(framed.bytes)
  }
  junk(`0100F000${PAN}`)
  junk(`no message at all ${PAN}`)
  send(network('301'))
  junk(PAN)
  junk(PAN)
  assert.equal(connection.isDestroyed, false)
  assert.equal(answers.length, 1)
  junk(PAN)
  assert.equal(connection.isDestroyed, true)
  assert.ok(lines.length >= 5)
  assert.ok(!lines.join('').includes(PAN), 'no card number in a log')
  const slipped = await createRig()
  slipped.session?.onBytes(Buffer.from([0xff, 0xff, 1, 2, 3]))
  assert.equal(slipped.connection.isDestroyed, true)
})

test('codes are checked and set where the peer has a key; a wrong one is 63, ten end it', async () => {
  const mac = { algorithm: 'x9.19', key: '0123456789ABCDEFFEDCBA9876543210' } as const
  const [peer] = listener.peers
  const own = { ...listener, peers: [{ ...peer, mac }] }
  const { connection, session, answers, payloads, journal } = await createRig(undefined, own)
  const authentication = new MessageAuthentication(dialect)
  const key = { algorithm: mac.algorithm, key: Buffer.from(mac.key, 'hex') }
  const signed = (message: IsoMessage) => {
    const encoded = authentication.encode(message, key)
    const framed = encoded.ok ? framing.encode(encoded.bytes) : encoded
    assert.ok(framed.ok)
    return framed.bytes
  }
  session?.onBytes(signed(network('301')))
  session?.onBytes(signed(authorization({ 32: '999' })))
  const changed = Buffer.from(signed(authorization()))
  const at = changed.indexOf('000000002599')
  changed[at] = '9'.charCodeAt(0)
  session?.onBytes(changed)
  session?.onBytes(frameOf(authorization()))
  assert.deepEqual(
    answers.map(({ mti, fields }) => [mti, fields[39]]),
    [
      ['0810', '00'],
      ['0110', '03'],
      ['0110', '63'],
      ['0110', '63'],
    ],
  )
  answers.forEach((answer, i) => {
    assert.equal(authentication.check(payloads[i] as Uint8Array, answer, key), 'right')
  })
  for (let i = 0; i < 10; i++) session?.onBytes(frameOf(authorization()))
  assert.equal(connection.isDestroyed, true)
  assert.match(await journal.registry.metrics(), /event="wrong_mac"\} 10/)
})

test('a peer that does not read is closed', async () => {
  const { connection, send } = await createRig()
  connection.isFull = true
  send(network('301'))
  assert.equal(connection.isDestroyed, true)
})

test('frames cut at every byte are the same messages', async () => {
  const bytes = Buffer.concat([frameOf(network('301')), frameOf(authorization({ 32: '999' }))])
  for (let cut = 0; cut <= bytes.length; cut++) {
    const { session, answers } = await createRig()
    session?.onBytes(bytes.subarray(0, cut))
    session?.onBytes(bytes.subarray(cut))
    assert.deepEqual(
      answers.map(({ mti, fields }) => [mti, fields[39]]),
      [
        ['0810', '00'],
        ['0110', '03'],
      ],
      `cut at ${cut}`,
    )
  }
})

test('no bytes make it throw', async () => {
  const { lines } = await createRig()
  const frames = [frameOf(network('301')), frameOf(authorization())]
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...frames),
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 6 }),
      async (frame, changes) => {
        const bytes = Buffer.from(frame)
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte
        const { session } = await createRig()
        session?.onBytes(bytes)
        session?.onClose()
      },
    ),
    { numRuns: 300 },
  )
  assert.ok(!lines.join('').includes(PAN))
})
