// Steps of a payment on simulated disk and network: production's stories, store, links and
// store-and-forward. The risk decision is given.

import assert from 'node:assert/strict'
import test from 'node:test'
import { simulatedParts, withIssuerTimeout } from '../adapters/simulated-parts.ts'
import { systemClock, systemTimers } from '../adapters/system-clock.ts'
import { authorize } from '../authorize.ts'
import { capture } from '../capture.ts'
import { CardVault, newKeyFile, parseKeyFile } from '../card-data/index.ts'
import { InFlight } from '../in-flight.ts'
import { increment } from '../increment.ts'
import type { IsoMessage } from '../iso8583/index.ts'
import {
  ACCEPTED_RESERVED,
  AUTHORIZATION_VALID_MS,
  IN_FLIGHT_MAX,
  PAYMENT_STEPS_MAX,
} from '../limits.ts'
import { parseAuthorization } from '../message.ts'
import { refund } from '../refund.ts'
import { requeue } from '../requeue.ts'
import type { Reply } from '../respond.ts'
import { reverse, reverseOriginal } from '../reverse.ts'
import { bodyOf, codeOf, createSimulatedSwitch, untilBy } from '../simulated-switch.ts'
import {
  answerOf,
  createSeededRandom,
  SimulatedDisk,
  type TimedAnswer,
} from '../simulation/index.ts'
import type { StepKind } from '../store/index.ts'
import type { Acquirer, World } from '../world.ts'
import { parseOriginalReversal, parseStep } from './step-request.ts'

/** Never waited for: an answer that is there comes in time on the slowest machine. */
const PATIENT_MS = 10_000
/** Of tests in which an issuer stays silent. */
const HURRIED_MS = 150
const parts = simulatedParts(PATIENT_MS)
const { config } = parts
const [firstAcquirer] = config.acquirers
assert.ok(firstAcquirer)
const ACQUIRERS: readonly [Acquirer, Acquirer] = [
  firstAcquirer,
  { ...firstAcquirer, id: 'other', apiKeySha256: ['0'.repeat(64)] },
]

const APPROVE = (request: IsoMessage): TimedAnswer[] => [
  { afterMs: 1, message: answerOf(request, '00', { 38: 'A1B2C3' }) },
]

interface RigOptions {
  readonly disk?: SimulatedDisk
  readonly answer?: (request: IsoMessage) => readonly TimedAnswer[]
  /** How long a score takes. */
  readonly scoreMs?: number
  /** An issuer that stays silent is given up soon. */
  readonly isHurried?: boolean
}

async function createRig(rigOptions: RigOptions = {}) {
  const { answer = APPROVE, scoreMs = 0, isHurried = false, ...options } = rigOptions
  const timed = isHurried ? withIssuerTimeout(config, HURRIED_MS) : config
  let aheadMs = 0
  const rig = await createSimulatedSwitch({
    ...parts,
    ...options,
    scoreMs,
    answer,
    config: { ...timed, acquirers: [...ACQUIRERS] },
    clock: { ...systemClock, now: () => systemClock.now() + aheadMs },
    unreachable: ['demo-b'],
  })
  const issuer = rig.issuers.get('demo-a')
  assert.ok(issuer)
  return {
    ...rig,
    issuer,
    asked: () => rig.asked('demo-a'),
    pass: (durationMs: number) => {
      aheadMs += durationMs
    },
  }
}

const until = untilBy(systemTimers)

const BODY = {
  amount: 2599,
  currency: 'EUR',
  channel: 'pos',
  card: { pan: '4761739001010119', expiry: '2912' },
  merchant: { id: 'M-1001', name: 'Corner Shop', mcc: '5411', country: 'DE' },
  terminal: { id: 'T-0001', entryMode: 'contactless' },
  rrn: '632610000123',
}

function pay(world: World, key: string, changes: Record<string, unknown> = {}) {
  const request = parseAuthorization({ ...BODY, ...changes })
  assert.ok(!('kind' in request), JSON.stringify(request))
  return authorize(world, ACQUIRERS[0], key, request, undefined)
}

async function payFor(world: World, changes: Record<string, unknown> = {}): Promise<string> {
  return String(bodyOf(await pay(world, `pay ${JSON.stringify(changes)}`, changes)).id)
}

const STORIES = { capture, reversal: reverse, refund, increment } as const

function take(
  world: World,
  kind: StepKind,
  id: string,
  key: string,
  body: object = {},
  acquirer = ACQUIRERS[0],
): Promise<Reply> {
  const request = parseStep(kind, id, body)
  assert.ok(request.kind !== 'refused', JSON.stringify(request))
  return STORIES[kind](world, acquirer, key, request)
}

function original(request: IsoMessage | undefined): string {
  return `${request?.mti}${request?.fields[11]}${request?.fields[7]}`
}

