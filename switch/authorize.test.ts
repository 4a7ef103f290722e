// The path on simulated disk and network: production's steps, store, links and store-and-forward.
// Only the risk decision is given, since these tests are about what is done with it.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { Decision } from '#scoring'
import { simulatedParts, withIssuerTimeout } from './adapters/simulated-parts.ts'
import { systemTimers } from './adapters/system-clock.ts'
import { authorize } from './authorize.ts'
import { CardUnreadable, CardVault } from './card-data/index.ts'
import type { Config } from './config/index.ts'
import type { IsoMessage } from './iso8583/index.ts'
import { parseAuthorization } from './message.ts'
import type { Disk } from './ports.ts'
import { reverse } from './reverse.ts'
import { bodyOf, codeOf, createSimulatedSwitch, untilBy } from './simulated-switch.ts'
import {
  answerOf,
  createSeededRandom,
  SimulatedDisk,
  type TimedAnswer,
} from './simulation/index.ts'
import { parseStep } from './steps/index.ts'
import type { World } from './world.ts'

/** Never waited for: an answer that is there comes in time on the slowest machine. */
const PATIENT_MS = 10_000
/** Of tests in which an issuer stays silent. */
const HURRIED_MS = 150
const parts = simulatedParts(PATIENT_MS)
const { config } = parts

const approve: Decision = {
  outcome: 'approve',
  score: 0.0123456,
  band: 'low',
  reasons: [],
  disclosedReasons: [],
  hits: [],
  degraded: [],
  ruleSet: 'aaaa',
  model: 'm',
  features: Float32Array.of(1, Number.NaN),
  aggregates: Float64Array.of(2),
  unknownRules: [],
  saturated: [],
  stepMicros: { velocity: 0, features: 0, model: 0, rules: 0 },
}

interface RigOptions {
  readonly disk?: SimulatedDisk
  /** Stands between the store and its disk. */
  readonly around?: (disk: Disk) => Disk
  readonly decision?: Partial<Decision>
  readonly config?: Config
  /** How demo-a answers; by default it approves at once. */
  readonly answer?: (request: IsoMessage) => readonly TimedAnswer[]
  /** How demo-b answers; without it, it is down. */
  readonly answerOfOther?: (request: IsoMessage) => readonly TimedAnswer[]
  /** An issuer that stays silent is given up soon. */
  readonly isHurried?: boolean
}

const ACKNOWLEDGE = (request: IsoMessage): TimedAnswer[] => [
  { afterMs: 1, message: answerOf(request, '00', { 38: 'A1B2C3' }) },
]

