// The load driver against the real system, and then a search for card numbers in everything that
// the run left behind: logs, store, ledgers, Redis, the report.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { Redis } from 'ioredis'
import { scanBytes, scanFolder } from '../pan-scan.ts'
import { projectFolder, redisMissing, startRedis } from '../processes/index.ts'
import { eventually, post, purchase, type System, startSystem } from './system.ts'

let system: System
before(async () => {
  system = await startSystem({ issuerTimeoutMs: 3_000 })
})
after(() => system?.stop())

interface Run {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function loadTest(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, ['switch/commands/switchyard.js', 'load-test', ...args], {
    cwd: projectFolder,
    env: { ...process.env, ...env },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk) => {
    stderr += chunk
  })
  const ended = new Promise<Run>((resolve) => {
    child.once('close', (code) => resolve({ code: code ?? 1, stdout, stderr }))
  })
  return { ended, interrupt: () => child.kill('SIGTERM') }
}

test('a run of its own: balanced, without errors, in the form of the contract', async () => {
  const { code, stdout, stderr } = await loadTest([
    ...['--rate', '50', '--duration', '3', '--warmup', '1', '--redis', 'none', '--json'],
  ]).ended
  assert.equal(code, 0, stderr)
  assert.equal(stderr, '', 'silent when not a terminal')
  const report = JSON.parse(stdout)
  assert.equal(report.offeredPerSecond, 50)
  // How many of them could be sent in time is up to the machine.
  assert.equal(report.sent + report.unsent, 150)
  assert.deepEqual(report.errors, {})
  assert.equal(report.booksBalanced, true)
  assert.ok(report.outcomes.approved >= report.sent * 0.95, JSON.stringify(report.outcomes))
  const { p50, p90, p99, p999, max } = report.latencyMs
  assert.ok(p50 > 0 && p50 <= p90 && p90 <= p99 && p99 <= p999 && p999 <= max)
  for (const part of ['switch', 'issuer', 'generator']) {
    assert.ok(report.cpuMicrosPerMessage[part] > 0, part)
  }
  assert.equal(report.cpuMicrosPerMessage.redis, null)
})

for (const protocol of ['msgpack', 'websocket', 'iso8583']) {
  test(`over ${protocol}: balanced, without errors`, async () => {
    const { code, stdout, stderr } = await loadTest([
      ...['--rate', '100', '--duration', '2', '--warmup', '1', '--redis', 'none', '--json'],
      ...['--protocol', protocol],
    ]).ended
    assert.equal(code, 0, stderr)
    const report = JSON.parse(stdout)
    assert.equal(report.run.protocol, protocol)
    assert.deepEqual(report.errors, {})
    assert.equal(report.booksBalanced, true)
    assert.ok(report.outcomes.approved >= 200 * 0.95, JSON.stringify(report.outcomes))
  })
}

test('against a target that runs already; books from the ledgers that were named', async () => {
  // From before the run: not the run's to explain.
  await system.post('before', purchase(1, 8_001))
  const args = ['--target', system.running.url, '--rate', '50', '--duration', '2', '--warmup', '0']
  const judged = await loadTest([
    ...args,
    ...['--json', '--issuer-control', system.demoA.controlUrl],
    ...['--issuer-control', system.demoB.controlUrl],
  ]).ended
  assert.equal(judged.code, 0, judged.stderr)
  assert.equal(JSON.parse(judged.stdout).booksBalanced, true)
  const blind = await loadTest([...args, '--json']).ended
  assert.equal(JSON.parse(blind.stdout).booksBalanced, null)
  const human = await loadTest(args).ended
  assert.match(human.stdout, /books +not judged: no ledger/)
})

test('approvals that nobody was told of make the run void', async () => {
  const running = loadTest([
    ...['--target', system.running.url, '--rate', '40', '--duration', '3', '--warmup', '0'],
    ...['--json', '--settle', '1', '--issuer-control', system.demoA.controlUrl],
  ])
  // Traffic of somebody else on the same issuer, in the middle of the run.
  const { requests } = await system.demoA.status()
  await eventually(
    async () => assert.ok((await system.demoA.status()).requests > requests, 'not yet'),
    60_000,
  )
  await post(system.running.url, 'stranger', purchase(2, 8_002))
  const { code, stdout } = await running.ended
  assert.equal(code, 1)
  const report = JSON.parse(stdout)
  assert.equal(report.booksBalanced, false)
  assert.equal(report.books.counts.approval_unknown_to_acquirer, 1)
  assert.deepEqual(report.void, ['the books do not balance'])
})

