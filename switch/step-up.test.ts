import assert from 'node:assert/strict'
import test from 'node:test'
import { riskEffect } from './step-up.ts'

const toReview = { elsewhere: 'review', stepUpCode: '65' } as const
const toDecline = { elsewhere: 'decline', stepUpCode: '1A' } as const
const pos = { channel: 'pos', terminal: { entryMode: 'chip' }, threeDs: {} } as const
const online = { channel: 'ecommerce', terminal: {}, threeDs: {} } as const
const contactless = { channel: 'pos', terminal: { entryMode: 'contactless' }, threeDs: {} } as const

test('approve and review are forwarded, decline never is', () => {
  assert.equal(riskEffect('approve', pos, toDecline).kind, 'forward')
  assert.equal(riskEffect('review', online, toDecline).kind, 'forward')
  assert.deepEqual(riskEffect('decline', pos, toReview), { kind: 'decline', responseCode: '59' })
})

test('a challenge goes out where step-up exists, with the code of its kind', () => {
  assert.deepEqual(riskEffect('challenge', online, toReview), {
    kind: 'challenge',
    responseCode: '65',
  })
  assert.deepEqual(riskEffect('challenge', online, toDecline), {
    kind: 'challenge',
    responseCode: '1A',
  })
  assert.deepEqual(riskEffect('challenge', contactless, toReview), {
    kind: 'challenge',
    responseCode: '70',
  })
})

test('elsewhere, and after a successful 3-D Secure, the policy decides', () => {
  const authenticated = { ...online, threeDs: { status: 'authenticated' } } as const
  for (const request of [pos, authenticated]) {
    assert.equal(riskEffect('challenge', request, toReview).kind, 'forward')
    assert.equal(riskEffect('challenge', request, toDecline).kind, 'decline')
  }
  const attempted = { ...online, threeDs: { status: 'attempted' } } as const
  assert.equal(riskEffect('challenge', attempted, toReview).kind, 'challenge')
})
