// What every transaction store must keep, whatever it is made of. An adapter's test calls
// `testTransactionStore` with a way to open it.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Decision } from '#scoring'
import {
  type Attempt,
  type Intent,
  type Label,
  type Outcome,
  type QueuedMessage,
  type StandInMove,
  StoreFault,
  type TransactionStore,
} from './transaction-store.ts'

/** A store under test, with the world around it. */
export interface StoreWorld {
  readonly store: TransactionStore
  /** Moves the store's clock. */
  advance(durationMs: number): void
  /** Closes the store and opens it again, as the next process would. */
  reopen(): Promise<TransactionStore>
  /** Ends the world and removes what it left. */
  end(): Promise<void>
}

/** Keys of recorded transactions are found for this long in a store under test. */
export const TEST_KEY_RETENTION_MS = 86_400_000

/** The store's clock at the start of a test. */
export const TEST_START_MS = Date.UTC(2026, 10, 22, 10)

export function sampleAttempt(changes: Partial<Attempt> = {}): Attempt {
  return {
    issuer: 'demo-a',
    mti: '0100',
    processingCode: '000000',
    stan: '000001',
    transmittedAt: '1122100000',
    rrn: '632610000001',
    acquiringInstitution: '00000000001',
    amount: 2599,
    currencyNumeric: '978',
    terminalId: 'T-0001',
    merchantId: 'M-1001',
    merchantNameLocation: 'Corner Shop',
    mcc: '5411',
    entryMode: '071',
    card: { keyId: 1, iv: new Uint8Array(12).fill(7), sealed: new Uint8Array(40).fill(9) },
    ...changes,
  }
}

/** What an attempt of a pre-authorization says besides, and older records don't. */
export const SAMPLE_HOLD = {
  conditionCode: '08',
  isPreauthorization: true,
  initialReference: 'MCC0000011122',
} as const

export function sampleIntent(id: string, changes: Partial<Intent> = {}): Intent {
  return {
    id,
    kind: 'financial',
    acquirer: 'demo',
    idempotencyKey: `key of ${id}`,
    fingerprint: new Uint8Array(32).fill(5),
    createdAtMs: TEST_START_MS,
    rrn: '632610000123',
    cardToken: 'tok_1',
    request: {
      amount: 2599,
      currency: 'EUR',
      merchant: { id: 'M-1001', name: 'Café 角', latitude: 48.137 },
      device: {},
    },
    attempt: sampleAttempt(),
    ...changes,
  }
}

export function sampleDecision(): Decision {
  return {
    outcome: 'review',
    score: 0.0123,
    band: 'low',
    reasons: ['velocity_device'],
    disclosedReasons: [],
    hits: [],
    degraded: ['velocity'],
    ruleSet: 'abc',
    model: null,
    features: new Float32Array([1.5, Number.NaN, -0.25]),
    aggregates: new Float64Array([Number.NaN, 2 ** 53, 0.1]),
    unknownRules: [],
    saturated: [],
    stepMicros: { velocity: 12.5, features: 1, model: 24, rules: 0.5 },
  }
}

export function sampleReversal(id: string, changes: Partial<QueuedMessage> = {}): QueuedMessage {
  return {
    transactionId: id,
    step: 'authorization',
    issuer: 'demo-a',
    mti: '0420',
    stan: '000002',
    transmittedAt: '1122100001',
    rrn: '632610000002',
    original: sampleAttempt(),
    cause: 'timeout',
    queuedAtMs: TEST_START_MS + 1,
    ...changes,
  }
}

export function sampleOutcome(id: string, changes: Partial<Outcome> = {}): Outcome {
  return {
    id,
    recordedAtMs: TEST_START_MS + 5,
    outcome: 'approved',
    responseCode: '00',
    cause: 'issuer',
    issuerResponseCode: '00',
    answer: { id, outcome: 'approved', amount: 2599 },
    decision: sampleDecision(),
    reversal: null,
    ...changes,
  }
}

/** Declares the suite. `open` makes an empty store. */
export function testTransactionStore(name: string, open: () => Promise<StoreWorld>): void {
  const inWorld = (title: string, test: (world: StoreWorld) => Promise<void>) =>
    it(title, async () => {
      const world = await open()
      try {
        await test(world)
      } finally {
        await world.end()
      }
    })
  describe(`transaction store: ${name}`, () => {
    testClaims(inWorld)
    testOutcomes(inWorld)
    testDeliveries(inWorld)
    testStandIn(inWorld)
    testSteps(inWorld)
    testLabels(inWorld)
    testLookups(inWorld)
    testEnds(inWorld)
  })
}