async function createRig(rigOptions: RigOptions = {}) {
  const { answerOfOther, answer = ACKNOWLEDGE, isHurried = false, ...options } = rigOptions
  const config = options.config ?? parts.config
  const rig = await createSimulatedSwitch({
    ...parts,
    ...options,
    config: isHurried ? withIssuerTimeout(config, HURRIED_MS) : config,
    decision: { ...approve, ...options.decision },
    answer: (request, issuer) =>
      issuer === 'demo-a' ? answer(request) : (answerOfOther?.(request) ?? []),
    unreachable: answerOfOther === undefined ? ['demo-b'] : [],
  })
  const issuer = rig.issuers.get('demo-a')
  assert.ok(issuer)
  return {
    ...rig,
    issuer,
    asked: () => rig.asked('demo-a'),
    otherAsked: () => rig.asked('demo-b'),
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
  stan: '000123',
  rrn: '632610000123',
}

function send(world: World, key: string, changes: Record<string, unknown> = {}, acquirerIndex = 0) {
  const request = parseAuthorization({ ...BODY, ...changes })
  assert.ok(!('kind' in request), JSON.stringify(request))
  const acquirer = world.config.acquirers[acquirerIndex]
  assert.ok(acquirer)
  return authorize(world, acquirer, key, request, undefined)
}

test('an approved authorization is answered, recorded and found again', async () => {
  const rig = await createRig()
  const reply = await send(rig.world, 'k1')
  const body = bodyOf(reply)
  assert.equal(body.outcome, 'approved')
  assert.equal(body.responseCode, '00')
  assert.equal(body.approvalCode, 'A1B2C3')
  assert.equal(body.stan, '000123')
  assert.equal(body.rrn, '632610000123')
  assert.equal(body.issuer, 'demo-a')
  assert.deepEqual(body.risk, { outcome: 'approve', score: 0.0123, reasons: [], degraded: [] })
  const recorded = await rig.store.read(String(body.id))
  assert.deepEqual(recorded?.outcome?.answer, body)
  const again = await send(rig.world, 'k1')
  assert.ok(again.kind === 'answer' && again.isReplay)
  assert.equal(JSON.stringify(again.body), JSON.stringify(body))
  assert.equal(rig.asked().length, 1)
  assert.equal(rig.world.inFlight.size, 0)
  await rig.close()
})

test('the issuer sees our own trace numbers and never the acquirer’s', async () => {
  const rig = await createRig()
  await send(rig.world, 'k1')
  const [message] = rig.asked()
  assert.equal(message?.mti, '0100')
  assert.equal(message?.fields[2], BODY.card.pan)
  assert.equal(message?.fields[4], '000000002599')
  assert.equal(message?.fields[49], '978')
  assert.notEqual(message?.fields[11], '000123')
  assert.notEqual(message?.fields[37], '632610000123')
  assert.equal(String(message?.fields[43]).slice(0, 11), 'Corner Shop')
  await rig.close()
})

interface Gate {
  hold: boolean
  /** Lets through what waits; the next sync is held again while `hold` is true. */
  letThrough(): void
}

/** A disk whose syncs wait while the gate holds. */
function gated(disk: Disk): Disk & { readonly gate: Gate } {
  const waiting: (() => void)[] = []
  const gate: Gate = {
    hold: false,
    letThrough() {
      for (const proceed of waiting.splice(0)) proceed()
    },
  }
  return {
    gate,
    list: () => disk.list(),
    remove: (name) => disk.remove(name),
    rename: (name, to) => disk.rename(name, to),
    async open(name) {
      const file = await disk.open(name)
      return {
        name,
        get sizeBytes() {
          return file.sizeBytes
        },
        append: (bytes) => file.append(bytes),
        async sync() {
          if (gate.hold) await new Promise<void>((resolve) => waiting.push(resolve))
          await file.sync()
        },
        read: (position, length) => file.read(position, length),
        truncate: (size) => file.truncate(size),
        close: () => file.close(),
      }
    },
  }
}

test('nothing goes to the issuer before the claim is flushed, no answer before the outcome is', async () => {
  let gate: Gate | undefined
  const rig = await createRig({
    around: (disk) => {
      const guarded = gated(disk)
      gate = guarded.gate
      return guarded
    },
  })
  assert.ok(gate)
  gate.hold = true
  let answered = false
  const reply = send(rig.world, 'k1').then((result) => {
    answered = true
    return result
  })
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.equal(rig.asked().length, 0, 'the issuer was asked before the claim was durable')
  gate.letThrough()
  await until(() => rig.asked().length === 1, 'the issuer was asked')
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.equal(answered, false, 'answered before the outcome was durable')
  gate.hold = false
  gate.letThrough()
  assert.equal(bodyOf(await reply).outcome, 'approved')
  await rig.close()
})

test('the same key at the same moment is one request to the issuer and one answer', async () => {
  const rig = await createRig()
  const replies = await Promise.all(Array.from({ length: 5 }, () => send(rig.world, 'k1')))
  const bodies = new Set(replies.map((reply) => JSON.stringify(bodyOf(reply))))
  assert.equal(bodies.size, 1)
  assert.equal(replies.filter((reply) => reply.kind === 'answer' && reply.isReplay).length, 4)
  assert.match(await rig.world.journal.registry.metrics(), /^switchyard_\w*replay\w* 4$/m)
  assert.equal(rig.asked().length, 1)
  await rig.close()
})

test('a key belongs to one request, in flight and recorded', async () => {
  const rig = await createRig()
  const first = send(rig.world, 'k1')
  assert.equal(codeOf(await send(rig.world, 'k1', { amount: 2600 })), 'idempotency_key_reused')
  await first
  assert.equal(codeOf(await send(rig.world, 'k1', { amount: 2600 })), 'idempotency_key_reused')
  assert.equal(rig.asked().length, 1)
  await rig.close()
})

test('too many who wait for one answer are told to come back', async () => {
  const rig = await createRig({
    answer: (request) => [{ afterMs: 40, message: answerOf(request, '00') }],
  })
  const replies = await Promise.all(Array.from({ length: 12 }, () => send(rig.world, 'k1')))
  const refused = replies.filter((reply) => reply.kind === 'refused')
  assert.equal(refused.length, 3)
  assert.ok(refused.every((reply) => codeOf(reply) === 'idempotency_key_in_progress'))
  await rig.close()
})

test('an issuer that does not answer: declined 91, and one reversal in the numbers we sent', async () => {
  const rig = await createRig({
    isHurried: true,
    answer: (request) =>
      request.mti.startsWith('01') ? [] : [{ afterMs: 1, message: answerOf(request, '00') }],
  })
  const body = bodyOf(await send(rig.world, 'k1'))
  assert.equal(body.outcome, 'declined')
  assert.equal(body.responseCode, '91')
  await until(() => rig.asked().length === 2, 'the reversal came')
  const [request, reversal] = rig.asked()
  assert.equal(reversal?.mti, '0420')
  const [stan, transmittedAt] = [String(request?.fields[11]), String(request?.fields[7])]
  assert.equal(String(reversal?.fields[90]).slice(0, 20), `0100${stan}${transmittedAt}`)
  assert.notEqual(reversal?.fields[11], stan)
  await until(() => rig.world.storeAndForward.depth('demo-a') === 0, 'it was acknowledged')
  await rig.close()
})

test('a late approval changes nothing, is recorded, and the reversal stands', async () => {
  const rig = await createRig({
    isHurried: true,
    answer: (request) => [
      {
        afterMs: request.mti.startsWith('01') ? HURRIED_MS + 60 : 1,
        message: answerOf(request, '00', { 38: 'LATE01' }),
      },
    ],
  })
  const body = bodyOf(await send(rig.world, 'k1'))
  assert.equal(body.responseCode, '91')
  await new Promise((resolve) => setTimeout(resolve, 150))
  const transaction = await rig.store.read(String(body.id))
  assert.equal(transaction?.lateAnswers[0]?.approved, true)
  assert.equal(transaction?.outcome?.outcome, 'declined')
  assert.equal(rig.asked().filter((message) => message.mti === '0420').length, 1)
  assert.equal(bodyOf(await send(rig.world, 'k1')).responseCode, '91')
  await rig.close()
})

test('an issuer that is down: declined 91, nothing to reverse', async () => {
  const rig = await createRig()
  rig.issuer.stop()
  rig.network.cut()
  await until(() => rig.world.issuers.get('demo-a')?.isUp === false, 'the link was down')
  const body = bodyOf(await send(rig.world, 'k1'))
  assert.equal(body.responseCode, '91')
  const transaction = await rig.store.read(String(body.id))
  assert.equal(transaction?.notSent, true)
  assert.equal(transaction?.deliveries.length, 0)
  await rig.close()
})

test('an inquiry without an answer is declined 91 and holds no money to reverse', async () => {
  const rig = await createRig({ isHurried: true, answer: () => [] })
  const body = bodyOf(await send(rig.world, 'k1', { type: 'balance_inquiry', amount: 0 }))
  assert.equal(body.responseCode, '91')
  assert.equal((await rig.store.read(String(body.id)))?.deliveries.length, 0)
  await rig.close()
})

test('85 approves an account verification and nothing else', async () => {
  const rig = await createRig({
    answer: (request) => [{ afterMs: 1, message: answerOf(request, '85') }],
  })
  const verified = bodyOf(await send(rig.world, 'k1', { type: 'account_verification', amount: 0 }))
  assert.equal(verified.outcome, 'approved')
  assert.equal(bodyOf(await send(rig.world, 'k2')).outcome, 'declined')
  await rig.close()
})

test('a partial approval says both amounts, or is reversed where the acquirer can’t take it', async () => {
  const partial = (request: IsoMessage): TimedAnswer[] => [
    {
      afterMs: 1,
      message: request.mti.startsWith('01')
        ? answerOf(request, '10', { 4: '000000001000', 38: 'PART01' })
        : answerOf(request, '00'),
    },
  ]
  const taking = await createRig({ answer: partial })
  const taken = bodyOf(await send(taking.world, 'k1'))
  assert.equal(taken.outcome, 'approved')
  assert.deepEqual([taken.amount, taken.requestedAmount], [1000, 2599])
  await taking.close()

  const [acquirer] = config.acquirers
  assert.ok(acquirer)
  const strict = { ...config, acquirers: [{ ...acquirer, acceptsPartialApproval: false }] }
  const refusing = await createRig({ answer: partial, config: strict })
  const refused = bodyOf(await send(refusing.world, 'k1'))
  assert.deepEqual([refused.outcome, refused.responseCode], ['declined', '51'])
  await until(() => refusing.asked().some(({ mti }) => mti === '0420'), 'the reversal came')
  await refusing.close()
})

test('what risk declines or challenges never reaches the issuer', async () => {
  const declining = await createRig({
    decision: { outcome: 'decline', reasons: ['velocity_device', 'x'], disclosedReasons: ['x'] },
  })
  const declined = bodyOf(await send(declining.world, 'k1'))
  assert.deepEqual([declined.outcome, declined.responseCode], ['declined', '59'])
  assert.deepEqual((declined.risk as { reasons: string[] }).reasons, ['x'])
  assert.equal(declining.asked().length, 0)
  await declining.close()

  const challenging = await createRig({ decision: { outcome: 'challenge' } })
  const challenged = bodyOf(await send(challenging.world, 'k1'))
  assert.deepEqual([challenged.outcome, challenged.responseCode], ['challenged', '70'])
  assert.equal(challenging.asked().length, 0)
  await challenging.close()
})

test('no route for the BIN: declined 92, recorded, nothing forwarded', async () => {
  const rig = await createRig()
  const card = { pan: '4111111111111111', expiry: '2912' }
  const body = bodyOf(await send(rig.world, 'k1', { card }))
  assert.deepEqual([body.outcome, body.responseCode], ['declined', '92'])
  // Nothing was sealed, so there is nothing that a token could stand for.
  assert.deepEqual(Object.keys(body.card as object), ['masked'])
  const own = bodyOf(
    await send(rig.world, 'k2', {
      card: { pan: '4111111111111111', expiry: '2912' },
      rrn: undefined,
    }),
  )
  assert.match(String(own.rrn), /^[0-9]{12}$/)
  assert.equal((await rig.store.read(String(body.id)))?.outcome?.cause, 'no_route')
  assert.equal(rig.asked().length, 0)
  await rig.close()
})

test('a token of an earlier answer pays, for its acquirer only', async () => {
  const [acquirer] = config.acquirers
  assert.ok(acquirer)
  const other = { ...acquirer, id: 'other', apiKeySha256: ['0'.repeat(64)] }
  const rig = await createRig({ config: { ...config, acquirers: [acquirer, other] } })
  const first = bodyOf(await send(rig.world, 'k1'))
  const { token, masked } = first.card as { token: string; masked: string }
  assert.equal(masked, '476173******0119')
  const second = bodyOf(await send(rig.world, 'k2', { card: { token } }))
  assert.equal(second.outcome, 'approved')
  assert.equal(rig.asked()[1]?.fields[2], BODY.card.pan)
  assert.equal(rig.asked()[1]?.fields[14], '2912')
  assert.equal(codeOf(await send(rig.world, 'k3', { card: { token } }, 1)), 'unknown_card_token')
  await rig.close()
})

test('a stored card that can’t be unsealed is refused for now, and a bug goes up', async () => {
  const rig = await createRig()
  const first = bodyOf(await send(rig.world, 'k1'))
  const card = { token: (first.card as { token: string }).token }
  const unsealing = (error: Error): World => {
    const vault = new CardVault(parts.keys, 'another')
    vault.unseal = () => {
      throw error
    }
    return { ...rig.world, vault }
  }
  const refused = await send(unsealing(new CardUnreadable('its key is gone')), 'k2', { card })
  assert.equal(codeOf(refused), 'store_unavailable')
  await assert.rejects(send(unsealing(new TypeError('a bug')), 'k3', { card }), TypeError)
  await rig.close()
})

test('a retry by token is the same after the card’s expiry was renewed in between', async () => {
  const rig = await createRig()
  const { token } = bodyOf(await send(rig.world, 'k1')).card as { token: string }
  const first = bodyOf(await send(rig.world, 'k2', { card: { token } }))
  bodyOf(await send(rig.world, 'k3', { card: { token, expiry: '3112' } }))
  const again = await send(rig.world, 'k2', { card: { token } })
  assert.deepEqual(bodyOf(again), first)
  assert.ok(again.kind === 'answer' && again.isReplay)
  const other = await send(rig.world, 'k2', { card: { token, expiry: '3112' } })
  assert.equal(codeOf(other), 'idempotency_key_reused')
  await rig.close()
})

test('an 85 that comes too late approves a verification, and no balance inquiry', async () => {
  const rig = await createRig({
    isHurried: true,
    answer: (request) => [{ afterMs: 250, message: answerOf(request, '85') }],
  })
  const late: boolean[] = []
  for (const [key, type] of [
    ['k1', 'balance_inquiry'],
    ['k2', 'account_verification'],
  ]) {
    const { id } = bodyOf(await send(rig.world, String(key), { type, amount: 0 }))
    await new Promise((resolve) => setTimeout(resolve, 200))
    const recorded = await rig.store.read(String(id))
    late.push(...(recorded?.lateAnswers.map(({ approved }) => approved) ?? []))
  }
  assert.deepEqual(late, [false, true])
  await rig.close()
})

test('a link that breaks under a request is its own cause, not a time-out', async () => {
  const rig = await createRig({ answer: () => [] })
  const running = send(rig.world, 'k1')
  await until(() => rig.asked().length === 1, 'the issuer was asked')
  rig.issuer.disconnect()
  const { id } = bodyOf(await running)
  assert.equal((await rig.store.read(String(id)))?.outcome?.cause, 'connection_lost')
  await rig.close()
})

test('a full disk: nothing is asked or approved, and the next one is refused at the door', async () => {
  const rig = await createRig()
  rig.disk.failWith('ENOSPC')
  assert.equal(codeOf(await send(rig.world, 'k1')), 'outcome_unknown')
  assert.equal(rig.asked().length, 0)
  assert.equal(rig.store.status.writable, false)
  assert.equal(codeOf(await send(rig.world, 'k2')), 'store_unavailable')
  await rig.close().catch(() => {})
})

test('an approval that can’t be kept is not answered; the next start reverses it once', async () => {
  const disk = new SimulatedDisk({ random: createSeededRandom(1) })
  const first = await createRig({
    disk,
    answer: (request) => {
      disk.failWith('EIO')
      return ACKNOWLEDGE(request)
    },
  })
  assert.equal(codeOf(await send(first.world, 'k1')), 'outcome_unknown')
  await first.close().catch(() => {})

  const second = await createRig({ disk: disk.restart('kill') })
  assert.deepEqual(second.recovered, { declined: 1, reversed: 1 })
  const body = bodyOf(await send(second.world, 'k1'))
  assert.deepEqual([body.outcome, body.responseCode], ['declined', '91'])
  assert.equal(body.rrn, BODY.rrn)
  await until(() => second.asked().some(({ mti }) => mti === '0420'), 'the reversal came')
  await until(() => second.world.storeAndForward.depth('demo-a') === 0, 'it was acknowledged')
  await second.close()

  const third = await createRig({ disk: second.disk.restart('power') })
  assert.deepEqual(third.recovered, { declined: 0, reversed: 0 })
  assert.equal(bodyOf(await send(third.world, 'k1')).responseCode, '91')
  assert.equal(third.asked().length, 0)
  await third.close()
})

test('a crash keeps every answered outcome', async () => {
  const first = await createRig({ isHurried: true })
  const bodies = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => bodyOf(await send(first.world, `k${i}`))),
  )
  const second = await createRig({ isHurried: true, disk: first.disk.restart('power') })
  assert.deepEqual(second.recovered, { declined: 0, reversed: 0 })
  for (const [i, body] of bodies.entries()) {
    assert.deepEqual(bodyOf(await send(second.world, `k${i}`)), body)
  }
  assert.equal(second.asked().length, 0)
  await first.close().catch(() => {})
  await second.close()
})

