import assert from 'node:assert/strict'
import test from 'node:test'
import { clusterSlot } from './cluster-slot.ts'

// The check value of CRC-16/XMODEM is 0x31c3; the others are what CLUSTER KEYSLOT answers.
for (const [key, slot] of [
  ['123456789', 0x31c3],
  ['foo', 12_182],
  ['{user1000}.following', 3_443],
  ['{user1000}.followers', 3_443],
  ['foo{}{bar}', 8_363],
  ['foo{{bar}}zap', 4_015],
  ['', 0],
] as const) {
  test(`the slot of ${JSON.stringify(key)} is ${slot}`, () => {
    assert.equal(clusterSlot(key), slot)
  })
}