/** What is found in a store must also be found after a restart. */
async function nowAndLater(
  store: TransactionStore,
  reopen: () => Promise<TransactionStore>,
  check: (opened: TransactionStore) => Promise<void>,
): Promise<void> {
  await check(store)
  await check(await reopen())
}

type InWorld = (title: string, test: (world: StoreWorld) => Promise<void>) => void

function testClaims(inWorld: InWorld): void {
  inWorld('a claim is read back whole, also after a restart', async ({ store, reopen }) => {
    const intent = sampleIntent('auth_1')
    assert.deepEqual(await store.claim(intent), { kind: 'claimed' })
    const { ownership } = store
    await nowAndLater(store, reopen, async (opened) => {
      assert.deepEqual(await opened.read('auth_1'), {
        intent,
        ownership,
        attempts: [intent.attempt],
        notSent: false,
        outcome: null,
        deliveries: [],
        lateAnswers: [],
        steps: [],
        labels: [],
      })
    })
  })

  inWorld('two claims of one key in one tick: the second gets the first', async ({ store }) => {
    const first = store.claim(sampleIntent('auth_1', { idempotencyKey: 'k' }))
    const second = store.claim(sampleIntent('auth_2', { idempotencyKey: 'k' }))
    assert.deepEqual(await first, { kind: 'claimed' })
    assert.deepEqual(await second, {
      kind: 'existing',
      entry: {
        transactionId: 'auth_1',
        fingerprint: new Uint8Array(32).fill(5),
        state: 'open',
      },
    })
    assert.equal(await store.read('auth_2'), undefined)
  })

  inWorld('the same key of another acquirer is another key', async ({ store }) => {
    await store.claim(sampleIntent('auth_1', { idempotencyKey: 'k' }))
    const other = sampleIntent('auth_2', { idempotencyKey: 'k', acquirer: 'other' })
    assert.deepEqual(await store.claim(other), { kind: 'claimed' })
    assert.equal(store.findKey('other', 'k')?.transactionId, 'auth_2')
    assert.equal(store.findKey('demo', 'other'), undefined)
  })

  inWorld('a key is found until its retention ends, and longer while open', async (world) => {
    await world.store.claim(sampleIntent('auth_1', { idempotencyKey: 'done' }))
    await world.store.claim(sampleIntent('auth_2', { idempotencyKey: 'open' }))
    await world.store.record(sampleOutcome('auth_1'))
    const reopened = await world.reopen()
    world.advance(TEST_KEY_RETENTION_MS)
    assert.equal((await reopened.lookUpKey('demo', 'done'))?.state, 'recorded')
    world.advance(1)
    assert.equal(await reopened.lookUpKey('demo', 'done'), undefined)
    assert.equal((await reopened.lookUpKey('demo', 'open'))?.state, 'open')
    const again = sampleIntent('auth_3', { idempotencyKey: 'done', createdAtMs: TEST_START_MS * 2 })
    assert.deepEqual(await reopened.claim(again), { kind: 'claimed' })
    assert.equal(reopened.findKey('demo', 'done')?.transactionId, 'auth_3')
  })

  inWorld('keys are found by how they begin, in memory and after a restart', async (world) => {
    const { store } = world
    const keys = [
      'iso 010 000123 1122100000 T ',
      'iso 010 000123 1122100000 T 1',
      'iso 010 000123 1122100000 U',
      `iso 010 000123 1122100000 T ${'x'.repeat(17)}`,
    ]
    for (const [i, idempotencyKey] of keys.entries()) {
      await store.claim(sampleIntent(`auth_${i}`, { idempotencyKey }))
      await store.record(sampleOutcome(`auth_${i}`))
    }
    const check = async (opened: TransactionStore) => {
      const idsOf = async (acquirer: string, prefix: string) =>
        (await opened.lookUpKeys(acquirer, prefix, 5)).map((one) => one.transactionId).sort()
      assert.deepEqual(await idsOf('demo', 'iso 010 000123 1122100000 T '), ['auth_0', 'auth_1'])
      assert.deepEqual(await idsOf('demo', 'iso 010 000123 1122100000 V'), [])
      assert.deepEqual(await idsOf('other', 'iso 010 000123 1122100000 T '), [])
    }
    await check(store)
    await check(await world.reopen())
  })

  inWorld('attempts are kept in order; not sent is said of the last', async ({ store, reopen }) => {
    const second = sampleAttempt({ issuer: 'demo-b', stan: '000777', ...SAMPLE_HOLD })
    await store.claim(sampleIntent('auth_1'))
    await store.markNotSent('auth_1')
    assert.equal((await store.read('auth_1'))?.notSent, true)
    await store.addAttempt('auth_1', second)
    assert.equal((await store.read('auth_1'))?.notSent, false)
    const reopened = await reopen()
    const read = await reopened.read('auth_1')
    assert.deepEqual(read?.attempts, [sampleAttempt(), second])
    assert.equal(read?.notSent, false)
    await reopened.markNotSent('auth_1')
    assert.equal((await reopened.read('auth_1'))?.notSent, true)
  })

  inWorld('each open has its own, higher lease epoch', async ({ store, reopen }) => {
    await store.claim(sampleIntent('auth_1'))
    const before = store.ownership.leaseEpoch
    const reopened = await reopen()
    assert.ok(reopened.ownership.leaseEpoch > before)
    await reopened.claim(sampleIntent('auth_2'))
    const epochs = (await reopened.openTransactions()).map((one) => one.ownership.leaseEpoch)
    assert.deepEqual(epochs, [before, reopened.ownership.leaseEpoch])
  })
}

