// What a Redis that hangs costs. Real processes: an issuer, a Redis, a switch with velocity on it.
//
//   node --import tsx load-tests/chaos/redis-stall.ts [rounds, 6] [a second, 200] [window ms, 8000]
//
// The same traffic at a fixed rate, with Redis as it is and with Redis stopped (SIGSTOP: it keeps
// its connections and says nothing), in turn; the order turns from round to round, so that what
// else the machine does falls on both:
//
//   running stopped | stopped running | running stopped | ...
//
// Each round has a difference of its own between the p99 of both sides, and their median is the
// verdict. Latency counts from the intended send time. A window begins at once after Redis was
// stopped, so the first fetches that wait for their deadline, and the breaker's probes, are in it.
//
// Prints one line of JSON; progress on standard error. Exit 1 where the median p99 rises by more
// than 10 ms, a payment is not approved, a decision of a stopped window does not say what it lacks,
// or velocity is still missing when Redis runs. `noise` (the same between windows of one side that
// meet) at or over 10 ms means that the machine can't tell: repeat it on a quiet one.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { purchase } from '../e2e/system.ts'
import { redisMissing, startIssuer, startRedis, startSwitch } from '../processes/index.ts'
import { p99Of, pause, postAgain, spreadOf, summaryOf, traffic } from './windows.ts'

const P99_RISE_MS_MAX = 10
/** The breaker asks once a second. */
const BACK_MS_MAX = 30_000

type Side = 'running' | 'stopped'

interface Window {
  readonly side: Side
  readonly latenciesMs: readonly number[]
  /** How many decisions lacked what, `none` where nothing was missing. */
  readonly lacked: Readonly<Record<string, number>>
}

async function measure(rounds: number, perSecond: number, windowMs: number): Promise<boolean> {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-redis-stall-'))
  const redis = await startRedis()
  const issuer = await startIssuer({ name: 'demo-a' })
  const link = { host: '127.0.0.1', dialect: 'iso8583-1987-ascii', timeoutMs: 8_000 }
  const running = await startSwitch({
    folder,
    issuers: [issuer],
    redisUrl: redis.url,
    config: {
      log: { oneLineIn: 0 },
      routes: [{ bins: ['476173'], issuer: 'demo-a' }],
      issuers: [{ ...link, name: 'demo-a', port: issuer.port }],
    },
  })
  const window = async (side: Side, number: number): Promise<Window> => {
    if (side === 'stopped') redis.pause()
    else await bringBack(redis, running.url, number)
    const lacked: Record<string, number> = {}
    const onAnswer = (body: Readonly<Record<string, unknown>>) => {
      const { degraded } = body.risk as { readonly degraded: readonly string[] }
      const name = degraded.join('+') || 'none'
      lacked[name] = (lacked[name] ?? 0) + 1
    }
    const options = { url: running.url, window: number, perSecond, windowMs, onAnswer }
    const latenciesMs = await traffic(options)
    process.stderr.write(`${side} p99 ${p99Of(latenciesMs)} ms, ${JSON.stringify(lacked)}\n`)
    return { side, latenciesMs, lacked }
  }
  try {
    // Caches, connections and compiled code are not the stall: nothing of it is measured.
    const warmUp = { url: running.url, window: 9_998, perSecond, windowMs }
    await traffic(warmUp)
    const windows: Window[] = []
    for (let round = 0; round < rounds; round++) {
      const sides: readonly Side[] =
        round % 2 === 0 ? ['running', 'stopped'] : ['stopped', 'running']
      for (const side of sides) windows.push(await window(side, windows.length))
    }
    const report = compare(windows)
    process.stdout.write(`${JSON.stringify({ perSecond, windowMs, ...report })}\n`)
    return report.p99RiseMs.median <= P99_RISE_MS_MAX && report.stopped.unsaid === 0
  } catch (error) {
    process.stderr.write(`the switch said last:\n${running.logs.slice(-2_000)}\n`)
    throw error
  } finally {
    redis.resume()
    await running.stop()
    await Promise.all([issuer.stop(), redis.stop()])
    await rm(folder, { recursive: true, force: true })
  }
}

/** Lets Redis run, and waits until decisions lack nothing. */
async function bringBack(redis: { resume(): void }, url: string, window: number): Promise<void> {
  redis.resume()
  const startedMs = performance.now()
  for (let tries = 0; performance.now() - startedMs < BACK_MS_MAX; tries++) {
    const key = `back-${window}-${tries}`
    const { body } = await postAgain(url, key, purchase(90_000_000 + 1_000 * window + tries, 1_000))
    const { degraded } = body.risk as { readonly degraded: readonly string[] }
    if (degraded.length === 0) return
    await pause(50)
  }
  throw new Error(`Redis runs for ${BACK_MS_MAX} ms, and velocity is missing`)
}

/** The rounds' differences, and what both sides come to together. */
function compare(windows: readonly Window[]) {
  const rises: number[] = []
  const noise: number[] = []
  for (const [i, window] of windows.entries()) {
    const next = windows[i + 1]
    if (next === undefined) continue
    const [one = 0, other = 0] = [window, next].map(({ latenciesMs }) => p99Of(latenciesMs))
    if (window.side === next.side) noise.push(Math.abs(one - other))
    else if (i % 2 === 0) rises.push(window.side === 'running' ? other - one : one - other)
  }
  const all = (side: Side) => {
    const own = windows.filter((one) => one.side === side)
    const lacked: Record<string, number> = {}
    for (const [name, count] of own.flatMap((one) => Object.entries(one.lacked))) {
      lacked[name] = (lacked[name] ?? 0) + count
    }
    return { ...summaryOf(own.flatMap((one) => one.latenciesMs)), unsaid: lacked.none ?? 0, lacked }
  }
  const [running, stopped] = [all('running'), all('stopped')]
  return { p99RiseMs: spreadOf(rises), noise: spreadOf(noise), running, stopped }
}

const missing = redisMissing()
if (missing !== false) {
  process.stderr.write(`nothing was measured: ${missing}\n`)
  process.exitCode = 2
} else {
  const [rounds = 6, perSecond = 200, windowMs = 8_000] = process.argv.slice(2).map(Number)
  process.exitCode = (await measure(rounds, perSecond, windowMs)) ? 0 : 1
}
