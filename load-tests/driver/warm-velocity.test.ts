// What the warm-up writes is what the switch's own counters read.

import assert from 'node:assert/strict'
import { randomFillSync } from 'node:crypto'
import test from 'node:test'
import {
  createEntityKeys,
  createRedisVelocity,
  loadRedisProbe,
  type VelocityAttempt,
} from '#scoring'
import { CardVault, newKeyFile, Pan, parseKeyFile } from '#switch'
import { redisMissing, startRedis } from '../processes/index.ts'
import { cardOf, type MixOptions, terminalsOf } from './mix.ts'
import { warmVelocity } from './warm-velocity.ts'

const mix: MixOptions = {
  ...{ seed: 5, cards: 300, secondIssuerPercent: 10, startedAtMs: 0, ratePerSecond: 100 },
  ...{ terminals: 8_000, entities: ['device', 'terminal'] },
}

test('every card, device and terminal has its events, and no other entity has', {
  skip: redisMissing(),
}, async () => {
  const redis = await startRedis()
  const parsed = parseKeyFile(newKeyFile({ fill: (bytes) => randomFillSync(bytes) }))
  assert.ok(parsed.ok)
  const { keys } = parsed
  const terminals = [...terminalsOf(mix)]
  const written = await warmVelocity({
    ...{ redisUrl: redis.url, keys, acquirer: 'demo', mix, eventsPerRing: 10 },
    tell: () => undefined,
  })
  assert.equal(written, 2 * mix.cards + terminals.length)
  const { connectRedis } = await loadRedisProbe()
  const connection = await connectRedis({
    ...{ url: redis.url, commandTimeoutMs: 10_000, connectTimeoutMs: 10_000 },
  })
  const clock = { now: () => Date.now(), monotonic: () => performance.now() }
  const timers = {
    set: (delayMs: number, callback: () => void) => setTimeout(callback, delayMs),
    clear: (handle: unknown) => clearTimeout(handle as NodeJS.Timeout),
  }
  const velocity = createRedisVelocity({ connection, clock, timers })
  const pan = Pan.parse(cardOf(mix, 123).pan) as Pan
  const terminal = terminals.at(-1)
  assert.ok(terminal !== undefined)
  const attempt: VelocityAttempt = {
    eventHash: '0'.repeat(16),
    atMs: Date.now(),
    baseAmount: 100,
    keys: createEntityKeys(keys.entityKey)({
      acquirer: 'demo',
      card: { token: new CardVault(keys, 'test').tokenOf(pan), bin: pan.bin },
      merchant: { id: `M${terminal.merchant.number}` },
      terminal: { id: terminal.terminalId },
      device: { id: 'D123' },
      customer: { id: 'C123' },
    }),
    latitude: Number.NaN,
    longitude: Number.NaN,
  }
  const month = { windowSeconds: 30 * 86_400 } as const
  const [counted] = await velocity.read(
    [attempt],
    [
      { function: 'count', entity: 'card', ...month },
      { function: 'count', entity: 'device', ...month },
      { function: 'count', entity: 'terminal', ...month },
      { function: 'count', entity: 'customer', ...month },
      { function: 'count', entity: 'card', windowSeconds: 3_600 },
    ],
    10_000,
  )
  await velocity.close()
  await redis.stop()
  assert.deepEqual([...(counted?.values ?? [])], [10, 10, 10, 0, 0])
})
