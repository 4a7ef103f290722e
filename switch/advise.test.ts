import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { simulatedParts } from './adapters/simulated-parts.ts'
import { parseAdvice } from './advice-request.ts'
import { advise } from './advise.ts'
import { authorize } from './authorize.ts'
import { capture } from './capture.ts'
import { parseAuthorization } from './message.ts'
import type { Reply } from './respond.ts'
import { reverse } from './reverse.ts'
import {
  bodyOf,
  createSimulatedSwitch,
  type SimulatedSwitch,
  type SimulatedSwitchOptions,
} from './simulated-switch.ts'
import { answerOf } from './simulation/index.ts'
import { parseStep } from './steps/index.ts'
import type { TransactionStore } from './store/index.ts'
import type { World } from './world.ts'

const parts = simulatedParts()
const opened: SimulatedSwitch[] = []
// One that was left to its crash goes on dialling, and would keep this process from ending.
after(() => Promise.allSettled(opened.map((rig) => rig.close())))
const open = async (changes: Partial<SimulatedSwitchOptions> = {}) => {
  const rig = await createSimulatedSwitch({ ...parts, ...changes })
  opened.push(rig)
  return rig
}

const BODY = {
  type: 'sale',
  amount: 2599,
  currency: 'EUR',
  channel: 'pos',
  card: { pan: '4761739001010119', expiry: '2912' },
  merchant: { id: 'M-1001', name: 'Corner Shop', mcc: '5411', country: 'DE' },
  rrn: '632610000123',
  approvalCode: 'OFF123',
  reasonCode: '1004',
}

function tell(world: World, key: string, changes: Record<string, unknown> = {}): Promise<Reply> {
  const [acquirer] = world.config.acquirers
  const request = parseAdvice({ ...BODY, ...changes })
  assert.ok(acquirer !== undefined && !('kind' in request), JSON.stringify(request))
  return advise(world, acquirer, key, request)
}

function codeOf(reply: Reply | { kind: 'refused'; code: string } | object): string {
  return 'code' in reply ? String(reply.code) : JSON.stringify(reply)
}

test('an advice is taken while its issuer is away, and told as 0220 when it is back', async () => {
  const rig = await open({ unreachable: ['demo-a'], decision: { outcome: 'decline' } })
  const body = bodyOf(await tell(rig.world, 'a1'))
  assert.match(String(body.id), /^adv_[0-9A-Z]{26}$/)
  assert.deepEqual(
    [body.type, body.outcome, body.responseCode, body.approvalCode, body.amount, body.standIn],
    ['sale', 'approved', '00', 'OFF123', 2599, false],
  )
  assert.deepEqual(body.advice, { responseCode: '00', reasonCode: '1004' })
  assert.equal(rig.published.length, 1)
  assert.deepEqual((await rig.store.read(String(body.id)))?.outcome?.decision?.outcome, 'decline')
  rig.listen('demo-a')
  const { until, world } = rig
  await until(() => world.storeAndForward.depth('demo-a') === 0, 'the advice was acknowledged')
  const [told, ...more] = rig.asked('demo-a')
  assert.deepEqual(more, [])
  assert.equal(told?.mti, '0220')
  const fields = [2, 4, 14, 38, 39, 90].map((field) => told?.fields[field])
  const { pan, expiry } = BODY.card
  assert.deepEqual(fields, [pan, '000000002599', expiry, 'OFF123', '00', undefined])
  await rig.close()
})

test('the same advice again is answered alike and told once; another one is refused', async () => {
  const rig = await open()
  const [first, second] = await Promise.all([tell(rig.world, 'a1'), tell(rig.world, 'a1')])
  const third = await tell(rig.world, 'a1')
  assert.deepEqual(bodyOf(second), bodyOf(first))
  assert.ok(third.kind === 'answer' && third.isReplay)
  assert.equal(codeOf(await tell(rig.world, 'a1', { approvalCode: 'X' })), 'idempotency_key_reused')
  await rig.until(() => rig.world.storeAndForward.depth('demo-a') === 0, 'acknowledged')
  assert.equal(rig.asked('demo-a').length, 1)
  await rig.close()
})

test('what follows an advice names its numbers, and comes after it', async () => {
  const rig = await open({ unreachable: ['demo-a'] })
  const { world } = rig
  const [acquirer] = world.config.acquirers
  assert.ok(acquirer)
  const id = String(bodyOf(await tell(world, 'a1', { type: 'authorization' })).id)
  const part = parseStep('capture', id, { amount: 1000 })
  const rest = parseStep('reversal', id, {})
  assert.ok(part.kind !== 'refused' && rest.kind !== 'refused')
  bodyOf(await capture(world, acquirer, 'c1', part))
  bodyOf(await reverse(world, acquirer, 'r1', rest))
  rig.listen('demo-a')
  await rig.until(() => world.storeAndForward.depth('demo-a') === 0, 'all were acknowledged')
  const told = rig.asked('demo-a')
  assert.deepEqual(
    told.map(({ mti }) => mti),
    ['0120', '0220', '0420'],
  )
  const original = `0120${told[0]?.fields[11]}${told[0]?.fields[7]}`
  for (const message of told.slice(1)) {
    assert.equal(String(message.fields[90]).slice(0, 20), original)
  }
  await rig.close()
})

