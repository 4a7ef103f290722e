import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BoundedQueue } from './bounded-queue.ts'

test('a bounded queue behaves as an array that refuses beyond its capacity', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('push' as const), count: fc.nat(5) }),
    fc.record({ kind: fc.constant('take' as const), count: fc.nat(5) }),
  )
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 7 }), fc.array(step), (capacity, steps) => {
      const queue = new BoundedQueue<number>(capacity)
      const model: number[] = []
      let next = 0
      for (const { kind, count } of steps) {
        if (kind === 'push') {
          for (let i = 0; i < count; i++) {
            const fits = model.length < capacity
            assert.equal(queue.push(next), fits)
            if (fits) model.push(next)
            next++
          }
        } else {
          assert.deepEqual(queue.take(count), model.splice(0, count))
        }
        assert.equal(queue.length, model.length)
        assert.equal(queue.peek(), model[0])
      }
      while (model.length > 0) assert.equal(queue.shift(), model.shift())
      assert.equal(queue.shift(), undefined)
    }),
  )
})