test('a closed door refuses what is new and answers what is known', async () => {
  const rig = await createRig()
  const body = bodyOf(await send(rig.world, 'k1'))
  rig.world.door.isOpen = false
  assert.equal(codeOf(await send(rig.world, 'k2')), 'draining')
  assert.deepEqual(bodyOf(await send(rig.world, 'k1')), body)
  await rig.close()
})

const withFailOver: Config = {
  ...config,
  routes: [{ bins: ['476173'], issuer: 'demo-a', failOver: ['demo-b'] }],
}

test('an issuer that is down: the next of the route is asked, with nothing to reverse', async () => {
  const rig = await createRig({ config: withFailOver, answerOfOther: ACKNOWLEDGE })
  rig.issuer.stop()
  rig.issuer.disconnect()
  await until(() => rig.world.issuers.get('demo-a')?.isUp === false, 'the link was down')
  const body = bodyOf(await send(rig.world, 'k1'))
  assert.deepEqual([body.outcome, body.issuer], ['approved', 'demo-b'])
  const transaction = await rig.store.read(String(body.id))
  const issuers = transaction?.attempts.map(({ issuer }) => issuer)
  assert.deepEqual(issuers, ['demo-a', 'demo-b'])
  assert.equal(transaction?.notSent, false)
  assert.equal(transaction?.deliveries.length, 0)
  assert.deepEqual([rig.asked().length, rig.otherAsked().length], [0, 1])
  await rig.close()
})

