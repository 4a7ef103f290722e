import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { Pan } from '../card-data/index.ts'
import { createFraming, defaultFraming, type IsoMessage, loadDialect } from '../iso8583/index.ts'
import { createIssuer, type Issuer } from '../issuers/index.ts'
import { requeue } from '../requeue.ts'
import {
  answerOf,
  attemptAt,
  createSeededRandom,
  createSimulatedIssuer,
  createSimulatedNetwork,
  createVirtualTime,
  SimulatedDisk,
} from '../simulation/index.ts'
import {
  MemoryRecordIndex,
  openEmbeddedStore,
  type QueuedMessage,
  type SealedCard,
  type TransactionStore,
} from '../store/index.ts'
import type { StoreAndForwardEvent } from './delivery-lane.ts'
import { STORE_AND_FORWARD_LIMITS, type StoreAndForwardLimits } from './limits.ts'
import { createStoreAndForward } from './store-and-forward.ts'

const dialectFile = new URL('../iso8583/dialects/iso8583-1987-ascii.yaml', import.meta.url)
const loaded = loadDialect(readFileSync(dialectFile, 'utf8'), 'iso8583-1987-ascii')
assert.ok(loaded.ok)
const { dialect } = loaded
const framing = createFraming(defaultFraming)
const address = { host: 'issuer.test', port: 9101 }
const startMs = Date.UTC(2026, 10, 22, 10)
const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
const pan = Pan.parse('4761739001010119') as Pan
const sealedCard: SealedCard = {
  keyId: 1,
  iv: new Uint8Array(12),
  sealed: new Uint8Array(37),
}

interface RigOptions {
  readonly seed?: number
  /** DE39 of each 0420 or 0421; null: no answer. */
  readonly answer?: (request: IsoMessage, earlier: number) => string | null
  readonly limits?: Partial<StoreAndForwardLimits>
  readonly canUnseal?: () => boolean
  readonly isConfigured?: boolean
  readonly cardKey?: (message: QueuedMessage) => string
}

async function createRig(options: RigOptions = {}) {
  const random = createSeededRandom(options.seed ?? 1)
  const time = createVirtualTime({ startMs, settle })
  const { clock, timers } = time
  const network = createSimulatedNetwork({
    clock,
    timers,
    latencyMs: () => 1 + random.below(3),
    bufferedBytesMax: 1_000_000,
  })
  const sendsOf = new Map<string, number>()
  const listen = () =>
    createSimulatedIssuer({
      network,
      address,
      dialect,
      framing,
      timers,
      answer: (request) => {
        const stan = String(request.fields[11])
        const earlier = sendsOf.get(stan) ?? 0
        sendsOf.set(stan, earlier + 1)
        const code = options.answer === undefined ? '00' : options.answer(request, earlier)
        return code === null ? [] : [{ afterMs: 5, message: answerOf(request, code) }]
      },
    })
  const simulated = listen()
  let disk = new SimulatedDisk({ random })
  const openStore = async (): Promise<TransactionStore> => {
    const opened = await openEmbeddedStore({
      disk,
      index: new MemoryRecordIndex(),
      clock,
      timers,
      random,
      owner: 'test',
      keyRetentionMs: 86_400_000,
    })
    assert.ok(opened.ok)
    return opened.store
  }
  const events: StoreAndForwardEvent[] = []
  const connect = (store: TransactionStore) => {
    const issuer = createIssuer(
      { name: 'demo-a', ...address, reconnect: { minMs: 100, maxMs: 2_000 } },
      {
        transport: network.transport,
        clock,
        timers,
        random,
        dialect,
        lastStan: store.lastStan('demo-a'),
        onLateAnswer: () => {},
        onEvent: () => {},
      },
    )
    const forward = createStoreAndForward({
      store,
      issuers: new Map(options.isConfigured === false ? [] : [['demo-a', issuer]]),
      unseal: () => {
        if (options.canUnseal?.() === false) throw new Error('no such key')
        return { pan, expiry: '2912' }
      },
      clock,
      timers,
      random,
      limits: { ...STORE_AND_FORWARD_LIMITS, ...options.limits },
      ...(options.cardKey && { cardKey: options.cardKey }),
      onEvent: (event) => events.push(event),
    })
    return { store, issuer, forward }
  }
  const first = connect(await openStore())
  let current = first
  return {
    ...first,
    random,
    time,
    network,
    simulated,
    events,
    get disk() {
      return disk
    },
    /** What the next process finds after a kill -9. */
    async restart() {
      // What can't be killed here is stopped: on a disk that is down it gets no further.
      void current.forward.close()
      void current.issuer.close()
      disk = disk.restart('kill')
      network.cut()
      current = connect(await openStore())
      await current.forward.start()
      return current
    },
  }
}