test('a rate that cannot be met is reported as not met', async () => {
  await system.demoA.setBehaviour({ delayMs: 500 })
  const { stdout } = await loadTest([
    ...['--target', system.running.url, '--rate', '100', '--duration', '2', '--warmup', '0'],
    ...['--connections', '4', '--second-issuer-percent', '0', '--json'],
  ]).ended
  await system.demoA.setBehaviour({ delayMs: 0 })
  const report = JSON.parse(stdout)
  assert.equal(report.offeredPerSecond, 100)
  assert.equal(report.rateMet, false)
  assert.ok(report.achievedPerSecond < 20, `${report.achievedPerSecond}`)
  assert.ok(report.unsent > 150)
})

test('interrupted, it still balances and reports', async () => {
  const running = loadTest([
    ...['--target', system.running.url, '--rate', '50', '--duration', '60', '--warmup', '0'],
    ...['--json', '--issuer-control', system.demoA.controlUrl],
    ...['--issuer-control', system.demoB.controlUrl],
  ])
  const { requests } = await system.demoA.status()
  await eventually(
    async () => assert.ok((await system.demoA.status()).requests > requests + 50),
    60_000,
  )
  running.interrupt()
  const { code, stdout, stderr } = await running.ended
  assert.equal(code, 0, stderr)
  const report = JSON.parse(stdout)
  assert.equal(report.interrupted, true)
  assert.equal(report.booksBalanced, true)
  assert.ok(report.sent > 50 && report.run.durationSeconds < 60)
})

test('after a run with Redis no PAN is in logs, store, ledgers, Redis or report', {
  skip: redisMissing(),
}, async () => {
  const redis = await startRedis()
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-care-'))
  const { code, stdout, stderr } = await loadTest(
    [
      ...['--rate', '150', '--duration', '4', '--warmup', '0', '--json'],
      ...['--redis', redis.url, '--keep', folder],
    ],
    { LOG_LEVEL: 'trace' },
  ).ended
  assert.equal(code, 0, stderr)
  const report = JSON.parse(stdout)
  assert.match(report.run.stores, /velocity Redis/)
  const stored = await readAll(redis.url)
  await redis.stop()
  assert.ok(stored.length > 10_000, 'Redis was used')
  const { findings, files, bytes } = await scanFolder(folder)
  assert.ok(files >= 5 && bytes > 300_000, `${files} files, ${bytes} bytes`)
  assert.deepEqual(findings, [])
  assert.deepEqual(scanBytes(stored), [])
  assert.deepEqual(scanBytes(Buffer.from(stdout + stderr)), [])
  await rm(folder, { recursive: true })
})

test('nor after faults: refusals, time-outs, reversals, a kill and recovery', async () => {
  const system = await startSystem({
    issuerTimeoutMs: 500,
    env: { LOG_LEVEL: 'trace' },
    config: { log: { oneLineIn: 1 } },
  })
  const good = purchase(1, 9_001)
  await system.post('good', good)
  const wrongExpiry = await system.post('bad', { ...good, card: { ...good.card, expiry: '9999' } })
  assert.equal(wrongExpiry.status, 422)
  const unknownField = await system.post('bad', { ...good, [good.card.pan]: good.card.pan })
  assert.equal(unknownField.status, 422)
  const cvv = await system.post('cvv', { ...good, card: { ...good.card, cvv: '737' } })
  await system.post('silent', purchase(2, 9_068, '541333'))
  await system.demoA.setBehaviour({ silentPercent: 100 })
  const { requests } = await system.demoA.status()
  const inFlight = system.post('killed', purchase(3, 9_003)).catch(() => undefined)
  await eventually(async () =>
    assert.ok((await system.demoA.status()).requests > requests, 'not yet'),
  )
  await system.running.kill('SIGKILL')
  await inFlight
  await system.restart()
  await eventually(async () => assert.ok((await system.demoA.status()).reversals >= 1, 'not yet'))
  const answers = Buffer.concat([wrongExpiry.bytes, unknownField.bytes, cvv.bytes])
  assert.deepEqual(scanBytes(answers), [])
  const { findings } = await scanFolder(system.folder)
  assert.deepEqual(findings, [])
  await system.stop()
})

/** Every key and value, as bytes. */
async function readAll(url: string): Promise<Buffer> {
  const client = new Redis(url)
  const pieces: Buffer[] = []
  let cursor = '0'
  do {
    const [next, keys] = await client.scanBuffer(cursor, 'COUNT', 1_000)
    cursor = next.toString()
    for (const key of keys) {
      const kind = await client.type(key)
      pieces.push(key)
      if (kind === 'string') pieces.push((await client.getBuffer(key)) ?? Buffer.alloc(0))
      else if (kind === 'hash') {
        const fields = await client.hgetallBuffer(key)
        for (const [field, value] of Object.entries(fields)) pieces.push(Buffer.from(field), value)
      } else assert.fail(`velocity wrote a ${kind}, which is not searched`)
    }
  } while (cursor !== '0')
  client.disconnect()
  return Buffer.concat(pieces)
}
