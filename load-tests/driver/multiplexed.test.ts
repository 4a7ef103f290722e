import assert from 'node:assert/strict'
import test from 'node:test'
import type { DoorAnswer } from './door.ts'
import { inFlightPerConnectionMax } from './limits.ts'
import { type Lane, Multiplexed } from './multiplexed.ts'

const approved: DoorAnswer = {
  kind: 'outcome',
  outcome: 'approved',
  issuer: 'demo-a',
  approvalCode: '000001',
  amount: 100,
  standIn: false,
}

interface Line {
  readonly lane: Lane
  readonly written: number[]
  isDestroyed: boolean
  destroy(): void
}

async function open(count: number) {
  const lines: Line[] = []
  const told: [number, string][] = []
  let idles = 0
  const multiplexed = new Multiplexed<Line>(
    {
      onAnswer: (token, answer) => told.push([token, answer.kind]),
      onNoAnswer: (token, why) => told.push([token, why]),
      onIdle: () => idles++,
      onConnectFailed: () => undefined,
    },
    async (lane) => {
      const line: Line = {
        lane,
        written: [],
        isDestroyed: false,
        destroy: () => {
          line.isDestroyed = true
        },
      }
      lines.push(line)
      return line
    },
  )
  await multiplexed.open(count)
  const send = (token: number) => multiplexed.send(token, (line) => line.written.push(token))
  return { multiplexed, lines, told, send, idles: () => idles }
}

test('connections take turns, and each only as much as it may carry', async () => {
  const { multiplexed, lines, send } = await open(2)
  let taken = 0
  while (send(taken)) taken++
  assert.equal(taken, 2 * inFlightPerConnectionMax)
  assert.deepEqual(
    lines.map(({ written }) => written.slice(0, 2)),
    [
      [0, 2],
      [1, 3],
    ],
  )
  lines[0]?.lane.settle(0, approved)
  assert.ok(send(taken), 'an answer makes room')
  multiplexed.close()
  assert.ok(lines.every(({ isDestroyed }) => isDestroyed))
})

test('an answer settles once, and only what its own connection carries', async () => {
  const { multiplexed, lines, told, send } = await open(2)
  send(7)
  lines[1]?.lane.settle(7, approved)
  assert.deepEqual(told, [], 'the other connection carries it')
  lines[0]?.lane.settle(7, approved)
  lines[0]?.lane.settle(7, approved)
  assert.deepEqual(told, [[7, 'outcome']])
  multiplexed.close()
})

test('a connection that ends gives up what it carried, and a late answer is nobody’s', async () => {
  const { multiplexed, lines, told, send } = await open(1)
  send(1)
  send(2)
  multiplexed.giveUp(1)
  lines[0]?.lane.settle(1, approved)
  lines[0]?.lane.lost()
  assert.deepEqual(told, [
    [1, 'timeout'],
    [2, 'connection_closed'],
  ])
  assert.ok(!send(3), 'nothing is open until it is dialled again')
  multiplexed.close()
})