let ids = 0

/** Declines an authorization with a reversal, as a time-out does. */
async function queueReversal(
  store: TransactionStore,
  issuer: Issuer,
  changes: Partial<QueuedMessage> = {},
  card: SealedCard | null = sealedCard,
): Promise<QueuedMessage> {
  const id = `auth_${String(ids++).padStart(26, '0')}`
  const attempt = attemptAt(issuer, { card })
  await store.claim({
    id,
    kind: 'financial',
    acquirer: 'demo',
    idempotencyKey: id,
    fingerprint: new Uint8Array(32),
    createdAtMs: startMs,
    rrn: attempt.rrn,
    cardToken: 'tok_1',
    request: {},
    attempt,
  })
  const reversal: QueuedMessage = {
    transactionId: id,
    step: 'authorization',
    issuer: 'demo-a',
    mti: '0420',
    ...issuer.drawTraceNumbers('reversal'),
    original: attempt,
    cause: 'timeout',
    queuedAtMs: startMs,
    ...changes,
  }
  await store.record({
    id,
    recordedAtMs: startMs,
    outcome: 'declined',
    responseCode: '91',
    cause: 'issuer_timeout',
    issuerResponseCode: null,
    answer: {},
    decision: null,
    reversal,
  })
  return reversal
}

async function deliveryOf(store: TransactionStore, { transactionId }: QueuedMessage) {
  const transaction = await store.read(transactionId)
  assert.ok(transaction?.deliveries[0])
  const { state, sends, lastResponseCode } = transaction.deliveries[0]
  return { state, sends, lastResponseCode }
}

const reversalsOf = (received: readonly IsoMessage[]) =>
  received.filter(({ mti }) => mti.startsWith('042'))

test('a queued reversal reaches the issuer, is acknowledged and stays so', async () => {
  const { store, issuer, forward, time, simulated, events } = await createRig()
  await time.advance(50)
  const message = await queueReversal(store, issuer)
  forward.enqueue(message)
  forward.enqueue(message)
  assert.equal(forward.depth('demo-a'), 1)
  await time.advance(100)
  assert.deepEqual(
    reversalsOf(simulated.received).map(({ mti }) => mti),
    ['0420'],
  )
  const [sent] = reversalsOf(simulated.received)
  const { original } = message
  assert.equal(
    sent?.fields[90],
    `0100${original.stan}${original.transmittedAt}0000010000100000000000`,
  )
  assert.deepEqual(await deliveryOf(store, message), {
    state: 'acknowledged',
    sends: 1,
    lastResponseCode: '00',
  })
  assert.equal(forward.depth('demo-a'), 0)
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['acknowledged'],
  )
})

test('while the link is down nothing is sent or counted; it goes out when the link is up', async () => {
  const { store, issuer, forward, time, simulated, network } = await createRig()
  await time.advance(50)
  network.stall(true)
  network.cut()
  await time.advance(10)
  const message = await queueReversal(store, issuer)
  forward.enqueue(message)
  await time.advance(3_600_000)
  assert.deepEqual(await deliveryOf(store, message), {
    state: 'queued',
    sends: 0,
    lastResponseCode: null,
  })
  network.stall(false)
  await time.advance(10_000)
  assert.equal(reversalsOf(simulated.received)[0]?.mti, '0420')
  assert.equal((await deliveryOf(store, message)).sends, 1)
})