function testOutcomes(inWorld: InWorld): void {
  inWorld('an outcome keeps its decision, typed arrays and all', async ({ store, reopen }) => {
    const outcome = sampleOutcome('auth_1')
    await store.claim(sampleIntent('auth_1'))
    assert.deepEqual(await store.record(outcome), outcome)
    await nowAndLater(store, reopen, async (opened) => {
      const read = await opened.read('auth_1')
      assert.deepEqual(read?.outcome, outcome)
      assert.ok(read?.outcome?.decision?.features instanceof Float32Array)
      assert.equal((await opened.lookUpKey('demo', 'key of auth_1'))?.state, 'recorded')
    })
  })

  inWorld('the first outcome wins, in one tick and later', async ({ store, reopen }) => {
    const declined = sampleOutcome('auth_1', {
      outcome: 'declined',
      responseCode: '91',
      reversal: sampleReversal('auth_1'),
    })
    await store.claim(sampleIntent('auth_1'))
    const [first, second] = await Promise.all([
      store.record(sampleOutcome('auth_1')),
      store.record(declined),
    ])
    assert.equal(first.outcome, 'approved')
    assert.deepEqual(second, first)
    const reopened = await reopen()
    assert.deepEqual(await reopened.record(declined), first)
    assert.deepEqual(await reopened.pendingDeliveries(), [])
  })

  inWorld('nobody reads an outcome before it is durable', async ({ store }) => {
    await store.claim(sampleIntent('auth_1'))
    const recording = store.record(sampleOutcome('auth_1'))
    assert.equal(store.findKey('demo', 'key of auth_1')?.state, 'open')
    assert.equal(store.status.openClaims, 1)
    await recording
    assert.equal(store.status.openClaims, 0)
    assert.equal(store.findKey('demo', 'key of auth_1')?.state, 'recorded')
  })

  inWorld('late answers are recorded and change nothing', async ({ store, reopen }) => {
    const answer = {
      transactionId: 'auth_1',
      at: TEST_START_MS + 9000,
      issuer: 'demo-a',
      responseCode: '00',
      approved: true,
    }
    await store.claim(sampleIntent('auth_1'))
    await store.record(sampleOutcome('auth_1', { outcome: 'declined' }))
    await store.recordLateAnswer(answer)
    const read = await (await reopen()).read('auth_1')
    assert.deepEqual(read?.lateAnswers, [answer])
    assert.equal(read?.outcome?.outcome, 'declined')
  })

  inWorld('what was never claimed, or is decided, is a bug', async ({ store }) => {
    await assert.rejects(store.record(sampleOutcome('auth_9')))
    await assert.rejects(store.addAttempt('auth_9', sampleAttempt()))
    await store.claim(sampleIntent('auth_1'))
    await store.record(sampleOutcome('auth_1'))
    assert.equal(await store.addAttempt('auth_1', sampleAttempt()), false)
    await store.markNotSent('auth_1')
    assert.equal((await store.read('auth_1'))?.notSent, false)
    await assert.rejects(store.updateDelivery('auth_1', 'authorization', ACKNOWLEDGED))
    assert.equal(store.status.writable, true)
  })
}