test('a capture is answered, told to the issuer as 0220, and found again', async () => {
  const rig = await createRig()
  const id = await payFor(rig.world)
  const body = bodyOf(await take(rig.world, 'capture', id, 'c1', { amount: 1000 }))
  assert.match(String(body.id), /^cap_[0-9A-Z]{26}$/)
  assert.deepEqual(
    [body.type, body.authorization, body.outcome, body.responseCode, body.amount, body.rrn],
    ['capture', id, 'approved', '00', 1000, BODY.rrn],
  )
  assert.deepEqual(body.payment, {
    state: 'partly_captured',
    authorized: 2599,
    captured: 1000,
    reversed: 0,
    refunded: 0,
  })
  assert.deepEqual((await rig.store.read(String(body.id)))?.outcome?.answer, body)
  await until(() => rig.world.storeAndForward.depth('demo-a') === 0, 'the advice was acknowledged')
  const [request, advice, ...more] = rig.asked()
  assert.deepEqual(more, [])
  assert.equal(advice?.mti, '0220')
  assert.equal(advice?.fields[4], '000000001000')
  assert.equal(advice?.fields[38], 'A1B2C3')
  assert.equal(String(advice?.fields[90]).slice(0, 20), original(request))
  const again = await take(rig.world, 'capture', id, 'c1', { amount: 1000 })
  assert.ok(again.kind === 'answer' && again.isReplay)
  assert.deepEqual(again.body, body)
  assert.equal(
    codeOf(await take(rig.world, 'capture', id, 'c1', { amount: 1001 })),
    'idempotency_key_reused',
  )
  await rig.close()
})

test('captures above what is authorized, and of what can’t be captured, forward nothing', async () => {
  const rig = await createRig()
  const { world } = rig
  const id = await payFor(world)
  const sale = await payFor(world, { type: 'sale' })
  const inquiry = await payFor(world, { type: 'balance_inquiry', amount: 0 })
  const asked = rig.asked().length
  const tried = async (kind: StepKind, of: string, body: object = {}) =>
    codeOf(await take(world, kind, of, `${kind} ${of} ${JSON.stringify(body)}`, body))
  assert.equal(await tried('capture', id, { amount: 2600 }), 'capture_above_authorized')
  assert.equal(await tried('refund', id, { amount: 1 }), 'nothing_captured')
  assert.equal(await tried('reversal', id, { amount: 2600 }), 'reversal_above_authorized')
  assert.equal(await tried('increment', id, { amount: 1 }), 'increment_not_allowed')
  assert.equal(await tried('capture', id, { amount: 1, currency: 'USD' }), 'invalid_currency')
  assert.equal(await tried('capture', sale), 'capture_not_needed')
  assert.equal(await tried('reversal', inquiry), 'payment_is_inquiry')
  for (const kind of ['capture', 'reversal', 'refund'] as const) {
    assert.equal(await tried(kind, 'auth_00000000000000000000000000'), 'not_found')
    assert.equal(codeOf(await take(world, kind, id, 'theirs', {}, ACQUIRERS[1])), 'not_found')
  }
  assert.equal(rig.asked().length, asked)
  assert.deepEqual((await rig.store.read(id))?.steps, [])
  // What was refused has not taken its key.
  assert.equal(bodyOf(await take(world, 'capture', id, 'theirs')).amount, 2599)
  await rig.close()
})

test('velocity hears of a reversal and of a refund, and of no step that was refused', async () => {
  const rig = await createRig()
  const { world } = rig
  const reversed = await payFor(world)
  await take(world, 'reversal', reversed, 'r1')
  const refunded = await payFor(world, { type: 'sale' })
  await take(world, 'refund', refunded, 'f1', { amount: 500 })
  await take(world, 'refund', refunded, 'f1', { amount: 500 })
  await take(world, 'refund', refunded, 'f2', { amount: 2_600 })
  await take(world, 'capture', await payFor(world, { amount: 700 }), 'c1')
  const heard = rig.published.map(({ kind, request }) => [kind, request.id])
  assert.deepEqual(
    heard.filter(([kind]) => kind !== 'approved'),
    [
      ['reversed', reversed],
      ['refunded', refunded],
    ],
  )
  const [attempt, reversal] = rig.published
  // Both are of the same attempt.
  assert.equal(reversal?.request.eventHash, attempt?.request.eventHash)
  assert.deepEqual(reversal?.request.card.token, attempt?.request.card.token)
  await rig.close()
})

test('a key of a step is remembered for the payment’s whole life', async () => {
  const rig = await createRig()
  const id = await payFor(rig.world)
  const first = bodyOf(await take(rig.world, 'capture', id, 'c1', { amount: 500 }))
  rig.pass(3 * 24 * 60 * 60 * 1000)
  const again = await take(rig.world, 'capture', id, 'c1', { amount: 500 })
  assert.ok(again.kind === 'answer' && again.isReplay)
  assert.deepEqual(again.body, first)
  assert.equal(
    codeOf(await take(rig.world, 'capture', id, 'c1', { amount: 501 })),
    'idempotency_key_reused',
  )
  assert.equal((await rig.store.read(id))?.steps.length, 1)
  rig.pass(AUTHORIZATION_VALID_MS)
  const other = await payFor(rig.world, { amount: 777 })
  rig.pass(AUTHORIZATION_VALID_MS + 1)
  assert.equal(codeOf(await take(rig.world, 'capture', other, 'c2')), 'payment_expired')
  assert.equal(bodyOf(await take(rig.world, 'reversal', other, 'r2')).outcome, 'approved')
  await rig.close()
})

test('many captures at once: each is judged by those before it, and no cent is taken twice', async () => {
  const rig = await createRig()
  const id = await payFor(rig.world)
  const replies = await Promise.all(
    Array.from({ length: 12 }, (_, i) => take(rig.world, 'capture', id, `c${i}`, { amount: 500 })),
  )
  const taken = replies.filter((reply) => reply.kind === 'answer')
  assert.equal(taken.length, 5)
  for (const reply of replies) {
    if (reply.kind === 'refused') assert.equal(reply.code, 'capture_above_authorized')
  }
  await until(() => rig.asked().filter(({ mti }) => mti === '0220').length === 5, 'five advices')
  await rig.close()
})