test('91, 96 and silence: again as 0421 with the same numbers, waiting longer, never given up', async () => {
  const answers = ['91', '96', null, '91', '05', '91', '91', '00']
  const { store, issuer, forward, time, simulated } = await createRig({
    answer: (_, earlier) => answers[earlier] as string | null,
  })
  await time.advance(50)
  const message = await queueReversal(store, issuer)
  forward.enqueue(message)
  await time.advance(300_000)
  const sent = reversalsOf(simulated.received)
  assert.deepEqual(
    sent.map(({ mti }) => mti),
    ['0420', ...Array(7).fill('0421')],
  )
  for (const { fields } of sent) assert.deepEqual(fields, sent[0]?.fields)
  assert.deepEqual(await deliveryOf(store, message), {
    state: 'acknowledged',
    sends: 8,
    lastResponseCode: '00',
  })
})

test('25 is repeated while a late approval could come, and done after it', async () => {
  const { store, issuer, forward, time, simulated } = await createRig({ answer: () => '25' })
  await time.advance(50)
  const message = await queueReversal(store, issuer)
  forward.enqueue(message)
  await time.advance(600_000)
  assert.equal((await deliveryOf(store, message)).state, 'queued')
  await time.advance(100_000)
  assert.equal((await deliveryOf(store, message)).state, 'acknowledged')
  const before = simulated.received.length
  await time.advance(100_000)
  assert.equal(reversalsOf(simulated.received.slice(before)).length, 0)
})

test('a late approval after a 25 sends the reversal again at once, and 25 ends it no more', async () => {
  let answer = '25'
  const { store, issuer, forward, time, simulated } = await createRig({ answer: () => answer })
  await time.advance(50)
  const message = await queueReversal(store, issuer)
  forward.enqueue(message)
  await time.advance(400_000)
  const before = reversalsOf(simulated.received).length
  forward.lateApproval(message.original)
  await time.advance(20)
  assert.equal(reversalsOf(simulated.received).length, before + 1)
  await time.advance(400_000)
  assert.equal((await deliveryOf(store, message)).state, 'queued')
  answer = '21'
  await time.advance(61_000)
  assert.deepEqual((await deliveryOf(store, message)).lastResponseCode, '21')
  assert.equal(forward.depth('demo-a'), 0)
})

test('12 and 30 are dead letters, alarmed once and not sent again', async () => {
  for (const code of ['12', '30']) {
    const { store, issuer, forward, time, simulated, events } = await createRig({
      answer: () => code,
    })
    await time.advance(50)
    const message = await queueReversal(store, issuer)
    forward.enqueue(message)
    await time.advance(100_000)
    assert.equal(reversalsOf(simulated.received).length, 1)
    assert.equal((await deliveryOf(store, message)).state, 'dead')
    assert.equal(forward.deadLetters('demo-a'), 1)
    assert.equal(forward.depth('demo-a'), 0)
    assert.deepEqual(events, [
      {
        kind: 'dead_letter',
        issuer: 'demo-a',
        transactionId: message.transactionId,
        why: 'refused_by_issuer',
        responseCode: code,
      },
    ])
  }
})

test('what is never taken is a dead letter after so many sends, and can be queued again', async () => {
  let code = '96'
  const { store, issuer, forward, time, simulated, events } = await createRig({
    answer: () => code,
    limits: { sendsMax: 3 },
  })
  await time.advance(50)
  const message = await queueReversal(store, issuer)
  forward.enqueue(message)
  await time.advance(600_000)
  assert.equal(reversalsOf(simulated.received).length, 3)
  assert.deepEqual(await deliveryOf(store, message), {
    state: 'dead',
    sends: 3,
    lastResponseCode: '96',
  })
  assert.deepEqual(events.at(-1), {
    kind: 'dead_letter',
    issuer: 'demo-a',
    transactionId: message.transactionId,
    why: 'too_many_sends',
    responseCode: '96',
  })
  code = '00'
  const count = await requeue(store, message.transactionId, (dead) => forward.requeue(dead))
  assert.equal(count?.queued, 1)
  await time.advance(1_000)
  assert.equal((await deliveryOf(store, message)).state, 'acknowledged')
  assert.equal(reversalsOf(simulated.received).at(-1)?.mti, '0421')
  assert.equal(forward.deadLetters('demo-a'), 0)
  const none = await requeue(store, message.transactionId, () => assert.fail())
  assert.deepEqual(none, { queued: 0, takenBack: 0 })
  assert.equal(await requeue(store, 'auth_none', () => assert.fail()), undefined)
})

