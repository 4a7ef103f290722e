import assert from 'node:assert/strict'
import test from 'node:test'
import { requeue } from './requeue.ts'
import type { Delivery, DeliveryState, Transaction } from './store/index.ts'

/** One transaction with two dead messages; reads and writes take a turn, as on a disk. */
function store() {
  const states: Record<string, DeliveryState> = { authorization: 'dead', capture: 'dead' }
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
  return {
    states,
    async read(id: string): Promise<Transaction | undefined> {
      await turn()
      if (id !== 'auth_1') return undefined
      const deliveries = Object.entries(states).map(([step, state]) => ({
        message: { transactionId: id, step, mti: '0420' },
        state,
        sends: 3,
        lastResponseCode: '12',
      }))
      return { intent: {}, steps: [], deliveries } as unknown as Transaction
    },
    async updateDelivery(_id: string, step: string, { state }: { state: DeliveryState }) {
      if (states[step] === 'acknowledged') throw new Error(`the ${step} delivery is acknowledged`)
      states[step] = state
      await turn()
    },
  }
}

test('dead messages are queued again, as the repeats they are', async () => {
  const taken: Delivery[] = []
  const again = await requeue(store(), 'auth_1', (delivery) => taken.push(delivery))
  assert.deepEqual(again, { queued: 2, takenBack: 0 })
  assert.deepEqual(
    taken.map(({ message, state, sends }) => [message.step, state, sends]),
    [
      ['authorization', 'queued', 1],
      ['capture', 'queued', 1],
    ],
  )
  assert.equal(await requeue(store(), 'auth_2', () => undefined), undefined)
})

test('two requeues at once send each message once, though one is acknowledged meanwhile', async () => {
  const one = store()
  let taken = 0
  // Acknowledged as soon as it is sent: what comes later may not touch it.
  const take = ({ message }: Delivery) => {
    taken++
    one.states[message.step] = 'acknowledged'
  }
  const counts = await Promise.all([requeue(one, 'auth_1', take), requeue(one, 'auth_1', take)])
  assert.equal((counts[0]?.queued ?? 0) + (counts[1]?.queued ?? 0), 2)
  assert.equal(taken, 2)
})