test('a reversal, whole: 0420 once; a second one is refused 94', async () => {
  const rig = await createRig()
  const id = await payFor(rig.world)
  const body = bodyOf(await take(rig.world, 'reversal', id, 'r1'))
  assert.match(String(body.id), /^rev_/)
  assert.deepEqual([body.amount, body.responseCode], [2599, '00'])
  assert.equal(codeOf(await take(rig.world, 'reversal', id, 'r2')), 'already_reversed')
  assert.equal(codeOf(await take(rig.world, 'capture', id, 'c1')), 'payment_reversed')
  await until(() => rig.world.storeAndForward.depth('demo-a') === 0, 'it was acknowledged')
  const [request, reversal, ...more] = rig.asked()
  assert.deepEqual(more, [])
  assert.equal(reversal?.mti, '0420')
  assert.equal(reversal?.fields[4], '000000002599')
  assert.equal(reversal?.fields[95], undefined)
  assert.equal(String(reversal?.fields[90]).slice(0, 20), original(request))
  await rig.close()
})

test('a payment that does not read is refused for now, and the step can be tried again', async () => {
  const rig = await createRig()
  const id = await payFor(rig.world)
  rig.disk.failWith('EIO', 'read')
  assert.equal(codeOf(await take(rig.world, 'capture', id, 'c1')), 'store_unavailable')
  const original = { rrn: BODY.rrn }
  assert.equal(codeOf(await reverseNamed(rig.world, 'r1', { original })), 'store_unavailable')
  rig.disk.failWith(null)
  assert.equal(bodyOf(await take(rig.world, 'capture', id, 'c1')).outcome, 'approved')
  await rig.close()
})

test('reversals in part say in DE95 what stands, each on its own', async () => {
  const rig = await createRig()
  const id = await payFor(rig.world)
  await take(rig.world, 'reversal', id, 'r1', { amount: 599 })
  await take(rig.world, 'reversal', id, 'r2', { amount: 1000 })
  await take(rig.world, 'capture', id, 'c1')
  await until(() => rig.world.storeAndForward.depth('demo-a') === 0, 'all were acknowledged')
  const [, first, second, advice] = rig.asked()
  assert.equal(String(first?.fields[95]).slice(0, 12), '000000002000')
  assert.equal(String(second?.fields[95]).slice(0, 12), '000000001000')
  assert.equal(advice?.fields[4], '000000001000')
  await rig.close()
})

test('an issuer that does not answer a capture is told again as 0221, and a no is buried', async () => {
  let tries = 0
  const rig = await createRig({
    answer: (request) => {
      if (!request.mti.startsWith('022')) return APPROVE(request)
      return [{ afterMs: 1, message: answerOf(request, tries++ === 0 ? '96' : '00') }]
    },
  })
  const id = await payFor(rig.world)
  await take(rig.world, 'capture', id, 'c1')
  await until(() => rig.world.storeAndForward.depth('demo-a') === 0, 'it was acknowledged')
  assert.deepEqual(
    rig.asked().map(({ mti }) => mti),
    ['0100', '0220', '0221'],
  )
  assert.equal(rig.world.storeAndForward.deadLetters('demo-a'), 0)
  await rig.close()

  const refusing = await createRig({
    answer: (request) =>
      request.mti === '0220'
        ? [{ afterMs: 1, message: answerOf(request, '05') }]
        : APPROVE(request),
  })
  await take(refusing.world, 'capture', await payFor(refusing.world), 'c1')
  await until(() => refusing.world.storeAndForward.deadLetters('demo-a') === 1, 'it was buried')
  await refusing.close()
})

test('what is about one payment reaches the issuer in its order, repeats and refunds too', async () => {
  let refusals = 1
  const rig = await createRig({
    isHurried: true,
    answer: (request) => {
      const isBusy = request.mti === '0420' && refusals-- > 0
      return [{ afterMs: 1, message: answerOf(request, isBusy ? '96' : '00', { 38: 'A1B2C3' }) }]
    },
  })
  const id = await payFor(rig.world)
  await take(rig.world, 'reversal', id, 'r1', { amount: 599 })
  await take(rig.world, 'reversal', id, 'r2', { amount: 500 })
  await take(rig.world, 'capture', id, 'c1')
  const other = await payFor(rig.world, { type: 'sale' })
  assert.equal(codeOf(await take(rig.world, 'refund', id, 'f1')), 'payment_in_progress')
  assert.equal(bodyOf(await take(rig.world, 'refund', other, 'f2')).outcome, 'approved')
  await until(() => rig.world.storeAndForward.depth('demo-a') === 0, 'all were acknowledged')
  assert.equal(bodyOf(await take(rig.world, 'refund', id, 'f1')).outcome, 'approved')
  const about = rig.asked().filter(({ fields }) => {
    return original(rig.asked()[0]) === String(fields[90]).slice(0, 20)
  })
  assert.deepEqual(
    about.map(({ mti, fields }) => [mti, String(fields[95] ?? '').slice(0, 12)]),
    [
      ['0420', '000000002000'],
      ['0421', '000000002000'],
      ['0420', '000000001500'],
      ['0220', ''],
      ['0200', ''],
    ],
  )
  await rig.close()
})