test('what is too old is not sent any more, unless an operator says so', async () => {
  const { store, issuer, forward, time, simulated, events } = await createRig({
    limits: { ageMaxMs: 3_600_000 },
  })
  simulated.stop()
  simulated.disconnect()
  const message = await queueReversal(store, issuer)
  forward.enqueue(message)
  await time.advance(3_700_000)
  assert.equal(forward.depth('demo-a'), 1, 'a link that is down buries nothing')
  const { queuedAtMs } = message
  assert.ok(time.clock.now() - queuedAtMs > 3_600_000)
  assert.deepEqual(events, [])
  const rig = await createRig({ limits: { ageMaxMs: 3_600_000 } })
  await rig.time.advance(50)
  const old = await queueReversal(rig.store, rig.issuer, { queuedAtMs: startMs - 3_700_000 })
  rig.forward.enqueue(old)
  await rig.time.advance(1_000)
  assert.equal(reversalsOf(rig.simulated.received).length, 0)
  const [event] = rig.events
  assert.ok(event?.kind === 'dead_letter' && event.why === 'too_old')
  await requeue(rig.store, old.transactionId, (dead) => rig.forward.requeue(dead))
  await rig.time.advance(1_000)
  assert.equal((await deliveryOf(rig.store, old)).state, 'acknowledged')
})

test('order is kept a card: the next waits until the one before it was heard', async () => {
  const { store, issuer, forward, time, simulated } = await createRig({
    answer: (request, earlier) =>
      Number(request.fields[4]) === 100 && earlier < 4
        ? ([null, '91', '05', '25'][earlier] ?? null)
        : '00',
    cardKey: (message) => String(message.original.amount % 10),
  })
  await time.advance(50)
  const amounts = [100, 110, 120, 101]
  for (const amount of amounts) {
    const message = await queueReversal(store, issuer)
    forward.enqueue({ ...message, original: { ...message.original, amount } })
  }
  await time.advance(8_000)
  const seen = () => reversalsOf(simulated.received).map(({ fields }) => Number(fields[4]))
  assert.deepEqual(seen(), [100, 101], 'the other card does not wait')
  await time.advance(20_000)
  // What is neither yes nor no holds the card up; after a 25 the last one is repeated by itself.
  assert.deepEqual(seen().slice(0, 7), [100, 101, 100, 100, 100, 110, 120])
})

test('a reversal of a told refund waits for it, though nothing else says whose card it is', async () => {
  const { store, issuer, forward, time, simulated } = await createRig({
    answer: ({ mti }) => (mti === '0220' ? '96' : '00'),
  })
  await time.advance(50)
  const sale = attemptAt(issuer, { card: sealedCard })
  const refund: QueuedMessage = {
    ...(await queueReversal(store, issuer)),
    ...issuer.drawTraceNumbers('reversal'),
    ...{ step: 'refund', mti: '0220', cause: 'refund', original: sale },
  }
  const { stan, transmittedAt, rrn } = refund
  const reversal = await queueReversal(store, issuer, {
    step: 'reversal',
    original: { ...sale, mti: '0220', stan, transmittedAt, rrn },
  })
  await store.queue(refund)
  forward.enqueue(refund)
  forward.enqueue(reversal)
  await time.advance(9_000)
  const sent = simulated.received.map(({ mti }) => mti).filter((mti) => !mti.startsWith('08'))
  assert.deepEqual(sent, ['0220', '0221', '0420'])
})