test('an unknown attempt is reversed, durably, before the next issuer is asked', async () => {
  let pendingWhenAsked = 0
  const rig = await createRig({
    config: withFailOver,
    answer: (request) => (request.mti === '0100' ? [] : ACKNOWLEDGE(request)),
    answerOfOther: (request) => {
      pendingWhenAsked = rig.store.status.queuedDeliveries
      return ACKNOWLEDGE(request)
    },
  })
  const reply = send(rig.world, 'k1')
  await until(() => rig.asked().length === 1, 'the first was asked')
  rig.issuer.disconnect()
  const body = bodyOf(await reply)
  assert.deepEqual([body.outcome, body.issuer], ['approved', 'demo-b'])
  assert.equal(pendingWhenAsked, 1)
  await until(() => rig.world.storeAndForward.depth('demo-a') === 0, 'it was acknowledged')
  assert.deepEqual(
    rig.asked().map(({ mti }) => mti),
    ['0100', '0420'],
  )
  assert.deepEqual(
    rig.otherAsked().map(({ mti }) => mti),
    ['0100'],
  )
  await rig.close()
})

test('two unknown attempts are two reversals, each at its issuer, and 91', async () => {
  const silent = (request: IsoMessage) => (request.mti === '0100' ? [] : ACKNOWLEDGE(request))
  const rig = await createRig({
    isHurried: true,
    config: withFailOver,
    answer: silent,
    answerOfOther: silent,
  })
  const body = bodyOf(await send(rig.world, 'k1'))
  assert.deepEqual([body.outcome, body.responseCode], ['declined', '91'])
  await until(() => rig.store.status.queuedDeliveries === 0, 'both were acknowledged')
  const transaction = await rig.store.read(String(body.id))
  const reversed = transaction?.deliveries.map(({ message, state }) => [message.issuer, state])
  assert.deepEqual(
    reversed,
    transaction?.attempts.map(({ issuer }) => [issuer, 'acknowledged']),
  )
  for (const asked of [rig.asked(), rig.otherAsked()]) {
    assert.deepEqual(
      asked.map(({ mti }) => mti),
      ['0100', '0420'],
    )
  }
  await rig.close()
})