test('a refund asks the issuer with processing code 20', async () => {
  const rig = await createRig()
  const id = await payFor(rig.world)
  await take(rig.world, 'capture', id, 'c1', { amount: 2000 })
  assert.equal(
    codeOf(await take(rig.world, 'refund', id, 'f1', { amount: 2001 })),
    'refund_above_captured',
  )
  const body = bodyOf(await take(rig.world, 'refund', id, 'f1', { amount: 700 }))
  assert.match(String(body.id), /^ref_/)
  assert.deepEqual([body.outcome, body.amount, body.approvalCode], ['approved', 700, 'A1B2C3'])
  assert.equal((body.payment as { refunded: number }).refunded, 700)
  const request = rig.asked().find(({ mti }) => mti === '0200')
  assert.equal(request?.fields[3], '200000')
  assert.equal(request?.fields[4], '000000000700')
  assert.equal(request?.fields[2], BODY.card.pan)
  assert.equal(String(request?.fields[90]).slice(0, 20), original(rig.asked()[0]))
  assert.equal(
    codeOf(await take(rig.world, 'refund', id, 'f2', { amount: 1301 })),
    'refund_above_captured',
  )
  assert.equal(bodyOf(await take(rig.world, 'refund', id, 'f2')).amount, 1300)
  await rig.close()
})

test('a refund waits and asks within what its deadline leaves', async () => {
  const rig = await createRig()
  const id = await payFor(rig.world, { type: 'sale' })
  const { config: own, storeAndForward, issuers } = rig.world
  const waits: number[] = []
  const world: World = {
    ...rig.world,
    config: { ...own, deadlines: { ...own.deadlines, acquirerMs: 200, durabilityMs: 100 } },
    storeAndForward: {
      ...storeAndForward,
      heard: async (_original, timeoutMs) => {
        waits.push(timeoutMs)
        await new Promise((resolve) => setTimeout(resolve, 40))
        return true
      },
    },
  }
  const issuer = issuers.get('demo-a')
  assert.ok(issuer)
  const ask = issuer.ask.bind(issuer)
  issuer.ask = (attempt, card, timeoutMs) => {
    waits.push(timeoutMs)
    return ask(attempt, card, timeoutMs)
  }
  await take(world, 'refund', id, 'f1')
  const [wait = Number.NaN, asked = Number.NaN] = waits
  assert.ok(wait <= 50, `waited ${wait} ms`)
  assert.ok(asked <= 61, `asked for ${asked} ms`)
  await rig.close()
})

test('a refund or an increment without an answer: declined 91 and one reversal of that step', async () => {
  let isSilent = false
  const rig = await createRig({
    isHurried: true,
    answer: (request) => (isSilent && !request.mti.startsWith('04') ? [] : APPROVE(request)),
  })
  for (const kind of ['refund', 'increment'] as const) {
    const type = kind === 'refund' ? 'sale' : 'preauthorization'
    const id = await payFor(rig.world, { type })
    isSilent = true
    const body = bodyOf(await take(rig.world, kind, id, `${kind} 1`, { amount: 300 }))
    isSilent = false
    assert.deepEqual([body.outcome, body.responseCode], ['declined', '91'])
    await until(() => rig.world.storeAndForward.depth('demo-a') === 0, 'it was reversed')
    const [request, reversal] = rig.asked().slice(-2)
    assert.equal(reversal?.mti, '0420')
    assert.equal(String(reversal?.fields[90]).slice(0, 20), original(request))
    assert.equal(reversal?.fields[4], '000000000300')
    const again = await take(rig.world, kind, id, `${kind} 1`, { amount: 300 })
    assert.ok(again.kind === 'answer' && again.isReplay)
    const further = bodyOf(await take(rig.world, kind, id, `${kind} 2`, { amount: 300 }))
    assert.equal(further.outcome, 'approved')
  }
  await rig.close()
})

test('a link that is down: a refund is declined 91, a capture is kept and told later', async () => {
  const rig = await createRig()
  const id = await payFor(rig.world, { type: 'sale' })
  const hold = await payFor(rig.world)
  rig.issuer.stop()
  rig.network.cut()
  await until(() => rig.world.issuers.get('demo-a')?.isUp === false, 'the link was down')
  const body = bodyOf(await take(rig.world, 'refund', id, 'f1'))
  assert.deepEqual([body.outcome, body.responseCode], ['declined', '91'])
  const step = await rig.store.read(String(body.id))
  assert.deepEqual([step?.notSent, step?.deliveries], [true, []])
  assert.equal(bodyOf(await take(rig.world, 'capture', hold, 'c1')).outcome, 'approved')
  assert.equal(rig.world.storeAndForward.depth('demo-a'), 1)
  await rig.close()

  const later = await createRig({ disk: rig.disk.restart('power') })
  await until(() => later.world.storeAndForward.depth('demo-a') === 0, 'the capture was told')
  assert.deepEqual(
    later.asked().map(({ mti }) => mti),
    ['0220'],
  )
  await later.close()
})

