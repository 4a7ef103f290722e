import assert from 'node:assert/strict'
import test from 'node:test'
import { CardVault, newKeyFile, parseKeyFile } from '../card-data/index.ts'
import type { IsoMessage } from '../iso8583/index.ts'
import { createSeededRandom, SimulatedDisk } from '../simulation/index.ts'
import { ExchangedKeys } from './exchanged-keys.ts'
import { KEY_EXCHANGES_WAITING_MAX } from './limits.ts'

const random = createSeededRandom(1)
const keys = parseKeyFile(newKeyFile(random))
assert.ok(keys.ok)
const vault = new CardVault(keys.keys, 'owner')
const SECRET = '0123456789ABCDEFFEDCBA9876543210'

function exchange(secret = SECRET): IsoMessage {
  const fields = new Array<string | undefined>(97)
  fields[70] = '161'
  fields[48] = secret
  return { mti: '0800', fields }
}

test('kept durably before it is acknowledged, sealed, and found by the next process', async () => {
  const disk = new SimulatedDisk({ random })
  const first = await ExchangedKeys.open(disk, vault)
  assert.equal(first.has('shop'), false)
  assert.equal(await first.keep('shop', exchange()), true)
  assert.equal(await first.keep('other', exchange()), true)
  const names = await disk.list()
  assert.equal(names.length, 1, 'the old file is gone')
  const file = await disk.open(names[0] ?? '')
  const text = Buffer.from(await file.read(0, file.sizeBytes)).toString('utf8')
  assert.ok(!text.includes(SECRET) && !text.includes(Buffer.from(SECRET).toString('base64')))
  const second = await ExchangedKeys.open(disk, vault)
  assert.ok(second.has('shop') && second.has('other'))
})

test('exchanges at once are kept one after the other', async () => {
  const disk = new SimulatedDisk({ random })
  const kept = await ExchangedKeys.open(disk, vault)
  const all = await Promise.all(
    Array.from({ length: 20 }, (_, i) => kept.keep(`peer-${i}`, exchange())),
  )
  assert.ok(all.every(Boolean))
  assert.equal((await disk.list()).length, 1)
  const next = await ExchangedKeys.open(disk, vault)
  for (let i = 0; i < 20; i++) assert.ok(next.has(`peer-${i}`))
})

test('a peer that floods is refused beyond what may wait, and heard again afterwards', async () => {
  const kept = await ExchangedKeys.open(new SimulatedDisk({ random }), vault)
  const flood = Array.from({ length: 2 * KEY_EXCHANGES_WAITING_MAX }, () =>
    kept.keep('shop', exchange()),
  )
  const taken = (await Promise.all(flood)).filter(Boolean)
  assert.equal(taken.length, KEY_EXCHANGES_WAITING_MAX)
  assert.equal(await kept.keep('shop', exchange()), true)
})

test('a full disk: not acknowledged; the keys from before are still there', async () => {
  const disk = new SimulatedDisk({ random, capacityBytes: 400 })
  const kept = await ExchangedKeys.open(disk, vault)
  assert.equal(await kept.keep('shop', exchange('AB')), true)
  assert.equal(await kept.keep('other', exchange('AB'.repeat(400))), false)
  const next = await ExchangedKeys.open(disk, vault)
  assert.ok(next.has('shop'))
  assert.equal(next.has('other'), false)
})
