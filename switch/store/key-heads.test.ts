import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { KeyHeads } from './key-heads.ts'

const HEAD = 'iso 010 000123 112210000'
const acquirer = 'demo'

test('finds what a pass over all keys would, and forgets what is removed', () => {
  const key = fc.tuple(
    fc.constantFrom(HEAD, 'iso 020 000123 112210000', 'no-space-0123456789012345'),
    fc.constantFrom('0 1 ', '0 1 T', '0 1 T1', '9 2 '),
    fc.constantFrom('a', 'b'),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(key, fc.boolean())), (changes) => {
      const heads = new KeyHeads<{ acquirer: string; idempotencyKey: string }>()
      const held = new Map<string, { acquirer: string; idempotencyKey: string }>()
      for (const [[head, tail, own], isAdded] of changes) {
        const name = `${own}\n${head}${tail}`
        const entry = held.get(name) ?? { acquirer: own, idempotencyKey: head + tail }
        if (isAdded) {
          heads.add(entry)
          held.set(name, entry)
        } else {
          heads.remove(entry)
          held.delete(name)
        }
      }
      for (const prefix of [`${HEAD}0 1 `, `${HEAD}0 1 T`, `${HEAD}9`]) {
        const found = heads.find('a', prefix, prefix.length + 1)
        const all = [...held.values()].filter(
          (one) =>
            one.acquirer === 'a' &&
            one.idempotencyKey.startsWith(prefix) &&
            one.idempotencyKey.length <= prefix.length + 1,
        )
        assert.deepEqual(new Set(found), new Set(all))
      }
      for (const entry of held.values()) heads.remove(entry)
      assert.equal(heads.size, 0)
    }),
  )
})

test('holds no key of HTTP, and is not asked by too little', () => {
  const heads = new KeyHeads<{ acquirer: string; idempotencyKey: string }>()
  heads.add({ acquirer, idempotencyKey: 'order-2026-11-22T10:00:00.000Z-1' })
  heads.add({ acquirer, idempotencyKey: 'short key' })
  assert.equal(heads.size, 0)
  assert.throws(() => heads.find(acquirer, 'iso 010 000123', 40), /too little/)
})