test('what waits for its own request has its place, and others of its card wait behind it', async () => {
  const { store, issuer, forward, time, simulated } = await createRig({ cardKey: () => 'one card' })
  await time.advance(50)
  const [running, next] = [await queueReversal(store, issuer), await queueReversal(store, issuer)]
  forward.reserve(running)
  forward.reserve(running)
  forward.enqueue(next)
  // Found in the store meanwhile, as what others queued is: that does not let it go.
  forward.takeUp(await store.pendingDeliveries())
  await time.advance(issuer.timeoutMs + STORE_AND_FORWARD_LIMITS.besideIssuerMs - 1)
  assert.deepEqual(reversalsOf(simulated.received), [])
  assert.equal(forward.depth('demo-a'), 2)
  forward.enqueue(running)
  await time.advance(1_000)
  const sent = reversalsOf(simulated.received).map(({ fields }) => fields[11])
  assert.deepEqual(sent, [running.stan, next.stan])
  assert.equal(forward.depth('demo-a'), 0)
})

test('what waits for a request that ends without a word leaves when its time is over', async () => {
  const { store, issuer, forward, time, simulated } = await createRig({ cardKey: () => 'one card' })
  await time.advance(50)
  const [running, next] = [await queueReversal(store, issuer), await queueReversal(store, issuer)]
  forward.reserve(running)
  forward.enqueue(next)
  await time.advance(issuer.timeoutMs + STORE_AND_FORWARD_LIMITS.besideIssuerMs + 1_000)
  const sent = () => reversalsOf(simulated.received).map(({ fields }) => fields[11])
  assert.deepEqual(sent(), [running.stan, next.stan])
  // Closed, it keeps no timer for one, and sets none.
  const [early, late] = [await queueReversal(store, issuer), await queueReversal(store, issuer)]
  const { pendingTimers } = time
  forward.reserve(early)
  assert.equal(time.pendingTimers, pendingTimers + 1)
  await forward.close()
  forward.reserve(late)
  assert.equal(time.pendingTimers, pendingTimers)
  forward.enqueue(early)
  await time.advance(60_000)
  assert.equal(sent().length, 2)
})

test('what follows an advice waits until it is acknowledged, a reversal before it until it is heard', async () => {
  const isBack = { now: false }
  const { store, issuer, forward, time, simulated } = await createRig({
    answer: (request) => {
      if (!isBack.now) return null
      return request.mti.startsWith('042') && request.fields[95] === undefined ? '25' : '00'
    },
    cardKey: () => 'one card',
  })
  await time.advance(50)
  const reversal = await queueReversal(store, issuer)
  const advice: QueuedMessage = {
    ...reversal,
    ...issuer.drawTraceNumbers('reversal'),
    step: 'advice',
    mti: '0120',
    responseCode: '00',
  }
  const told = { ...reversal.original, mti: advice.mti, stan: advice.stan, rrn: advice.rrn }
  const after: QueuedMessage = {
    ...reversal,
    ...issuer.drawTraceNumbers('reversal'),
    step: 'reversal',
    original: { ...told, transmittedAt: advice.transmittedAt },
    replacementAmount: 1,
  }
  await store.queue(advice)
  await store.queue(after)
  for (const message of [reversal, advice, after]) forward.enqueue(message)
  await time.advance(9_000)
  const isTold = forward.heard(after.original, 100_000)
  isBack.now = true
  await time.advance(60_000)
  assert.equal(await isTold, true)
  const order = simulated.received.map(({ mti }) => mti).filter((mti) => !mti.startsWith('08'))
  const firsts = order.filter((mti, i) => order.indexOf(mti) === i)
  assert.deepEqual(firsts, ['0420', '0421', '0120'])
  const last = simulated.received.find(({ fields }) => fields[95] !== undefined)
  assert.equal(String(last?.fields[90]).slice(0, 10), `0120${advice.stan}`)
  assert.ok(simulated.received.indexOf(last as IsoMessage) > order.indexOf('0120'))
})

test('25 is heard: who waits for the original goes on, also after a restart', async () => {
  const rig = await createRig({ answer: () => '25' })
  await rig.time.advance(50)
  const message = await queueReversal(rig.store, rig.issuer)
  rig.forward.enqueue(message)
  const early = rig.forward.heard(message.original, 100_000)
  await rig.time.advance(5_000)
  assert.equal((await deliveryOf(rig.store, message)).state, 'queued', 'repeated all the same')
  assert.equal(await early, true)
  const next = await rig.restart()
  const isHeard = next.forward.heard(message.original, 100)
  await rig.time.advance(100)
  assert.equal(await isHeard, true)
})

