// Ways to move the counters of 32 attempts, five keys each, to Redis and back with ioredis: one
// script a batch as velocity does it, the same commands in a pipeline, by auto-pipelining, and one
// script an attempt. Micros are of one attempt.

import { Redis } from 'ioredis'
import { redisMissing, startRedis } from '../../load-tests/processes/index.ts'
import { measureAsync } from '../measure.ts'

const batch = 32
const keysEach = 5
const event = Buffer.alloc(48, 1)
const ringMax = 480

const script = `
local replies = {}
for i, key in ipairs(KEYS) do
  local before = redis.call('GET', key) or ''
  redis.call('SET', key, string.sub(before .. ARGV[1], -tonumber(ARGV[2])), 'EX', 2592000)
  replies[i] = before
end
return replies`

const missing = redisMissing()
if (missing !== false) {
  console.error(`ways to use ioredis were not measured: ${missing}`)
} else {
  const server = await startRedis()
  const plain = new Redis(server.url)
  const auto = new Redis(server.url, { enableAutoPipelining: true })
  const sha = String(await plain.script('LOAD', script))
  let attempts = 0
  const keysOf = (attempt: number) =>
    Array.from({ length: keysEach }, (_, i) => `bench:${i}:${attempt % 10_000}`)
  const keysOfBatch = () => Array.from({ length: batch }, () => keysOf(attempts++)).flat()
  const run = (client: Redis, keys: readonly string[]) =>
    client.callBuffer('EVALSHA', [sha, String(keys.length), ...keys, event, String(ringMax)])
  await measureAsync(batch, [
    { name: 'ioredis, one script a batch', run: () => run(plain, keysOfBatch()) },
    {
      name: 'ioredis, one script an attempt',
      run: () => Promise.all(Array.from({ length: batch }, () => run(plain, keysOf(attempts++)))),
    },
    {
      name: 'ioredis, one pipeline a batch',
      run: () => {
        const pipeline = plain.pipeline()
        for (const key of keysOfBatch()) {
          pipeline.getBuffer(key)
          pipeline.append(key, event)
          pipeline.expire(key, 2_592_000)
        }
        return pipeline.exec()
      },
    },
    {
      name: 'ioredis, auto-pipelining',
      run: () =>
        Promise.all(
          keysOfBatch().flatMap((key) => [
            auto.getBuffer(key),
            auto.append(key, event),
            auto.expire(key, 2_592_000),
          ]),
        ),
    },
  ])
  plain.disconnect()
  auto.disconnect()
  await server.stop()
}