test('a refund that was made already is kept while its issuer is away, and told as 0220', async () => {
  const rig = await createRig()
  const id = await payFor(rig.world, { type: 'sale' })
  rig.issuer.stop()
  rig.issuer.disconnect()
  await until(() => rig.world.issuers.get('demo-a')?.isUp === false, 'the link was down')
  const told = { amount: 600, told: true }
  const refunded = bodyOf(await take(rig.world, 'refund', id, 'f1', told))
  assert.deepEqual([refunded.type, refunded.responseCode, refunded.amount], ['refund', '00', 600])
  const another = await take(rig.world, 'refund', id, 'f1', { amount: 600 })
  assert.equal(codeOf(another), 'idempotency_key_reused')
  const second = await createRig({ disk: rig.disk.restart('kill') })
  const { storeAndForward } = second.world
  await until(() => storeAndForward.depth('demo-a') === 0, 'it was told')
  const [advice, ...more] = second.asked()
  assert.deepEqual(more, [])
  const numbers = [3, 4].map((field) => advice?.fields[field])
  assert.deepEqual([advice?.mti, ...numbers], ['0220', '200000', '000000000600'])
  assert.equal(String(advice?.fields[90]).slice(0, 4), '0200')
  const again = await take(second.world, 'refund', id, 'f1', told)
  assert.deepEqual(bodyOf(again), refunded)
  // It is taken back in the numbers that it was told in.
  bodyOf(await take(second.world, 'reversal', String(refunded.id), 'r1'))
  await until(() => storeAndForward.depth('demo-a') === 0, 'it was reversed')
  const named = `0220${advice?.fields[11]}${advice?.fields[7]}`
  const reversal = second.asked().at(-1)
  assert.deepEqual(
    [reversal?.mti, String(reversal?.fields[90]).slice(0, 20), reversal?.fields[4]],
    ['0420', named, '000000000600'],
  )
  await rig.close().catch(() => {})
  await second.close()
})

test('a card that can’t be unsealed: a refund is declined 91, and nothing leaves', async () => {
  const rig = await createRig()
  const id = await payFor(rig.world, { type: 'sale' })
  const other = parseKeyFile(newKeyFile(parts.random))
  assert.ok(other.ok)
  const vault = new CardVault(other.keys, 'another')
  const body = bodyOf(await take({ ...rig.world, vault }, 'refund', id, 'f1'))
  assert.deepEqual([body.outcome, body.responseCode], ['declined', '91'])
  assert.equal((await rig.store.read(String(body.id)))?.notSent, true)
  assert.equal(rig.asked().length, 1, 'the sale alone')
  await rig.close()
})

test('a refund that the issuer is asked for waits for one that it has to be told first', async () => {
  const rig = await createRig({
    isHurried: true,
    answer: (request) =>
      request.mti.startsWith('022')
        ? [{ afterMs: 1, message: answerOf(request, '96') }]
        : APPROVE(request),
  })
  const sale = await payFor(rig.world, { type: 'sale' })
  await take(rig.world, 'refund', sale, 'f1', { amount: 600, told: true })
  const asked = await take(rig.world, 'refund', sale, 'f2', { amount: 700 })
  assert.equal(codeOf(asked), 'payment_in_progress')
  await rig.close()
})

test('a told refund that died, and was taken back, is not requeued', async () => {
  const no = { isSaid: true }
  const rig = await createRig({
    answer: (request) =>
      no.isSaid && request.mti === '0220'
        ? [{ afterMs: 1, message: answerOf(request, '05') }]
        : APPROVE(request),
  })
  const { world } = rig
  const { storeAndForward: forward, store } = world
  const sale = await payFor(world, { type: 'sale' })
  const told = { amount: 600, told: true }
  const tell = async (key: string) =>
    String(bodyOf(await take(world, 'refund', sale, key, told)).id)
  const [taken, kept] = [await tell('f1'), await tell('f2')]
  await until(() => forward.deadLetters('demo-a') === 2, 'both were buried')
  no.isSaid = false
  bodyOf(await take(world, 'reversal', taken, 'r1'))
  const again = (id: string) => requeue(store, id, (delivery) => forward.requeue(delivery))
  assert.deepEqual(await again(taken), { queued: 0, takenBack: 1 })
  assert.deepEqual(await again(kept), { queued: 1, takenBack: 0 })
  await until(() => forward.depth('demo-a') === 0, 'all were heard')
  assert.equal(forward.deadLetters('demo-a'), 1)
  assert.deepEqual(
    rig.asked().map(({ mti }) => mti),
    ['0200', '0220', '0220', '0420', '0221'],
  )
  await rig.close()
})

test('an increment raises what may be captured; a full reversal names all of it', async () => {
  const rig = await createRig()
  const id = await payFor(rig.world, { type: 'preauthorization' })
  const body = bodyOf(await take(rig.world, 'increment', id, 'i1', { amount: 401 }))
  assert.match(String(body.id), /^inc_/)
  assert.equal((body.payment as { authorized: number }).authorized, 3000)
  const request = rig.asked()[1]
  assert.deepEqual([request?.mti, request?.fields[4]], ['0100', '000000000401'])
  assert.equal(String(request?.fields[90]).slice(0, 20), original(rig.asked()[0]))
  assert.equal(
    codeOf(await take(rig.world, 'capture', id, 'c1', { amount: 3001 })),
    'capture_above_authorized',
  )
  await take(rig.world, 'reversal', id, 'r1')
  await until(() => rig.world.storeAndForward.depth('demo-a') === 0, 'it was reversed')
  assert.equal(rig.asked().at(-1)?.fields[4], '000000003000')
  await rig.close()
})