const ACKNOWLEDGED = { state: 'acknowledged', sends: 2, lastResponseCode: '00' } as const

function testDeliveries(inWorld: InWorld): void {
  inWorld('a reversal is queued with its outcome', async ({ store, reopen }) => {
    const attempt = sampleAttempt(SAMPLE_HOLD)
    const reversal = sampleReversal('auth_1', { original: attempt })
    await store.claim(sampleIntent('auth_1', { attempt }))
    await store.record(sampleOutcome('auth_1', { outcome: 'declined', reversal }))
    const pending = [{ message: reversal, state: 'queued', sends: 0, lastResponseCode: null }]
    await nowAndLater(store, reopen, async (opened) => {
      assert.deepEqual(await opened.pendingDeliveries(), pending)
      assert.deepEqual((await opened.read('auth_1'))?.deliveries, pending)
      assert.equal(opened.status.queuedDeliveries, 1)
    })
  })

  inWorld('one entry by transaction and step, whoever queues it', async ({ store }) => {
    const reversal = sampleReversal('auth_1')
    await store.claim(sampleIntent('auth_1'))
    const [first, second] = await Promise.all([store.queue(reversal), store.queue(reversal)])
    assert.deepEqual([first, second], [true, false])
    const other = sampleReversal('auth_1', { stan: '000999', cause: 'recovery' })
    const recorded = await store.record(
      sampleOutcome('auth_1', { outcome: 'declined', reversal: other }),
    )
    assert.equal(recorded.reversal, null)
    assert.deepEqual(
      (await store.pendingDeliveries()).map(({ message }) => message.stan),
      ['000002'],
    )
  })

  inWorld('deliveries go on, oldest first, until acknowledged or dead', async (world) => {
    const { store } = world
    for (const id of ['auth_1', 'auth_2', 'auth_3']) {
      await store.claim(sampleIntent(id))
      await store.record(sampleOutcome(id, { outcome: 'declined', reversal: sampleReversal(id) }))
    }
    const sent = { state: 'queued', sends: 1, lastResponseCode: '96' } as const
    await store.updateDelivery('auth_1', 'authorization', sent)
    await store.updateDelivery('auth_2', 'authorization', ACKNOWLEDGED)
    const reopened = await world.reopen()
    const pending = await reopened.pendingDeliveries()
    assert.deepEqual(
      pending.map(({ message, sends }) => [message.transactionId, sends]),
      [
        ['auth_1', 1],
        ['auth_3', 0],
      ],
    )
    await reopened.updateDelivery('auth_1', 'authorization', { ...sent, state: 'dead' })
    await reopened.updateDelivery('auth_3', 'authorization', ACKNOWLEDGED)
    assert.deepEqual(await reopened.pendingDeliveries(), [])
    assert.equal((await reopened.read('auth_1'))?.deliveries[0]?.state, 'dead')
    await assert.rejects(reopened.updateDelivery('auth_3', 'authorization', sent))
  })

  inWorld('dead letters are counted by issuer, until queued again', async ({ store, reopen }) => {
    const dead = { state: 'dead', sends: 1, lastResponseCode: '12' } as const
    for (const id of ['auth_1', 'auth_2', 'auth_3']) {
      await store.claim(sampleIntent(id))
      const issuer = id === 'auth_3' ? 'demo-b' : 'demo-a'
      const reversal = sampleReversal(id, { issuer })
      await store.record(sampleOutcome(id, { outcome: 'declined', reversal }))
      await store.updateDelivery(id, 'authorization', dead)
    }
    await nowAndLater(store, reopen, async (opened) => {
      const counts = [...(await opened.deadLetters())].sort()
      assert.deepEqual(counts, [
        ['demo-a', 2],
        ['demo-b', 1],
      ])
    })
    const last = await reopen()
    await last.updateDelivery('auth_3', 'authorization', { ...dead, state: 'queued' })
    assert.deepEqual([...(await last.deadLetters())], [['demo-a', 2]])
    assert.deepEqual([...(await (await reopen()).deadLetters())], [['demo-a', 2]])
  })

  inWorld('late approvals of what is pending are found again', async ({ store, reopen }) => {
    const late = (transactionId: string, approved: boolean) => ({
      transactionId,
      at: TEST_START_MS + 9000,
      issuer: 'demo-a',
      responseCode: approved ? '00' : '05',
      approved,
    })
    for (const id of ['auth_1', 'auth_2', 'auth_3']) {
      await store.claim(sampleIntent(id))
      await store.record(sampleOutcome(id, { outcome: 'declined', reversal: sampleReversal(id) }))
      await store.recordLateAnswer(late(id, id !== 'auth_2'))
    }
    await store.updateDelivery('auth_3', 'authorization', ACKNOWLEDGED)
    await nowAndLater(store, reopen, async (opened) => {
      assert.deepEqual(await opened.pendingLateApprovals(), [late('auth_1', true)])
    })
  })
}

