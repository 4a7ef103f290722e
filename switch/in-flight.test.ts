import assert from 'node:assert/strict'
import test from 'node:test'
import { InFlight } from './in-flight.ts'
import { WAITERS_PER_KEY_MAX } from './limits.ts'
import type { Reply } from './respond.ts'

const reply: Reply = { kind: 'answer', body: { id: 'auth_1' }, isReplay: false }
const fingerprint = new Uint8Array(32)

test('a key is taken once, and free again when it leaves', () => {
  const table = new InFlight(10)
  table.enter('k', fingerprint)
  assert.ok(table.find('k'))
  assert.throws(() => table.enter('k', fingerprint), /twice/)
  table.leave('k', reply)
  assert.equal(table.find('k'), undefined)
  assert.throws(() => table.leave('k', reply), /never entered/)
  table.enter('k', fingerprint)
})

test('who waits with a key is not who works on its transaction', () => {
  const table = new InFlight(10)
  assert.throws(() => table.name('k', 'auth_1'), /never entered/)
  table.enter('k', fingerprint)
  assert.equal(table.isWorking('k', 'auth_1'), false)
  table.name('k', 'auth_1')
  assert.deepEqual([table.isWorking('k', 'auth_1'), table.isWorking('k', 'auth_2')], [true, false])
  table.leave('k', reply)
  assert.equal(table.isWorking('k', 'auth_1'), false)
})

test('all who wait get the reply, once; who gave up gets nothing', () => {
  const table = new InFlight(10)
  table.enter('k', fingerprint)
  const got: string[] = []
  table.wait('k', () => got.push('a'))
  const leaving = table.wait('k', () => got.push('b'))
  leaving?.cancel()
  table.leave('k', reply)
  assert.deepEqual(got, ['a'])
  assert.equal(
    table.wait('k', () => {}),
    undefined,
  )
})

test('waiters and runs have limits', () => {
  const table = new InFlight(2)
  table.enter('k', fingerprint)
  for (let i = 0; i < WAITERS_PER_KEY_MAX; i++) assert.ok(table.wait('k', () => {}))
  assert.equal(
    table.wait('k', () => {}),
    undefined,
  )
  assert.equal(table.isFull, false)
  table.enter('l', fingerprint)
  assert.equal(table.isFull, true)
})

test('whenEmpty resolves when the last one leaves', async () => {
  const table = new InFlight(2)
  await table.whenEmpty()
  table.enter('k', fingerprint)
  let isEmpty = false
  const empty = table.whenEmpty().then(() => {
    isEmpty = true
  })
  await Promise.resolve()
  assert.equal(isEmpty, false)
  table.leave('k', reply)
  await empty
})
