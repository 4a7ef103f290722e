// Labels of real payments on simulated disk and network, and what velocity hears of them.

import assert from 'node:assert/strict'
import test from 'node:test'
import { simulatedParts } from '../adapters/simulated-parts.ts'
import { authorize } from '../authorize.ts'
import { parseAuthorization } from '../message.ts'
import { bodyOf, createSimulatedSwitch } from '../simulated-switch.ts'
import { type LabelItem, recordLabels } from './labels.ts'
import { tellLabels } from './tell-labels.ts'

const parts = simulatedParts(10_000)

test('velocity hears when a payment becomes a fraud, and when it is none any more', async () => {
  let nowMs = parts.clock.now()
  const clock = { ...parts.clock, now: () => nowMs }
  const rig = await createSimulatedSwitch({ ...parts, clock, unreachable: ['demo-b'] })
  const { world, store, published } = rig
  const request = parseAuthorization({
    amount: 2599,
    currency: 'EUR',
    channel: 'pos',
    card: { pan: '4761739001010119', expiry: '2912' },
    merchant: { id: 'M-1001', mcc: '5411' },
    terminal: { id: 'T-0001' },
  })
  const [acquirer] = parts.config.acquirers
  assert.ok(!('kind' in request) && acquirer !== undefined)
  const reply = await authorize(world, acquirer, 'key', request, undefined)
  const id = String(bodyOf(reply).id)
  const arrivedAtMs = published[0]?.request.arrivedAtMs
  let heard = published.length
  const tell = async (...labels: readonly (readonly [LabelItem['kind'], number])[]) => {
    nowMs += 1_000
    const items = labels.map(([kind, knownAtMs]): LabelItem => {
      return { transaction: { id }, kind, knownAtMs }
    })
    const sinceMs = nowMs
    await recordLabels(store, clock, items)
    await tellLabels(world, [id, id], sinceMs)
    const kinds = published.slice(heard).map(({ kind }) => kind)
    heard = published.length
    return kinds
  }
  assert.deepEqual(await tell(['dispute', 1]), [])
  assert.deepEqual(await tell(['chargeback', 10]), ['fraud'])
  assert.deepEqual(await tell(['chargeback', 10]), [], 'known')
  assert.deepEqual(await tell(['confirmed_fraud', 20]), [], 'it was one already')
  assert.deepEqual(await tell(['genuine', 15]), [], 'the one known last counts')
  assert.deepEqual(await tell(['genuine', 30]), ['cleared'])
  assert.deepEqual(await tell(['chargeback', 40], ['dispute', 50]), [], 'taken back at once')
  assert.deepEqual(await tell(['confirmed_fraud', 60]), ['fraud'])
  // It is told by the entities and the time of the payment, whatever the label's own.
  const told = published.at(-1)
  assert.equal(told?.request.arrivedAtMs, arrivedAtMs)
  assert.equal(told?.request.terminal?.id, 'T-0001')
  await rig.close()
})
