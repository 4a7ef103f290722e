// An issuer that is gone or silent: the switch answers in its place within its policy and tells it
// when it is back, in order; the issuer's books agree with what acquirers were told.

import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { isLive, positionOf } from '../issuer/index.ts'
import { entriesOf, eventually, purchase, type System, startSystem } from './system.ts'

const issuerTimeoutMs = 700
const standIn = {
  currency: 'EUR',
  amountMax: 50_000,
  card: { countMax: 2, sumMax: 90_000 },
  bin: { countMax: 1_000, sumMax: 10_000_000 },
  mccs: ['5411'],
  scoreMax: 1,
}

let system: System
before(async () => {
  const issuerSettings = { 'demo-a': { standIn } }
  system = await startSystem({ issuerTimeoutMs, issuerSettings })
})
after(() => system?.stop())

async function killIssuer(): Promise<void> {
  await system.demoA.kill()
}

async function reviveIssuer(): Promise<void> {
  system.demoA = await system.revive(system.demoA)
}

/** The one entry of that amount that stands, and the others that don't. */
async function standingEntry(amount: number) {
  const entries = await entriesOf(system.demoA, amount)
  const live = entries.filter(isLive)
  assert.equal(live.length, 1, `${live.length} approvals of ${amount} stand at the issuer`)
  const [entry] = live
  assert.ok(entry)
  return { entry, others: entries.filter((one) => one !== entry) }
}

test('issuer killed, stood in for, back: advice and capture in order, books balanced', async () => {
  await killIssuer()
  const paid = await system.post('gone', purchase(1, 7001))
  assert.deepEqual(
    [paid.body.outcome, paid.body.standIn],
    ['approved', true],
    paid.bytes.toString(),
  )
  const captured = await system.step(paid.body.id, 'captures', 'gone-c', { amount: 5000 })
  const released = await system.step(paid.body.id, 'reversals', 'gone-r')
  assert.deepEqual([captured.body.outcome, released.body.outcome], ['approved', 'approved'])
  await reviveIssuer()
  await eventually(async () => {
    const { entry, others } = await standingEntry(7001)
    assert.deepEqual(others, [])
    assert.equal(entry.approvalCode, paid.body.approvalCode)
    const position = positionOf(entry, [])
    assert.deepEqual(position, { authorized: 7001, captured: 5000, reversed: 2001, refunded: 0 })
  })
  const refunded = await system.step(paid.body.id, 'refunds', 'gone-f', { amount: 1000 })
  assert.equal(refunded.body.outcome, 'approved', refunded.bytes.toString())
  const again = await system.post('gone', purchase(1, 7001))
  assert.ok(again.bytes.equals(paid.bytes))
})

test('a time-out: the issuer’s late approval is reversed, and the advice stands', async () => {
  await system.demoA.setBehaviour({ delayMs: issuerTimeoutMs + 400 })
  const paid = await system.post('late', purchase(2, 7002))
  assert.deepEqual(
    [paid.body.outcome, paid.body.standIn],
    ['approved', true],
    paid.bytes.toString(),
  )
  await system.demoA.setBehaviour({ delayMs: 0 })
  await eventually(async () => {
    const { entry, others } = await standingEntry(7002)
    assert.equal(entry.mti.slice(0, 3), '012')
    assert.equal(entry.approvalCode, paid.body.approvalCode)
    const reversals = others.flatMap((one) => one.reversals.map(({ effective }) => effective))
    assert.deepEqual([others.length, reversals], [1, [true]])
  })
  const later = await system.get(`/v1/authorizations/${paid.body.id}`)
  assert.ok(later.bytes.equals(paid.bytes))
})

test('limits and advices outlive kill -9, and no limit is passed by a crowd', async () => {
  await killIssuer()
  const crowd = await Promise.all(
    Array.from({ length: 6 }, (_, i) => system.post(`crowd-${i}`, purchase(3, 7100 + i))),
  )
  const approved = crowd.filter(({ body }) => body.outcome === 'approved')
  assert.equal(approved.length, standIn.card.countMax)
  assert.ok(approved.every(({ body }) => body.standIn === true))
  await system.running.kill('SIGKILL')
  await system.restart()
  const further = await system.post('crowd-further', purchase(3, 7200))
  assert.deepEqual([further.body.outcome, further.body.responseCode], ['declined', '91'])
  const other = await system.post('crowd-other', purchase(4, 7201))
  assert.equal(other.body.standIn, true, 'another card has its own counter')
  await reviveIssuer()
  await eventually(async () => {
    for (const { body } of [...approved, other]) {
      const { entry } = await standingEntry(Number(body.amount))
      assert.equal(entry.approvalCode, body.approvalCode)
    }
    const told = (await system.demoA.ledger()).filter(({ amount }) => amount >= 7100)
    assert.equal(told.length, approved.length + 1, 'nothing else reached the issuer')
  })
})

test('an advice over HTTP is taken while its issuer is gone, and told when it is back', async () => {
  await killIssuer()
  const { type: _, ...fields } = purchase(5, 7005)
  const advice = { ...fields, type: 'sale', approvalCode: 'OFF123', reasonCode: '1004' }
  const taken = await system.advise('offline', advice)
  assert.equal(taken.status, 200, taken.bytes.toString())
  assert.deepEqual([taken.body.outcome, taken.body.responseCode], ['approved', '00'])
  for (const path of ['advices', 'authorizations']) {
    const found = await system.get(`/v1/${path}/${taken.body.id}`)
    assert.ok(found.bytes.equals(taken.bytes), path)
  }
  const again = await system.advise('offline', advice)
  assert.equal(again.headers.get('idempotent-replayed'), 'true')
  assert.ok(again.bytes.equals(taken.bytes))
  const changed = await system.advise('offline', { ...advice, amount: 7006 })
  assert.equal(changed.body.code, 'idempotency_key_reused')
  await system.running.kill('SIGKILL')
  await system.restart()
  await reviveIssuer()
  await eventually(async () => {
    const { entry, others } = await standingEntry(7005)
    assert.deepEqual(others, [])
    assert.deepEqual([entry.mti.slice(0, 3), entry.approvalCode], ['022', 'OFF123'])
  })
  const refunded = await system.step(taken.body.id, 'refunds', 'offline-f', { amount: 5 })
  assert.equal(refunded.body.outcome, 'approved', refunded.bytes.toString())
})
