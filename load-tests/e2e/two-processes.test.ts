// Two switch processes on one PostgreSQL: one key is one payment, whichever of them is asked; one
// that is killed, or stopped past its lease, is taken over and changes nothing any more.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { isLive } from '../issuer/index.ts'
import {
  Child,
  pause,
  postgresMissing,
  type RunningIssuer,
  type RunningPostgres,
  type RunningSwitch,
  startIssuer,
  startPostgres,
  startSwitch,
} from '../processes/index.ts'
import { entriesOf, eventually, get, post, purchase } from './system.ts'

const skip = postgresMissing()
const LEASE_MS = 3_000
const config = {
  deadlines: { scoreMs: 500, velocityMs: 400 },
  database: { leaseMs: LEASE_MS },
}

let folder: string
let database: RunningPostgres
let issuers: RunningIssuer[]
let first: RunningSwitch
let second: RunningSwitch

before(async () => {
  if (skip !== false) return
  folder = await mkdtemp(path.join(tmpdir(), 'switchyard-two-'))
  database = await startPostgres()
  issuers = await Promise.all(['demo-a', 'demo-b'].map((name) => startIssuer({ name })))
  const migrated = Child.start({
    title: 'store migrate',
    args: ['switch/commands/switchyard.js', 'store', 'migrate'],
    env: { DATABASE_URL: database.url },
  })
  assert.equal(await migrated.exited, 0, migrated.logs)
  // One after the other: the first makes the key file.
  // A port that it asked for can be shared, a free one that it was given can't.
  first = await startOne('first', { PORT: String(await freePort()) })
  second = await startOne('second')
})

