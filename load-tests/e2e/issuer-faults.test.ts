// Issuers that are late, silent, gone or confused: a decision in time, and one reversal for
// whatever may have been approved.

import assert from 'node:assert/strict'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { isLive } from '../issuer/index.ts'
import { startIssuer } from '../processes/index.ts'
import { entriesOf, eventually, purchase, type System, startSystem } from './system.ts'

const issuerTimeoutMs = 700
let system: System
before(async () => {
  system = await startSystem({ issuerTimeoutMs })
})
after(() => system?.stop())

async function isReversedOnce(amount: number, issuer = system.demoA): Promise<void> {
  const entries = await entriesOf(issuer, amount)
  assert.equal(entries.length, 1)
  const reversals = entries[0]?.reversals ?? []
  assert.deepEqual(
    reversals.map(({ effective }) => effective),
    [true],
  )
}

test('no answer at all: declined 91 in time, and the approval is reversed once', async () => {
  const sentAt = performance.now()
  const answer = await system.post('silent', purchase(1, 4068, '541333'))
  const tookMs = performance.now() - sentAt
  assert.deepEqual([answer.body.outcome, answer.body.responseCode], ['declined', '91'])
  assert.ok(tookMs >= issuerTimeoutMs && tookMs < 30_000, `${tookMs} ms`)
  await eventually(() => isReversedOnce(4068, system.demoB))
  const again = await system.post('silent', purchase(1, 4068, '541333'))
  assert.ok(again.bytes.equals(answer.bytes))
})

test('a late approval changes nothing and adds no second reversal', async () => {
  await system.demoA.setBehaviour({ delayMs: issuerTimeoutMs + 400 })
  const answer = await system.post('late', purchase(2, 4002))
  assert.deepEqual([answer.body.outcome, answer.body.responseCode], ['declined', '91'])
  await system.demoA.setBehaviour({ delayMs: 0 })
  await eventually(() => isReversedOnce(4002))
  const later = await system.get(`/v1/authorizations/${answer.body.id}`)
  assert.ok(later.bytes.equals(answer.bytes))
})

test('duplicated and overtaking answers reach the requests they belong to', async () => {
  await system.demoA.setBehaviour({ duplicatePercent: 40, reorderPercent: 40 })
  const amounts = Array.from({ length: 60 }, (_, i) => 4_100 + i)
  const answers = await Promise.all(
    amounts.map((amount, i) => system.post(`crossed-${amount}`, purchase(100 + i, amount))),
  )
  await system.demoA.setBehaviour({ duplicatePercent: 0, reorderPercent: 0 })
  for (const [i, { body }] of answers.entries()) {
    assert.equal(body.outcome, 'approved')
    const [entry, ...others] = await entriesOf(system.demoA, amounts[i] ?? 0)
    assert.deepEqual(others, [])
    assert.equal(entry?.approvalCode, body.approvalCode)
    assert.deepEqual(entry?.reversals, [])
  }
})

test('the connection is cut instead of an answer: 91, reversed', async () => {
  await system.demoA.setBehaviour({ dropPercent: 100 })
  const answer = await system.post('cut', purchase(3, 4003))
  await system.demoA.setBehaviour({ dropPercent: 0 })
  assert.deepEqual([answer.body.outcome, answer.body.responseCode], ['declined', '91'])
  await eventually(() => isReversedOnce(4003))
})

test('a request that was lost: the reversal is refused 25 and repeated, and nothing stays', async () => {
  await system.demoA.setBehaviour({ losePercent: 100 })
  const answer = await system.post('lost', purchase(4, 4004))
  await system.demoA.setBehaviour({ losePercent: 0 })
  assert.equal(answer.body.responseCode, '91')
  await eventually(async () =>
    assert.ok((await system.demoA.status()).earlyReversals >= 1, 'not yet'),
  )
  assert.deepEqual((await entriesOf(system.demoA, 4004)).filter(isLive), [])
})

test('the issuer is killed with a request in flight: its reversal reaches it when it is back', async () => {
  await system.demoA.setBehaviour({ silentPercent: 100 })
  const posted = system.post('killed', purchase(5, 4005))
  await eventually(async () => assert.equal((await entriesOf(system.demoA, 4005)).length, 1))
  await system.demoA.kill('SIGKILL')
  const answer = await posted
  assert.deepEqual([answer.body.outcome, answer.body.responseCode], ['declined', '91'])
  const down = await system.post('while-down', purchase(6, 4006))
  assert.deepEqual([down.body.outcome, down.body.responseCode], ['declined', '91'])

  const back = await startIssuer({
    name: 'demo-a',
    port: system.demoA.port,
    ledgerFile: path.join(system.folder, 'demo-a.ndjson'),
  })
  await eventually(() => isReversedOnce(4005, back))
  // Certainly not sent: nothing to reverse, and the issuer never heard of it.
  assert.deepEqual(await entriesOf(back, 4006), [])
  await eventually(async () => {
    const answer = await system.post(`after-${performance.now()}`, purchase(7, 4007))
    assert.equal(answer.body.outcome, 'approved')
  })
  await back.stop()
})
