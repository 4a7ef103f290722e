import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import test from 'node:test'
import { SealBroken, sealRealWorld } from './sealed-world.ts'

const REACHES: readonly (readonly [name: string, reach: () => unknown])[] = [
  ['Date.now', () => Date.now()],
  ['new Date', () => new Date()],
  ['setTimeout', () => setTimeout(() => {}, 0)],
  ['setImmediate', () => setImmediate(() => {})],
  ['Math.random', () => Math.random()],
  ['performance.now', () => performance.now()],
  ['randomBytes', () => randomBytes(1)],
  ['readFileSync', () => readFileSync('/dev/null')],
  ['net.connect', () => net.connect(1)],
]

test('what reaches the real world throws while it is sealed, and works again after', async () => {
  const allow = sealRealWorld()
  const kept: string[] = []
  try {
    for (const [name, reach] of REACHES) {
      try {
        reach()
      } catch (error) {
        if (error instanceof SealBroken) kept.push(name)
      }
    }
    assert.equal(new Date(0).toISOString(), '1970-01-01T00:00:00.000Z')
    assert.equal(Date.UTC(1970, 0), 0)
    assert.ok(new Date(0) instanceof Date)
  } finally {
    allow()
  }
  assert.deepEqual(
    kept,
    REACHES.map(([name]) => name),
  )
  assert.ok(Date.now() > 0 && performance.now() > 0)
  assert.equal(randomBytes(2).length, 2)
  await new Promise((resolve) => setTimeout(resolve, 0))
})