test('a further issuer gets no more time than the deadline leaves after its attempt is durable', async () => {
  const { deadlines } = withFailOver
  const tight = {
    ...withFailOver,
    deadlines: { ...deadlines, acquirerMs: 1_000, durabilityMs: 300 },
  }
  let isSlow = false
  const slowly = async (work: Promise<void>) => {
    if (isSlow) await new Promise((resolve) => setTimeout(resolve, 500))
    return work
  }
  const rig = await createRig({
    isHurried: true,
    config: tight,
    answer: (request) => (request.mti === '0100' ? [] : ACKNOWLEDGE(request)),
    answerOfOther: ACKNOWLEDGE,
    around: (disk) => ({
      list: () => disk.list(),
      remove: (name) => disk.remove(name),
      rename: (name, to) => disk.rename(name, to),
      open: async (name) => {
        const file = await disk.open(name)
        return { ...file, append: file.append, sync: () => slowly(file.sync()) }
      },
    }),
  })
  const startedMs = performance.now()
  const further = rig.world.issuers.get('demo-b')
  assert.ok(further)
  const ask = further.ask.bind(further)
  // On a machine that is too slow it is not asked at all, which is in time as well.
  let spareMs = 0
  further.ask = (attempt, card, timeoutMs) => {
    spareMs = 1_000 - 300 - (performance.now() - startedMs) - timeoutMs
    return ask(attempt, card, timeoutMs)
  }
  const reply = send(rig.world, 'k1')
  await until(() => rig.asked().length === 1, 'the first was asked')
  isSlow = true
  await reply
  assert.ok(spareMs > -20, `${spareMs} ms to spare`)
  await rig.close()
})