test('after a restart it is told in the same numbers', async () => {
  const first = await open({ unreachable: ['demo-a'] })
  const { id } = bodyOf(await tell(first.world, 'a1'))
  const queued = (await first.store.read(String(id)))?.outcome?.advice
  const next = await open({ disk: first.disk.restart('kill') })
  await next.until(() => next.world.storeAndForward.depth('demo-a') === 0, 'acknowledged')
  const [told, ...more] = next.asked('demo-a')
  assert.deepEqual(more, [])
  assert.deepEqual([told?.mti, told?.fields[11]], ['0220', queued?.stan])
  await next.close()
})

test('a refused advice is a dead letter, and told once', async () => {
  const rig = await open({
    answer: (request) => [{ afterMs: 1, message: answerOf(request, '05') }],
  })
  bodyOf(await tell(rig.world, 'a1'))
  await rig.until(() => rig.world.storeAndForward.deadLetters('demo-a') === 1, 'it is dead')
  assert.equal(rig.asked('demo-a').length, 1)
  await rig.close()
})

test('what had been declined is told too, and holds no money', async () => {
  const rig = await open()
  const body = bodyOf(await tell(rig.world, 'a1', { responseCode: '05', approvalCode: undefined }))
  assert.deepEqual([body.outcome, body.responseCode], ['declined', '00'])
  await rig.until(() => rig.asked('demo-a').length === 1, 'it was told')
  assert.equal(rig.asked('demo-a')[0]?.fields[39], '05')
  await rig.close()
})

test('a card of nobody, an inquiry and a wrong field are refused, and keep no key', async () => {
  const rig = await open()
  const elsewhere = { pan: '4012888888881881', expiry: '2912' }
  assert.equal(codeOf(await tell(rig.world, 'a1', { card: elsewhere })), 'no_route')
  const inquiry = { ...BODY, type: 'balance_inquiry', amount: 0 }
  assert.equal(codeOf(parseAdvice(inquiry)), 'invalid_field')
  assert.equal(codeOf(parseAdvice({ ...BODY, responseCode: 0 })), 'invalid_field')
  assert.equal(codeOf(parseAdvice({ ...BODY, amuont: 1 })), 'unknown_field')
  assert.equal(codeOf(parseAdvice('x')), 'invalid_field')
  assert.equal(rig.store.findKey('demo', 'a1'), undefined)
  await rig.close()
})

test('a key that is known is answered before a token that is known no more', async () => {
  const rig = await open()
  const { world } = rig
  const first = bodyOf(await tell(world, 'a1'))
  const { token } = first.card as { token: string }
  const again = { card: { token } }
  assert.deepEqual(bodyOf(await tell(world, 'a2', again)).outcome, 'approved')
  const [acquirer] = world.config.acquirers
  const { reasonCode: _, approvalCode: __, ...body } = BODY
  const paid = parseAuthorization({ ...body, ...again })
  assert.ok(acquirer !== undefined && !('kind' in paid))
  const answer = bodyOf(await authorize(world, acquirer, 'p1', paid, undefined))
  // Erased, as after the retention of card data: no token is found.
  const erased = { ...world, store: withoutCards(world.store) }
  const replayed = await authorize(erased, acquirer, 'p1', paid, undefined)
  assert.deepEqual(bodyOf(replayed), answer)
  assert.ok(replayed.kind === 'answer' && replayed.isReplay)
  assert.deepEqual(bodyOf(await tell(erased, 'a2', again)).outcome, 'approved')
  const other = { ...paid, amount: 1 }
  assert.equal(
    codeOf(await authorize(erased, acquirer, 'p1', other, undefined)),
    'idempotency_key_reused',
  )
  assert.equal(
    codeOf(await authorize(erased, acquirer, 'p2', paid, undefined)),
    'unknown_card_token',
  )
  assert.equal(codeOf(await tell(erased, 'a3', again)), 'unknown_card_token')
  await rig.close()
})

/** The same store after its card data was erased. */
function withoutCards(store: TransactionStore): TransactionStore {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'findCard') return async () => undefined
      const member = Reflect.get(target, name, target)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

test('what a start ends is counted', async () => {
  const rig = await open({ answer: () => [] })
  const [acquirer] = rig.world.config.acquirers
  const { reasonCode: _, approvalCode: __, ...body } = BODY
  const request = parseAuthorization(body)
  assert.ok(acquirer !== undefined && !('kind' in request))
  void authorize(rig.world, acquirer, 'p1', request, undefined).catch(() => {})
  await rig.until(() => rig.asked('demo-a').length === 1, 'the issuer was asked')
  const next = await open({ disk: rig.disk.restart('kill') })
  const metrics = await next.metrics()
  assert.match(metrics, /authorizations_total\{outcome="declined",channel="pos"\} 1/)
  assert.match(metrics, /reversals_total\{cause="recovery"\} 1/)
  await next.close()
})
