import assert from 'node:assert/strict'
import { test } from 'node:test'
import pino from 'pino'
import { takeLateAnswer } from './late-answers.ts'
import { Journal } from './observe/index.ts'
import { SAMPLE_ATTEMPT } from './simulation/index.ts'
import { type Attempt, StoreFault } from './store/index.ts'

const attempt: Attempt = {
  ...SAMPLE_ATTEMPT,
  issuer: 'demo-a',
  stan: '000001',
  transmittedAt: '1122100000',
  rrn: '632610000001',
}

/** Whether store-and-forward was told of the approval that the store rejects with `error`. */
async function told(error: Error, responseCode = '00'): Promise<boolean> {
  let isTold = false
  const world = {
    attemptOwners: new WeakMap([[attempt, 'auth_1']]),
    clock: { now: () => 0, monotonic: () => 0 },
    journal: new Journal({ log: pino({ level: 'silent' }), oneLineIn: 1, version: 'test' }),
    store: { recordLateAnswer: () => Promise.reject(error) },
    storeAndForward: {
      lateApproval: () => {
        isTold = true
      },
    },
  }
  const answer = { responseCode, approvalCode: null, amount: 2_599 }
  await takeLateAnswer(world as unknown as Parameters<typeof takeLateAnswer>[0], {
    attempt,
    answer,
  })
  return isTold
}

test('a disk that does not read is no bug: the approval is undone all the same', async () => {
  const unreadable = Object.assign(new Error('EIO: input/output error, read'), { code: 'EIO' })
  assert.equal(await told(unreadable), true)
  assert.equal(await told(unreadable, '51'), false)
})

test('a store that failed ends the process by itself; anything else is a bug', async () => {
  assert.equal(await told(new StoreFault('a flush failed')), false)
  await assert.rejects(told(new TypeError('a bug')), TypeError)
})