const WINDOW_MS = 86_400_000
/** The end of the window that the store's clock starts in. */
const WINDOW_END_MS = Math.ceil(TEST_START_MS / WINDOW_MS) * WINDOW_MS

export function sampleMove(changes: Partial<StandInMove> = {}): StandInMove {
  return {
    counter: 'demo-a card tok_1',
    windowEndMs: WINDOW_END_MS,
    amount: 2599,
    countMax: 2,
    sumMax: 10_000,
    ...changes,
  }
}

/** An approval in the issuer's place: the reversal of what may have left, then the advice. */
export function sampleStandIn(id: string, moves: readonly StandInMove[] = [sampleMove()]): Outcome {
  return sampleOutcome(id, {
    cause: 'stand_in',
    issuerResponseCode: null,
    reversal: sampleReversal(id),
    advice: sampleReversal(id, {
      step: 'advice',
      mti: '0120',
      stan: '000003',
      cause: 'stand_in',
      approvalCode: 'S1T2N3',
      responseCode: '00',
      reasonCode: '1002',
    }),
    standIn: moves,
  })
}

async function standInFor(
  store: TransactionStore,
  id: string,
  moves?: readonly StandInMove[],
): Promise<Outcome | 'over_limit'> {
  await store.claim(sampleIntent(id))
  return store.recordStandIn(sampleStandIn(id, moves))
}

function testStandIn(inWorld: InWorld): void {
  inWorld('reversal and advice are queued in their order', async ({ store, reopen }) => {
    const outcome = sampleStandIn('auth_1')
    assert.deepEqual(await standInFor(store, 'auth_1'), outcome)
    await nowAndLater(store, reopen, async (opened) => {
      const pending = await opened.pendingDeliveries()
      assert.deepEqual(
        pending.map(({ message }) => message),
        [outcome.reversal, outcome.advice],
      )
      assert.deepEqual((await opened.read('auth_1'))?.outcome, outcome)
      assert.deepEqual((await opened.read('auth_1'))?.deliveries, pending)
      assert.equal(opened.lastStan('demo-a'), '000003')
    })
    const last = await reopen()
    await last.updateDelivery('auth_1', 'authorization', ACKNOWLEDGED)
    const [advice, ...others] = await last.pendingDeliveries()
    assert.deepEqual([advice?.message, others], [outcome.advice, []])
  })

  inWorld('a counter stops at its count and at its sum, and survives', async (world) => {
    assert.notEqual(await standInFor(world.store, 'auth_1'), 'over_limit')
    const reopened = await world.reopen()
    const tooMuch = [sampleMove({ sumMax: 2 * 2599 - 1 })]
    assert.equal(await standInFor(reopened, 'auth_2', tooMuch), 'over_limit')
    assert.notEqual(await standInFor(reopened, 'auth_3'), 'over_limit')
    const last = await world.reopen()
    assert.equal(await standInFor(last, 'auth_4'), 'over_limit')
    const other = [sampleMove({ counter: 'demo-a card tok_2' })]
    assert.notEqual(await standInFor(last, 'auth_5', other), 'over_limit')
  })

  inWorld('one move over its limit leaves all alone, and the claim open', async ({ store }) => {
    const card = sampleMove({ countMax: 1 })
    const isFull = [card, sampleMove({ counter: 'demo-a bin 476173', countMax: 0 })]
    assert.equal(await standInFor(store, 'auth_1', isFull), 'over_limit')
    assert.equal((await store.read('auth_1'))?.outcome, null)
    assert.deepEqual(await store.pendingDeliveries(), [])
    assert.notEqual(await standInFor(store, 'auth_2', [card]), 'over_limit')
    const declined = sampleOutcome('auth_1', { outcome: 'declined' })
    assert.deepEqual(await store.record(declined), declined)
  })

  inWorld('of many in one tick only as many pass as fit', async ({ store, reopen }) => {
    const ids = ['auth_1', 'auth_2', 'auth_3', 'auth_4', 'auth_5']
    await Promise.all(ids.map((id) => store.claim(sampleIntent(id))))
    const results = await Promise.all(ids.map((id) => store.recordStandIn(sampleStandIn(id))))
    assert.equal(results.filter((result) => result !== 'over_limit').length, 2)
    assert.equal(await standInFor(await reopen(), 'auth_6'), 'over_limit')
  })

  inWorld('an outcome that came second moves nothing', async ({ store }) => {
    await store.claim(sampleIntent('auth_1'))
    const declined = sampleOutcome('auth_1', { outcome: 'declined' })
    const [first, second] = await Promise.all([
      store.record(declined),
      store.recordStandIn(sampleStandIn('auth_1')),
    ])
    assert.deepEqual([first, second], [declined, declined])
    assert.notEqual(await standInFor(store, 'auth_2'), 'over_limit')
    assert.notEqual(await standInFor(store, 'auth_3'), 'over_limit')
    assert.equal(await standInFor(store, 'auth_4'), 'over_limit')
  })

  inWorld('a new window begins at zero', async (world) => {
    const move = sampleMove({ countMax: 1 })
    assert.notEqual(await standInFor(world.store, 'auth_1', [move]), 'over_limit')
    assert.equal(await standInFor(world.store, 'auth_2', [move]), 'over_limit')
    world.advance(WINDOW_MS)
    const next = { ...move, windowEndMs: WINDOW_END_MS + WINDOW_MS }
    assert.notEqual(await standInFor(world.store, 'auth_3', [next]), 'over_limit')
    assert.equal(await standInFor(await world.reopen(), 'auth_4', [next]), 'over_limit')
  })
}