test('while a refund runs, other steps are told to come back', async () => {
  const rig = await createRig({
    answer: (request) => [
      {
        afterMs: request.fields[3] === '200000' ? 60 : 1,
        message: answerOf(request, '00', { 38: 'A1B2C3' }),
      },
    ],
  })
  const id = await payFor(rig.world, { type: 'sale' })
  const running = take(rig.world, 'refund', id, 'f1', { amount: 600 })
  await until(() => rig.asked().length === 2, 'the refund was asked')
  const early = await take(rig.world, 'reversal', id, 'r1')
  assert.equal(codeOf(early), 'payment_in_progress')
  assert.equal(early.kind === 'refused' ? early.retryAfterSeconds : 0, 1)
  assert.equal(bodyOf(await running).outcome, 'approved')
  assert.equal(bodyOf(await take(rig.world, 'reversal', id, 'r1')).amount, 1999)
  await rig.close()
})

test('reversed while in flight: declined, and the reversal goes out after its request', async () => {
  const rig = await createRig({
    answer: (request) =>
      request.mti === '0100'
        ? [{ afterMs: 80, message: answerOf(request, '00', { 38: 'A1B2C3' }) }]
        : APPROVE(request),
  })
  const paying = pay(rig.world, 'k1')
  await until(() => rig.asked().length === 1, 'the issuer was asked')
  const [found] = await rig.store.findByRrn('demo', BODY.rrn, 1)
  const id = String(found?.intent.id)
  const body = bodyOf(await take(rig.world, 'reversal', id, 'r1'))
  assert.deepEqual([body.outcome, body.responseCode, body.amount], ['approved', '00', 2599])
  assert.equal(rig.asked().length, 1, 'the reversal overtook its request')
  const paid = bodyOf(await paying)
  assert.deepEqual([paid.outcome, paid.responseCode], ['declined', '94'])
  await until(() => rig.world.storeAndForward.depth('demo-a') === 0, 'it was reversed')
  assert.deepEqual(
    rig.asked().map(({ mti }) => mti),
    ['0100', '0420'],
  )
  assert.equal(bodyOf(await take(rig.world, 'reversal', id, 'r2')).responseCode, '00')
  assert.equal(rig.asked().length, 2, 'nothing was forwarded twice')
  assert.equal(codeOf(await take(rig.world, 'capture', id, 'c1')), 'payment_not_approved')
  await rig.close()
})

test('reversed where a retry of it waits for another process: the reversal leaves all the same', async () => {
  const rig = await createRig({ scoreMs: 80 })
  const { storeAndForward } = rig.world
  // Two processes on one store: the second owns the issuer's lane.
  const first = { ...rig.world, storeAndForward: { ...storeAndForward, enqueue: () => {} } }
  const second = { ...rig.world, inFlight: new InFlight(10) }
  const paying = pay(first, 'k1')
  await until(() => rig.store.status.openClaims === 1, 'the claim was durable')
  second.inFlight.enter('demo\nk1', new Uint8Array(0))
  second.inFlight.name('demo\nk1', 'auth_that_lost_the_key')
  await reverseNamed(second, 'r1', { original: { idempotencyKey: 'k1' } })
  assert.equal(bodyOf(await paying).outcome, 'declined')
  await until(() => storeAndForward.depth('demo-a') === 0, 'it was reversed')
  assert.equal(rig.asked().at(-1)?.mti, '0420')
  await rig.close()
})

test('reversed while it is scored: nothing leaves but the reversal', async () => {
  const rig = await createRig({ scoreMs: 80 })
  const paying = pay(rig.world, 'k1')
  await until(() => rig.store.status.openClaims === 1, 'the claim was durable')
  const [found] = await rig.store.findByRrn('demo', BODY.rrn, 1)
  await take(rig.world, 'reversal', String(found?.intent.id), 'r1')
  assert.equal(bodyOf(await paying).outcome, 'declined')
  await until(() => rig.world.storeAndForward.depth('demo-a') === 0, 'it was reversed')
  assert.deepEqual(
    rig.asked().map(({ mti }) => mti),
    ['0420'],
  )
  await rig.close()
})

function reverseNamed(world: World, key: string, body: object) {
  const reversal = parseOriginalReversal(body)
  assert.ok(!('kind' in reversal), JSON.stringify(reversal))
  return reverseOriginal(world, ACQUIRERS[0], key, reversal)
}

test('a reversal by key, without our id: of what is in flight, and of what is recorded', async () => {
  const rig = await createRig({ scoreMs: 40 })
  const paying = pay(rig.world, 'k1')
  const original = { idempotencyKey: 'k1' }
  await until(() => rig.store.status.openClaims === 1, 'the claim was durable')
  assert.equal(bodyOf(await reverseNamed(rig.world, 'r1', { original })).responseCode, '00')
  assert.equal(bodyOf(await paying).outcome, 'declined')
  await pay(rig.world, 'k2', { amount: 700 })
  const body = bodyOf(await reverseNamed(rig.world, 'r2', { original: { idempotencyKey: 'k2' } }))
  assert.deepEqual([body.amount, (body.payment as { state: string }).state], [700, 'reversed'])
  const again = await reverseNamed(rig.world, 'r2', { original: { idempotencyKey: 'k2' } })
  assert.ok(again.kind === 'answer' && again.isReplay)
  await rig.close()
})