test('a further attempt that a reversal did not know of is reversed too, and counted', async () => {
  const rig = await createRig({
    config: withFailOver,
    answerOfOther: (request) => (request.mti === '0100' ? [] : ACKNOWLEDGE(request)),
  })
  rig.issuer.stop()
  rig.issuer.disconnect()
  await until(() => rig.world.issuers.get('demo-a')?.isUp === false, 'the link was down')
  const reply = send(rig.world, 'k1')
  await until(() => rig.otherAsked().length === 1, 'the other issuer was asked')
  const [found] = await rig.store.findByRrn('demo', BODY.rrn, 1)
  assert.ok(found)
  // As a reversal reads it that comes before the further attempt and judges after it.
  const before = { ...found, attempts: found.attempts.slice(0, 1) }
  const store = new Proxy(rig.store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (name === 'read') return async () => before
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const [acquirer] = config.acquirers
  assert.ok(acquirer)
  const request = parseStep('reversal', found.intent.id, {})
  assert.ok(request.kind !== 'refused')
  await reverse({ ...rig.world, store }, acquirer, 'r1', request)
  rig.issuers.get('demo-b')?.disconnect()
  assert.equal(bodyOf(await reply).outcome, 'declined')
  await until(() => rig.otherAsked().length === 2, 'the further attempt was reversed')
  assert.match(await rig.metrics(), /reversals_total\{cause="acquirer"\} 2/)
  await rig.close()
})

test('an unknown inquiry is not asked elsewhere: there is no reversal to come first', async () => {
  const rig = await createRig({
    isHurried: true,
    config: withFailOver,
    answer: () => [],
    answerOfOther: ACKNOWLEDGE,
  })
  const body = bodyOf(await send(rig.world, 'k1', { type: 'balance_inquiry', amount: 0 }))
  assert.equal(body.responseCode, '91')
  assert.equal(rig.otherAsked().length, 0)
  await rig.close()
})

test('a crash after a fail-over reverses the further attempt, and the first no second time', async () => {
  const disk = new SimulatedDisk({ random: createSeededRandom(1) })
  const first = await createRig({
    disk,
    config: withFailOver,
    answer: () => [],
    answerOfOther: (request) => {
      disk.failWith('EIO')
      return ACKNOWLEDGE(request)
    },
  })
  const hold = { type: 'preauthorization', initialReference: 'MCC0000011122' }
  const reply = send(first.world, 'k1', hold)
  await until(() => first.asked().length === 1, 'the first was asked')
  first.issuer.disconnect()
  assert.equal(codeOf(await reply), 'outcome_unknown')
  const saysOf = ({ fields }: IsoMessage) => [fields[25], fields[48]]
  for (const request of [...first.asked(), ...first.otherAsked()]) {
    assert.deepEqual(saysOf(request), ['06', '6313MCC0000011122'])
  }
  await first.close().catch(() => {})

  // Today's routes know nothing of demo-b: the record does.
  const second = await createRig({ disk: disk.restart('kill'), answerOfOther: ACKNOWLEDGE })
  assert.deepEqual(second.recovered, { declined: 1, reversed: 1 })
  await until(() => second.store.status.queuedDeliveries === 0, 'both were acknowledged')
  assert.deepEqual([second.asked().length, second.otherAsked().length], [1, 1])
  // What is reversed is what was asked, also by whoever knows it from the record alone.
  for (const reversal of [...second.asked(), ...second.otherAsked()]) {
    assert.deepEqual([reversal.mti.slice(0, 3), ...saysOf(reversal)], ['042', '06', undefined])
  }
  assert.equal(bodyOf(await send(second.world, 'k1', hold)).responseCode, '91')
  await second.close()
})