test('a restart forgets neither a late approval nor a dead letter', async () => {
  let answer = '25'
  const rig = await createRig({ answer: () => answer })
  await rig.time.advance(50)
  const message = await queueReversal(rig.store, rig.issuer)
  rig.forward.enqueue(message)
  const { transactionId, issuer } = message
  const late = { transactionId, issuer, at: 1, responseCode: '00', approved: true }
  await rig.store.recordLateAnswer(late)
  rig.forward.lateApproval(message.original)
  await rig.time.advance(10_000)
  const next = await rig.restart()
  await rig.time.advance(1_000_000)
  assert.equal((await deliveryOf(next.store, message)).state, 'queued', '25 is no last word')
  answer = '12'
  await rig.time.advance(61_000)
  assert.equal(next.forward.deadLetters('demo-a'), 1)
  const last = await rig.restart()
  assert.equal(last.forward.deadLetters('demo-a'), 1)
})

test('an erased card is a dead letter; a card whose key is missing waits for the key', async () => {
  let hasKey = false
  const { store, issuer, forward, time, events } = await createRig({ canUnseal: () => hasKey })
  await time.advance(50)
  const erased = await queueReversal(store, issuer, {}, null)
  forward.enqueue(erased)
  await time.advance(50)
  assert.equal((await deliveryOf(store, erased)).state, 'dead')
  const locked = await queueReversal(store, issuer)
  forward.enqueue(locked)
  await time.advance(10_000)
  assert.equal((await deliveryOf(store, locked)).state, 'queued')
  assert.ok(events.some(({ kind }) => kind === 'card_unreadable'))
  hasKey = true
  await time.advance(70_000)
  assert.equal((await deliveryOf(store, locked)).state, 'acknowledged')
})

test('a reversal for an issuer that is not configured stays queued and is alarmed', async () => {
  const { store, issuer, forward, time, events } = await createRig({ isConfigured: false })
  const message = await queueReversal(store, issuer)
  forward.enqueue(message)
  await time.advance(100_000)
  assert.equal(forward.depth('demo-a'), 1)
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['no_issuer'],
  )
  assert.equal((await deliveryOf(store, message)).state, 'queued')
})

test('after a kill in mid-flight the next process repeats what may have been sent', async () => {
  const rig = await createRig({ answer: (_, earlier) => (earlier === 0 ? null : '00') })
  await rig.time.advance(50)
  const message = await queueReversal(rig.store, rig.issuer)
  rig.forward.enqueue(message)
  await rig.time.advance(100)
  const next = await rig.restart()
  await rig.time.advance(2_000)
  const sent = reversalsOf(rig.simulated.received)
  assert.deepEqual(
    sent.map(({ mti }) => mti),
    ['0420', '0421'],
  )
  assert.deepEqual(sent[0]?.fields, sent[1]?.fields)
  assert.equal((await deliveryOf(next.store, message)).state, 'acknowledged')
})

test('a backlog leaves in queue order, paced, with few in flight and nothing lost beyond memory', async () => {
  const { store, issuer, forward, time, simulated, network } = await createRig({
    limits: { queuedMax: 40, sendsPerSecond: 50, burstMax: 5, inFlightMax: 8 },
  })
  await time.advance(50)
  network.stall(true)
  network.cut()
  await time.advance(10)
  const messages: QueuedMessage[] = []
  for (let i = 0; i < 200; i++) {
    const message = await queueReversal(store, issuer)
    messages.push(message)
    forward.enqueue(message)
  }
  assert.equal(forward.depth('demo-a'), 200)
  network.stall(false)
  await time.advance(10_000)
  const before = reversalsOf(simulated.received).length
  await time.advance(1_000)
  const inOneSecond = reversalsOf(simulated.received).length - before
  await time.advance(60_000)
  assert.ok(inOneSecond <= 56, `${inOneSecond}`)
  assert.deepEqual(
    reversalsOf(simulated.received).map(({ fields }) => fields[11]),
    messages.map(({ stan }) => stan),
  )
  assert.equal(forward.depth('demo-a'), 0)
  assert.deepEqual(await store.pendingDeliveries(), [])
})

