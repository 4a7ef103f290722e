// `switchyard velocity` beside a real switch on a real Redis: show, verify, and counting anew after
// Redis has lost everything.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { projectFolder, type RunningRedis, redisMissing, startRedis } from '../processes/index.ts'
import { eventually, purchase, type System, startSystem } from './system.ts'

const skip = redisMissing()
const run = promisify(execFile)

let redis: RunningRedis
let system: System
before(async () => {
  if (skip !== false) return
  redis = await startRedis()
  system = await startSystem({ redisUrl: redis.url })
})
after(async () => {
  await system?.stop()
  await redis?.stop()
})

async function velocity(args: readonly string[], redisUrl: string | undefined = redis.url) {
  const env = {
    ...process.env,
    SWITCHYARD_CONFIG: path.join(system.folder, 'switchyard.yaml'),
    DATA_DIR: system.running.dataDir,
    KEYS_FILE: path.join(system.folder, 'keys', 'keys.json'),
    REDIS_URL: redisUrl,
  }
  const command = ['switch/commands/switchyard.js', 'velocity', ...args]
  try {
    const { stdout, stderr } = await run(process.execPath, command, { cwd: projectFolder, env })
    return { code: 0, stdout, stderr }
  } catch (error) {
    const failed = error as { code: number; stdout: string; stderr: string }
    return { code: failed.code, stdout: failed.stdout, stderr: failed.stderr }
  }
}

async function countOf(entity: string, redisUrl?: string): Promise<number> {
  const { stdout, stderr } = await velocity(['show', entity, '--json'], redisUrl)
  assert.notEqual(stdout, '', stderr)
  const shown = JSON.parse(stdout) as { counters: { aggregate: string; value: number }[] }
  return shown.counters.find(({ aggregate }) => aggregate === 'count')?.value ?? Number.NaN
}

test('counters are shown, verified, lost, and counted anew', { skip }, async () => {
  for (let i = 0; i < 12; i++) await system.post(`velocity-${i}`, purchase(i % 3, 1_000 + i))
  const merchant = `merchant=demo/${(purchase(0, 1_000) as { merchant: { id: string } }).merchant.id}`
  // An attempt that came too late for its score is counted all the same, a moment later.
  await eventually(async () => assert.equal((await velocity(['verify', '--json'])).code, 0))
  assert.equal(await countOf(merchant), 4)
  const beside = await velocity(['rebuild'])
  assert.equal(beside.code, 2)
  assert.match(beside.stderr, /the switch runs \(process \d+\): stop it/)

  await system.running.stop()
  const twice = await velocity(['rebuild'])
  assert.equal(twice.code, 1)
  assert.match(twice.stderr, /would count them twice/)
  const client = new Redis(redis.url)
  await client.flushdb()
  client.disconnect()
  const lost = JSON.parse((await velocity(['verify', '--json'])).stdout)
  assert.ok(lost.compared > 0 && lost.differ === lost.compared, JSON.stringify(lost))
  const rebuilt = await velocity(['rebuild', '--json'])
  assert.deepEqual(JSON.parse(rebuilt.stdout), { payments: 12, into: 'Redis' })
  assert.equal((await velocity(['verify', '--json'])).code, 0)
  assert.equal(await countOf(merchant), 4)

  // Without Redis: a snapshot, with which an embedded switch begins.
  assert.equal((await velocity(['rebuild'], '')).code, 0)
  assert.equal(await countOf(merchant, ''), 4)
  await system.restart()
})

test('an entity that is none is refused with an example', { skip }, async () => {
  const refused = {
    merchant: /give entity=value/,
    'shop=demo/M-1': /shop is no entity: card, customer/,
    'merchant=M-1': /give entity=value/,
    'terminal=demo/M-1': /give entity=value/,
  }
  for (const [entity, why] of Object.entries(refused)) {
    const { code, stderr } = await velocity(['show', entity])
    assert.equal(code, 2)
    assert.match(stderr, why)
  }
})