test('a reversal by RRN: one candidate is it, two are ambiguous, none is unknown', async () => {
  const rig = await createRig()
  const original = { rrn: BODY.rrn }
  assert.equal(codeOf(await reverseNamed(rig.world, 'r1', { original })), 'not_found')
  await pay(rig.world, 'k1')
  assert.equal(bodyOf(await reverseNamed(rig.world, 'r1', { original })).responseCode, '00')
  await pay(rig.world, 'k2')
  assert.equal(codeOf(await reverseNamed(rig.world, 'r2', { original })), 'original_ambiguous')
  await rig.close()
})

test('a reversal before its original: 00, and the original is declined 94, not forwarded', async () => {
  const rig = await createRig()
  const sent = (aheadMs: number) => new Date(Date.now() + aheadMs).toISOString()
  const of = (idempotencyKey: string, aheadMs: number) => ({
    amount: 2599,
    currency: 'EUR',
    original: { idempotencyKey, transmittedAt: sent(aheadMs) },
  })
  const reversed = bodyOf(await reverseNamed(rig.world, 'r1', of('k1', -9 * 60_000)))
  assert.deepEqual([reversed.responseCode, reversed.amount], ['00', 2599])
  const again = await reverseNamed(rig.world, 'r1', of('k1', -9 * 60_000))
  assert.ok(again.kind === 'answer' && again.isReplay)
  for (let i = 0; i < 2; i++) {
    const late = bodyOf(await pay(rig.world, 'k1'))
    assert.deepEqual([late.outcome, late.responseCode], ['declined', '94'])
    assert.equal(late.id, reversed.authorization)
  }
  for (const aheadMs of [-11 * 60_000, 11 * 60_000]) {
    assert.equal(codeOf(await reverseNamed(rig.world, 'r2', of('k2', aheadMs))), 'not_found')
  }
  const bare = { original: { idempotencyKey: 'k2' } }
  assert.equal(codeOf(await reverseNamed(rig.world, 'r2', bare)), 'not_found')
  assert.deepEqual(rig.asked(), [])
  assert.equal(bodyOf(await pay(rig.world, 'k2')).outcome, 'approved')
  await rig.close()

  const later = await createRig({ disk: rig.disk.restart('power') })
  assert.equal(bodyOf(await pay(later.world, 'k1')).responseCode, '94')
  await later.close()
})

test('reversed by us already: 00, and nothing is forwarded', async () => {
  const rig = await createRig({
    isHurried: true,
    answer: (request) => (request.mti === '0100' ? [] : APPROVE(request)),
  })
  const body = bodyOf(await pay(rig.world, 'k1'))
  assert.equal(body.responseCode, '91')
  await until(() => rig.world.storeAndForward.depth('demo-a') === 0, 'it was reversed')
  const asked = rig.asked().length
  const reversal = bodyOf(await take(rig.world, 'reversal', String(body.id), 'r1'))
  assert.equal(reversal.responseCode, '00')
  assert.equal(rig.world.storeAndForward.depth('demo-a'), 0)
  assert.equal(rig.asked().length, asked)
  await rig.close()
})

test('a crash in a refund: declined 91 at the next start, with one reversal of it', async () => {
  const disk = new SimulatedDisk({ random: createSeededRandom(1) })
  let mayFail = false
  const first = await createRig({
    disk,
    answer: (request) => {
      if (mayFail) disk.failWith('EIO')
      return APPROVE(request)
    },
  })
  const id = await payFor(first.world, { type: 'sale' })
  mayFail = true
  assert.equal(
    codeOf(await take(first.world, 'refund', id, 'f1', { amount: 600 })),
    'outcome_unknown',
  )
  await first.close().catch(() => {})

  const second = await createRig({ disk: disk.restart('kill') })
  assert.deepEqual(second.recovered, { declined: 1, reversed: 1 })
  const again = bodyOf(await take(second.world, 'refund', id, 'f1', { amount: 600 }))
  assert.deepEqual([again.outcome, again.responseCode, again.type], ['declined', '91', 'refund'])
  assert.equal((again.payment as { refunded: number }).refunded, 0)
  await until(() => second.world.storeAndForward.depth('demo-a') === 0, 'it was reversed')
  assert.deepEqual(
    second.asked().map(({ mti, fields }) => [mti, String(fields[90]).slice(0, 4), fields[4]]),
    [['0420', '0200', '000000000600']],
  )
  assert.equal(bodyOf(await take(second.world, 'refund', id, 'f2')).amount, 2599)
  await second.close()
})

test('reversals of what has not come count as in flight while they are kept', async () => {
  const rig = await createRig()
  const { inFlight } = rig.world
  const of = (idempotencyKey: string) => ({
    amount: 2599,
    currency: 'EUR',
    original: { idempotencyKey, transmittedAt: new Date().toISOString() },
  })
  const kept = ['r1', 'r2'].map((key) => reverseNamed(rig.world, key, of('k1')))
  const bodies = (await Promise.all(kept)).map(bodyOf)
  assert.deepEqual(new Set(bodies.map((one) => one.responseCode)), new Set(['00']))
  assert.equal(new Set(bodies.map((one) => one.authorization)).size, 1)
  assert.equal(inFlight.size, 0)
  for (let i = 0; !inFlight.isFullFor(ACCEPTED_RESERVED); i++) {
    inFlight.enter(`x${i}`, new Uint8Array(0))
  }
  assert.equal(codeOf(await reverseNamed(rig.world, 'r3', of('k3'))), 'overloaded')
  assert.equal(rig.world.store.findKey('demo', 'k3'), undefined)
  await rig.close()
})

