import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { Nonces } from './nonces.ts'

const NOW = 1_800_000_000

test('a nonce is new once, also with another time of creation', () => {
  const nonces = new Nonces()
  assert.equal(nonces.use('a', NOW, NOW), 'new')
  assert.equal(nonces.use('a', NOW, NOW + 299), 'used')
  assert.equal(nonces.use('a', NOW + 70, NOW + 71), 'used')
  assert.equal(nonces.use('b', NOW, NOW), 'new')
})

test('what no signature can bring again is forgotten', () => {
  const nonces = new Nonces()
  for (let i = 0; i < 100; i++) nonces.use(`n${i}`, NOW, NOW)
  assert.equal(nonces.size, 100)
  nonces.use('later', NOW + 400, NOW + 400)
  assert.equal(nonces.size, 1)
})

test('over the limit fewer are taken, and none twice', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: -300, max: 300 }))),
      (uses) => {
        const nonces = new Nonces(8)
        const taken = new Set<string>()
        for (const [nonce, age] of uses) {
          const created = NOW + age
          const use = nonces.use(String(nonce), created, NOW)
          assert.ok(nonces.size <= 8)
          if (use !== 'new') continue
          assert.ok(!taken.has(`${nonce} ${created}`), 'the same signature was taken twice')
          taken.add(`${nonce} ${created}`)
        }
      },
    ),
  )
})