after(async () => {
  await Promise.all([first?.stop(), second?.stop()])
  await Promise.all((issuers ?? []).map((issuer) => issuer.stop()))
  await database?.stop()
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

function startOne(
  name: string,
  env: Readonly<Record<string, string>> = {},
): Promise<RunningSwitch> {
  return startSwitch({
    folder: path.join(folder, name),
    issuers,
    issuerTimeoutMs: 1_500,
    config,
    env: { DATABASE_URL: database.url, KEYS_FILE: path.join(folder, 'keys', 'keys.json'), ...env },
  })
}

const demoA = () => issuers[0] as RunningIssuer

test('the same key sent to both at the same moment gives one approval', { skip }, async () => {
  const numbers = Array.from({ length: 20 }, (_, i) => i)
  await Promise.all(
    numbers.map(async (number) => {
      const body = purchase(number, 10_000 + number)
      const [one, other] = await Promise.all([
        post(first.url, `both-${number}`, body),
        post(second.url, `both-${number}`, body),
      ])
      assert.equal(one.status, 200, one.bytes.toString())
      assert.equal(other.status, 200, other.bytes.toString())
      assert.ok(one.bytes.equals(other.bytes), 'one request has two answers')
      assert.equal(one.body.outcome, 'approved')
      const replayed = [one, other].filter(({ headers }) => headers.has('idempotent-replayed'))
      assert.equal(replayed.length, 1)
      assert.equal((await entriesOf(demoA(), 10_000 + number)).length, 1)
    }),
  )
})

test('what one process recorded, the other knows', { skip }, async () => {
  const body = purchase(100, 20_000)
  const one = await post(first.url, 'known', body)
  const again = await post(second.url, 'known', body)
  assert.ok(again.bytes.equals(one.bytes))
  assert.equal(again.headers.get('idempotent-replayed'), 'true')
  const changed = await post(second.url, 'known', { ...body, amount: 20_001 })
  assert.deepEqual([changed.status, changed.body.code], [422, 'idempotency_key_reused'])
  const found = await get(second.url, `/v1/authorizations/${one.body.id}`)
  assert.ok(found.bytes.equals(one.bytes))
  const reversed = await reverse(second, one.body.id)
  assert.equal(reversed.body.outcome, 'approved')
  assert.equal((await reverse(first, one.body.id, 'again')).body.code, 'already_reversed')
  await eventually(async () => {
    const [entry] = await entriesOf(demoA(), 20_000)
    assert.equal(entry?.reversals.length, 1)
  })
})

function reverse(running: RunningSwitch, id: unknown, key = 'reverse') {
  return post(running.url, key, {}, {}, `/v1/authorizations/${id}/reversals`)
}

test('a reversal reaches the issuer, whichever process runs its request and whichever is asked', {
  skip,
}, async () => {
  await demoA().setBehaviour({ delayMs: 1_200 })
  const sides = [[first, second] as const, [second, first] as const]
  await Promise.all(
    sides.map(async ([running, asked], i) => {
      const [key, body] = [`taken-back-${i}`, purchase(160 + i, 22_000 + i)]
      const entry = () => entriesOf(demoA(), body.amount).then(([found]) => found)
      const answer = post(running.url, key, body)
      // Which waits for the first one's answer, under the same key.
      await pause(200)
      const retry = post(asked.url, key, body)
      await pause(200)
      const original = { idempotencyKey: key }
      await eventually(async () => {
        const reversed = await post(asked.url, `rev-${key}`, { original }, {}, '/v1/reversals')
        assert.equal(reversed.body.outcome, 'approved', reversed.bytes.toString())
      })
      assert.equal((await answer).body.outcome, 'declined')
      await retry
      await eventually(async () => assert.equal((await entry())?.reversals.length, 1, key), 15_000)
    }),
  )
  await demoA().setBehaviour({ delayMs: 0 })
})

test('the export reads the database, beside the processes', { skip }, async () => {
  const exported = Child.start({
    title: 'store export',
    args: ['switch/commands/switchyard.js', 'store', 'export'],
    env: { DATABASE_URL: database.url },
  })
  assert.equal(await exported.exited, 0, exported.logs)
  const lines = exported.logs.split('\n').filter((line) => line.startsWith('{'))
  const claims = lines.map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'claim')
  assert.equal(claims.filter(({ intent }) => intent.idempotencyKey === 'known').length, 1)
})

test('numbers toward an issuer are drawn from ranges of their own', { skip }, async () => {
  // Which of the two asked for a key of both is chance: one of each own.
  await post(first.url, 'own-1', purchase(150, 21_000))
  await post(second.url, 'own-2', purchase(151, 21_001))
  const ledger = await demoA().ledger()
  const stans = ledger.map(({ stan }) => Number(stan))
  assert.equal(new Set(stans).size, stans.length)
  assert.ok(stans.some((stan) => stan < 125_000) && stans.some((stan) => stan >= 125_000))
})

test('they may share one PORT; one without tables, or in clear words wrong, is refused', {
  skip,
}, async () => {
  const third = await startOne('third', { PORT: new URL(first.url).port })
  assert.equal(third.url, first.url)
  assert.equal(await third.stop(), 0)
  let starts = 0
  const start = async (url: string, args: readonly string[] = []) => {
    const own = path.join(folder, `refused-${++starts}`)
    const child = Child.start({
      title: 'a start',
      args: ['switch/commands/switchyard.js', 'start', '--no-demo', ...args],
      env: {
        DATABASE_URL: url,
        DATA_DIR: path.join(own, 'data'),
        KEYS_FILE: path.join(own, 'keys.json'),
      },
    })
    return [await child.exited, child.logs] as const
  }
  const [[code, said], [otherKeys, why], [printed, config]] = await Promise.all([
    start(database.createDatabase('empty')),
    start(database.url),
    start(database.url, ['--print-config']),
  ])
  assert.equal(code, 1)
  assert.match(said, /no tables of the switch yet: run: npx switchyard store migrate/)
  assert.equal(otherKeys, 1)
  assert.match(why, /this key file is not this store's/)
  assert.equal(printed, 0)
  assert.match(config, /"databaseUrl": "postgres:\/\/\*\*\*@127\.0\.0\.1/)
  for (const output of [said, why, config]) assert.ok(!output.includes('switchyard-test'))
})

test('a process that is killed is taken over: each request ends once', { skip }, async () => {
  await demoA().setBehaviour({ delayMs: 800 })
  const sent = Array.from({ length: 20 }, (_, i) => purchase(200 + i, 30_000 + i))
  const { requests } = await demoA().status()
  const answers = sent.map((body) =>
    post(second.url, `killed-${body.amount}`, body).catch(() => {}),
  )
  while ((await demoA().status()).requests < requests + 10) await pause(5)
  assert.equal(await second.kill(), 137)
  await Promise.all(answers)
  await demoA().setBehaviour({ delayMs: 0 })
  await settled(first, sent, 'killed')
  second = await startOne('second')
})

test('one that is stopped past its lease and wakes changes nothing, and ends', {
  skip,
}, async () => {
  // The first one may have been started last of all: it must have lived for a lease's length.
  await pause(LEASE_MS)
  await demoA().setBehaviour({ delayMs: 800 })
  const sent = Array.from({ length: 20 }, (_, i) => purchase(300 + i, 40_000 + i))
  const { requests } = await demoA().status()
  const answers = sent.map((body) =>
    post(second.url, `stopped-${body.amount}`, body).catch(() => {}),
  )
  while ((await demoA().status()).requests < requests + 10) await pause(5)
  second.signal('SIGSTOP')
  await demoA().setBehaviour({ delayMs: 0 })
  await settled(first, sent, 'stopped')
  const before = database.sql('SELECT count(*), max(position) FROM switchyard.record')
  second.signal('SIGCONT')
  assert.equal(await second.exited, 1)
  assert.match(second.logs, /another process took over its work/)
  for (const answer of await Promise.all(answers)) {
    if (answer !== undefined) assert.notEqual(answer.body.outcome, 'approved')
  }
  assert.equal(database.sql('SELECT count(*), max(position) FROM switchyard.record'), before)
  await settled(first, sent, 'stopped')
})

/** Every request has an outcome at `running`, which the issuer's ledger agrees with. */
async function settled(
  running: RunningSwitch,
  sent: readonly ReturnType<typeof purchase>[],
  prefix: string,
): Promise<void> {
  await eventually(async () => {
    const ledger = await demoA().ledger()
    for (const body of sent) {
      const key = `${prefix}-${body.amount}`
      const answer = await post(running.url, key, body)
      assert.equal(answer.status, 200, `${key}: ${answer.bytes}`)
      const entries = ledger.filter(({ amount }) => amount === body.amount)
      const live = entries.filter(isLive)
      assert.equal(live.length, answer.body.outcome === 'approved' ? 1 : 0, key)
      for (const entry of entries) assert.ok(entry.reversals.length <= 1, `${key} twice`)
    }
  }, 30_000)
}