/** A step of `auth_1`. */
export function sampleStep(id: string, version: number, changes: Partial<Intent> = {}): Intent {
  const payment = { paymentId: 'auth_1', version }
  return sampleIntent(id, { kind: 'capture', attempt: null, payment, ...changes })
}

/** A capture advice of `auth_1`, as an accepted capture queues it. */
export function sampleAdvice(id: string): QueuedMessage {
  return sampleReversal(id, {
    step: 'capture',
    mti: '0220',
    cause: 'capture',
    amount: 1000,
    approvalCode: 'A1B2C3',
  })
}

function acceptedOutcome(id: string): Outcome {
  return sampleOutcome(id, { cause: 'accepted', decision: null, advice: sampleAdvice(id) })
}

function testSteps(inWorld: InWorld): void {
  inWorld('a step is accepted whole: claim, outcome and advice', async ({ store, reopen }) => {
    await store.claim(sampleIntent('auth_1'))
    await store.record(sampleOutcome('auth_1'))
    const intent = sampleStep('cap_1', 1)
    const outcome = acceptedOutcome('cap_1')
    assert.deepEqual(await store.accept(intent, outcome), { kind: 'claimed' })
    await nowAndLater(store, reopen, async (opened) => {
      const read = await opened.read('cap_1')
      assert.deepEqual([read?.intent, read?.outcome], [intent, outcome])
      assert.deepEqual((await opened.read('auth_1'))?.steps, ['cap_1'])
      assert.equal((await opened.lookUpKey('demo', 'key of cap_1'))?.state, 'recorded')
      assert.deepEqual(
        (await opened.pendingDeliveries()).map(({ message }) => message),
        [sampleAdvice('cap_1')],
      )
      assert.deepEqual(await opened.openTransactions(), [])
    })
  })

  inWorld('one step at a time: of two in one tick, one is stale', async ({ store, reopen }) => {
    await store.claim(sampleIntent('auth_1'))
    assert.deepEqual(await store.accept(sampleStep('cap_1', 1), acceptedOutcome('cap_1')), STALE)
    await store.record(sampleOutcome('auth_1'))
    const [first, second] = await Promise.all([
      store.accept(sampleStep('cap_1', 1), acceptedOutcome('cap_1')),
      store.accept(sampleStep('cap_2', 1), acceptedOutcome('cap_2')),
    ])
    assert.deepEqual([first, second], [{ kind: 'claimed' }, STALE])
    assert.deepEqual((await store.read('auth_1'))?.steps, ['cap_1'])
    assert.equal(await store.read('cap_2'), undefined)
    const reopened = await reopen()
    assert.deepEqual(await reopened.accept(sampleStep('cap_2', 1), acceptedOutcome('cap_2')), STALE)
    assert.deepEqual(await reopened.accept(sampleStep('cap_2', 2), acceptedOutcome('cap_2')), {
      kind: 'claimed',
    })
  })

  inWorld('no step begins while another is open', async ({ store, reopen }) => {
    await store.claim(sampleIntent('auth_1'))
    await store.record(sampleOutcome('auth_1'))
    const refund = sampleStep('ref_1', 1, { kind: 'refund', attempt: sampleAttempt() })
    await store.claim(refund)
    await nowAndLater(store, reopen, async (opened) => {
      assert.deepEqual(await opened.accept(sampleStep('cap_1', 2), acceptedOutcome('cap_1')), STALE)
      assert.deepEqual(
        (await opened.openTransactions()).map(({ intent }) => intent),
        [refund],
      )
    })
    const last = await reopen()
    await last.record(sampleOutcome('ref_1'))
    assert.deepEqual(await last.accept(sampleStep('cap_1', 2), acceptedOutcome('cap_1')), {
      kind: 'claimed',
    })
    assert.deepEqual((await last.read('auth_1'))?.steps, ['ref_1', 'cap_1'])
  })

  inWorld('a step’s key is taken as any other, and takes no version', async ({ store }) => {
    await store.claim(sampleIntent('auth_1', { idempotencyKey: 'k' }))
    await store.record(sampleOutcome('auth_1'))
    const same = sampleStep('cap_1', 1, { idempotencyKey: 'k' })
    assert.equal((await store.accept(same, acceptedOutcome('cap_1'))).kind, 'existing')
    assert.equal(
      (await store.accept(sampleStep('cap_2', 1), acceptedOutcome('cap_2'))).kind,
      'claimed',
    )
  })

  inWorld('an RRN finds authorizations, and they name their steps', async ({ store, reopen }) => {
    await store.claim(sampleIntent('auth_1'))
    await store.record(sampleOutcome('auth_1'))
    await store.accept(sampleStep('cap_1', 1), acceptedOutcome('cap_1'))
    await nowAndLater(store, reopen, async (opened) => {
      const found = await opened.findByRrn('demo', '632610000123', 5)
      assert.deepEqual(
        found.map(({ intent, steps }) => [intent.id, steps]),
        [['auth_1', ['cap_1']]],
      )
    })
  })
}