test('a house full of authorizations still takes captures and reversals', async () => {
  const rig = await createRig()
  const id = await payFor(rig.world, { type: 'preauthorization' })
  for (let i = 0; i < IN_FLIGHT_MAX; i++) rig.world.inFlight.enter(`x${i}`, new Uint8Array(0))
  assert.equal(codeOf(await pay(rig.world, 'k1')), 'overloaded')
  assert.equal(codeOf(await take(rig.world, 'increment', id, 'i1', { amount: 1 })), 'overloaded')
  assert.equal(
    bodyOf(await take(rig.world, 'capture', id, 'c1', { amount: 1 })).outcome,
    'approved',
  )
  assert.equal(bodyOf(await take(rig.world, 'reversal', id, 'r1')).outcome, 'approved')
  await rig.close()
})

test('a payment has so many steps and no more', async () => {
  const rig = await createRig()
  const id = await payFor(rig.world)
  for (let i = 0; i < PAYMENT_STEPS_MAX; i++) {
    assert.equal((await take(rig.world, 'capture', id, `c${i}`, { amount: 1 })).kind, 'answer')
  }
  assert.equal(
    codeOf(await take(rig.world, 'capture', id, 'last', { amount: 1 })),
    'too_many_steps',
  )
  await rig.close()
})

test('a refund is taken back in parts, each by a reversal in the refund’s own numbers', async () => {
  const rig = await createRig()
  const { world } = rig
  const sale = await payFor(world, { type: 'sale' })
  const refunded = String(bodyOf(await take(world, 'refund', sale, 'f1', { amount: 1000 })).id)
  const part = bodyOf(await take(world, 'reversal', refunded, 'r1', { amount: 400 }))
  assert.deepEqual(
    [part.type, part.authorization, part.of, part.amount, part.outcome],
    ['reversal', sale, refunded, 400, 'approved'],
  )
  assert.equal((part.payment as { refunded: number }).refunded, 600)
  const tooMuch = await take(world, 'reversal', refunded, 'r2', { amount: 601 })
  assert.equal(codeOf(tooMuch), 'reversal_above_authorized')
  const rest = bodyOf(await take(world, 'reversal', refunded, 'r3'))
  assert.equal(rest.amount, 600)
  assert.equal(codeOf(await take(world, 'reversal', refunded, 'r4')), 'already_reversed')
  assert.deepEqual(bodyOf(await take(world, 'refund', sale, 'f2')).amount, 2599, 'all of it again')
  assert.deepEqual(bodyOf(await take(world, 'reversal', refunded, 'r1', { amount: 400 })), part)
  await until(() => world.storeAndForward.depth('demo-a') === 0, 'all were acknowledged')
  const asked = rig.asked()
  const request = asked.find(({ fields }) => String(fields[3]).startsWith('20'))
  const reversals = asked.filter(({ mti }) => mti === '0420')
  assert.deepEqual(
    reversals.map(({ fields }) => [fields[4], String(fields[95] ?? '').slice(0, 12)]),
    [
      ['000000001000', '000000000600'],
      ['000000001000', ''],
    ],
  )
  for (const { fields } of reversals) {
    assert.equal(String(fields[90]).slice(0, 20), original(request))
  }
  await rig.close()
})

test('an increment is taken back as far as it is not captured', async () => {
  const rig = await createRig()
  const { world } = rig
  const id = await payFor(world, { type: 'preauthorization' })
  const more = String(bodyOf(await take(world, 'increment', id, 'i1', { amount: 500 })).id)
  bodyOf(await take(world, 'capture', id, 'c1', { amount: 2899 }))
  const above = await take(world, 'reversal', more, 'r1', { amount: 201 })
  assert.equal(codeOf(above), 'reversal_above_authorized')
  const body = bodyOf(await take(world, 'reversal', more, 'r2'))
  assert.deepEqual(
    [body.amount, body.payment],
    [200, { state: 'captured', authorized: 2899, captured: 2899, reversed: 0, refunded: 0 }],
  )
  const captured = String(bodyOf(await take(world, 'refund', id, 'f1', { amount: 1 })).id)
  assert.equal(codeOf(await take(world, 'capture', captured, 'c2')), 'not_found')
  const other = await take(world, 'reversal', more, 'r3', {}, ACQUIRERS[1])
  assert.equal(codeOf(other), 'not_found')
  await rig.close()
})

test('a refund that was reversed after a time-out is answered 00, and told no second time', async () => {
  const rig = await createRig({
    isHurried: true,
    answer: (request) =>
      String(request.fields[3]).startsWith('20') && request.mti === '0200' ? [] : APPROVE(request),
  })
  const { world } = rig
  const sale = await payFor(world, { type: 'sale' })
  const lost = bodyOf(await take(world, 'refund', sale, 'f1', { amount: 1000 }))
  assert.equal(lost.outcome, 'declined')
  const body = bodyOf(await take(world, 'reversal', String(lost.id), 'r1'))
  assert.deepEqual([body.outcome, (body.payment as { refunded: number }).refunded], ['approved', 0])
  assert.equal(
    bodyOf(await take(world, 'refund', sale, 'f2', { amount: 2599 })).outcome,
    'declined',
  )
  await until(() => world.storeAndForward.depth('demo-a') === 0, 'all were acknowledged')
  const reversed = rig.asked().filter(({ mti }) => mti === '0420')
  assert.equal(reversed.length, 2, 'one for each refund, by us')
  await rig.close()
})