test('one that has to be repeated holds up nobody', async () => {
  let stubborn = ''
  const { store, issuer, forward, time, simulated } = await createRig({
    answer: ({ fields }) => (fields[11] === stubborn ? '91' : '00'),
  })
  await time.advance(50)
  const first = await queueReversal(store, issuer)
  stubborn = first.stan
  forward.enqueue(first)
  for (let i = 0; i < 20; i++) forward.enqueue(await queueReversal(store, issuer))
  await time.advance(300)
  assert.equal(forward.depth('demo-a'), 1)
  assert.equal(reversalsOf(simulated.received).length, 21)
})

test('a failing store halts the lanes: nothing is sent that it can’t remember', async () => {
  const { store, issuer, forward, time, simulated, events, disk } = await createRig()
  await time.advance(50)
  const message = await queueReversal(store, issuer)
  disk.failWith('EIO', 'sync')
  forward.enqueue(message)
  await time.advance(100_000)
  assert.equal(reversalsOf(simulated.received).length, 0)
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['halted'],
  )
  await forward.close()
})

test('close waits for what is in flight, and leaves no timer', async () => {
  const { store, issuer, forward, time } = await createRig()
  await time.advance(50)
  const message = await queueReversal(store, issuer)
  forward.enqueue(message)
  await settle()
  await Promise.all([forward.close(), time.advance(50)])
  assert.equal((await deliveryOf(store, message)).state, 'acknowledged')
  forward.enqueue(await queueReversal(store, issuer))
  await Promise.all([issuer.close(), time.advance(1_000)])
  await store.close()
  await time.advance(60_000)
  assert.equal(time.pendingTimers, 0)
})

test('a lane that wants more in flight than a link keeps room for is refused', async () => {
  await assert.rejects(createRig({ limits: { inFlightMax: 65 } }), RangeError)
})

// Whatever the network does and however often the process is killed: every queued reversal is
// acknowledged in the end, with the numbers that it was queued with, and none is sent as 0420
// twice.
test('every reversal gets through cuts, silence and kills', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 - 1 }), async (seed) => {
      const random = createSeededRandom(seed)
      let isCalm = false
      const rig = await createRig({
        seed,
        answer: () => {
          if (isCalm || random.chance(0.4)) return random.chance(0.5) ? '00' : '21'
          return [null, '91', '96', '25'][random.below(4)] as string | null
        },
      })
      const { time, network } = rig
      let current: { store: TransactionStore; issuer: Issuer; forward: typeof rig.forward } = rig
      const messages: QueuedMessage[] = []
      await time.advance(500)
      for (let round = 0; round < 25; round++) {
        if (random.chance(0.6)) {
          const message = await queueReversal(current.store, current.issuer, {
            queuedAtMs: time.clock.now(),
          })
          messages.push(message)
          current.forward.enqueue(message)
        }
        if (random.chance(0.15)) network.cut()
        if (random.chance(0.1)) current = await rig.restart()
        await time.advance(random.below(4_000))
      }
      isCalm = true
      await time.advance(200_000)
      assert.deepEqual(await current.store.pendingDeliveries(), [])
      const sent = reversalsOf(rig.simulated.received)
      for (const message of messages) {
        const own = sent.filter(
          ({ fields }) =>
            fields[90]?.toString().slice(4, 20) ===
            message.original.stan + message.original.transmittedAt,
        )
        assert.ok(own.length > 0)
        assert.ok(own.filter(({ mti }) => mti === '0420').length <= 1)
        for (const { fields } of own) {
          assert.deepEqual(
            [fields[7], fields[11], fields[37]],
            [message.transmittedAt, message.stan, message.rrn],
          )
        }
      }
    }),
    { numRuns: 12 },
  )
})