const STALE = { kind: 'stale' } as const

function sampleLabel(id: string, changes: Partial<Label> = {}): Label {
  const [knownAtMs, recordedAtMs] = [TEST_START_MS + 1_000, TEST_START_MS + 2_000]
  return { transactionId: id, kind: 'chargeback', knownAtMs, recordedAtMs, ...changes }
}

function testLabels(inWorld: InWorld): void {
  inWorld('labels are read back in their order, also after a restart', async (world) => {
    const { store, reopen } = world
    await store.claim(sampleIntent('auth_1'))
    await store.record(sampleOutcome('auth_1'))
    const first = sampleLabel('auth_1')
    const second = sampleLabel('auth_1', { kind: 'genuine', knownAtMs: first.knownAtMs - 500 })
    assert.equal(await store.recordLabel(first), 'recorded')
    assert.equal(await store.recordLabel(second), 'recorded')
    await nowAndLater(store, reopen, async (opened) => {
      assert.deepEqual((await opened.read('auth_1'))?.labels, [first, second])
    })
  })

  inWorld('a label that comes again is known, also after a restart', async ({ store, reopen }) => {
    await store.claim(sampleIntent('auth_1'))
    const label = sampleLabel('auth_1')
    const again = { ...label, recordedAtMs: label.recordedAtMs + 5_000 }
    const both = [store.recordLabel(label), store.recordLabel(again)]
    assert.deepEqual(await Promise.all(both), ['recorded', 'known'])
    await nowAndLater(store, reopen, async (opened) => {
      assert.equal(await opened.recordLabel(again), 'known')
      assert.deepEqual((await opened.read('auth_1'))?.labels, [label])
    })
  })

  inWorld('a label of no transaction is answered, and nothing is stored', async ({ store }) => {
    assert.equal(await store.recordLabel(sampleLabel('auth_9')), 'unknown')
    assert.equal(await store.read('auth_9'), undefined)
  })

  inWorld('a transaction has so many labels and no more', async ({ store }) => {
    await store.claim(sampleIntent('auth_1'))
    const results = new Set<string>()
    let count = 0
    for (; !results.has('too_many'); count++) {
      assert.ok(count < 1_000)
      results.add(await store.recordLabel(sampleLabel('auth_1', { knownAtMs: count })))
    }
    assert.deepEqual([...results], ['recorded', 'too_many'])
    assert.equal((await store.read('auth_1'))?.labels.length, count - 1)
    assert.equal(await store.recordLabel(sampleLabel('auth_1', { knownAtMs: 0 })), 'known')
  })
}

