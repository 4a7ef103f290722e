import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { Fifo } from './fifo.ts'

it('gives back in order what was pushed, at any mixture of pushes and takes', () => {
  const steps = fc.array(fc.tuple(fc.nat(3_000), fc.nat(3_000)), { maxLength: 6 })
  fc.assert(
    fc.property(steps, (mixture) => {
      const fifo = new Fifo<number>()
      let pushed = 0
      let taken = 0
      for (const [pushes, takes] of mixture) {
        for (let i = 0; i < pushes; i++) fifo.push(pushed++)
        for (let i = 0; i < takes; i++) {
          assert.equal(fifo.first, taken < pushed ? taken : undefined)
          assert.equal(fifo.shift(), taken < pushed ? taken++ : undefined)
        }
        assert.equal(fifo.length, pushed - taken)
      }
    }),
    { numRuns: 30 },
  )
})