function testLookups(inWorld: InWorld): void {
  inWorld('open transactions are listed oldest first', async ({ store, reopen }) => {
    for (const id of ['auth_3', 'auth_1', 'auth_2']) await store.claim(sampleIntent(id))
    await store.record(sampleOutcome('auth_1'))
    await nowAndLater(store, reopen, async (opened) => {
      const ids = (await opened.openTransactions()).map(({ intent }) => intent.id)
      assert.deepEqual(ids, ['auth_3', 'auth_2'])
    })
  })

  inWorld('an RRN finds its acquirer’s transactions, newest first', async ({ store, reopen }) => {
    for (const id of ['auth_1', 'auth_2', 'auth_3']) await store.claim(sampleIntent(id))
    await store.claim(sampleIntent('auth_4', { acquirer: 'other' }))
    await store.claim(sampleIntent('auth_5', { rrn: '63261000012' }))
    await nowAndLater(store, reopen, async (opened) => {
      const found = await opened.findByRrn('demo', '632610000123', 2)
      assert.deepEqual(
        found.map(({ intent }) => intent.id),
        ['auth_3', 'auth_2'],
      )
      assert.deepEqual(await opened.findByRrn('demo', '3', 2), [])
    })
  })

  inWorld('a token finds its newest sealed card', async ({ store, reopen }) => {
    const card = { keyId: 2, iv: new Uint8Array(12), sealed: new Uint8Array([1, 2, 3]) }
    const told = sampleIntent('adv_1', {
      kind: 'advice',
      cardToken: 'tok_3',
      attempt: sampleAttempt({ card, stan: '000051' }),
    })
    await store.accept(told, sampleOutcome('adv_1', { cause: 'accepted', decision: null }))
    await store.claim(sampleIntent('auth_1'))
    await store.claim(sampleIntent('auth_2', { attempt: sampleAttempt({ card }) }))
    await store.claim(sampleIntent('auth_3', { attempt: null }))
    await nowAndLater(store, reopen, async (opened) => {
      assert.deepEqual(await opened.findCard('demo', 'tok_1'), card)
      assert.equal(await opened.findCard('demo', 'tok_2'), undefined)
      assert.deepEqual(await opened.findCard('demo', 'tok_3'), card)
      assert.deepEqual((await opened.read('adv_1'))?.attempts, [told.attempt])
      assert.equal(await opened.findCard('other', 'tok_1'), undefined)
    })
  })

  inWorld('the last STAN of each issuer survives, through its wrap', async ({ store, reopen }) => {
    assert.equal(store.lastStan('demo-a'), '000000')
    await store.claim(sampleIntent('auth_1', { attempt: sampleAttempt({ stan: '999998' }) }))
    await store.claim(sampleIntent('auth_2', { attempt: sampleAttempt({ stan: '000001' }) }))
    await store.claim(sampleIntent('auth_3', { attempt: sampleAttempt({ stan: '999999' }) }))
    await store.addAttempt('auth_3', sampleAttempt({ issuer: 'demo-b', stan: '000041' }))
    const reversal = sampleReversal('auth_3', { issuer: 'demo-b', stan: '000042' })
    await store.record(sampleOutcome('auth_3', { outcome: 'declined', reversal }))
    await nowAndLater(store, reopen, async (opened) => {
      assert.equal(opened.lastStan('demo-a'), '000001')
      assert.equal(opened.lastStan('demo-b'), '000042')
    })
  })
}

function testEnds(inWorld: InWorld): void {
  inWorld('close makes what was written durable and ends writing', async ({ store, reopen }) => {
    const claims = ['auth_1', 'auth_2'].map((id) => store.claim(sampleIntent(id)))
    const reopened = await reopen()
    assert.deepEqual(await Promise.all(claims), [{ kind: 'claimed' }, { kind: 'claimed' }])
    assert.equal(store.status.writable, false)
    await assert.rejects(store.claim(sampleIntent('auth_3')), StoreFault)
    assert.equal((await reopened.openTransactions()).length, 2)
    assert.equal(await reopened.read('auth_3'), undefined)
  })
}
