// How long a backlog of reversals takes once its issuer answers again, and what that costs traffic
// to another issuer. Real processes: two issuers and a switch.
//
//   node --import tsx load-tests/chaos/backlog.ts [reversals, 10000] [windows a side, 3]
//
// demo-b decides and answers nothing, reversals neither; so many purchases to it time out, each
// with its reversal. Then windows of eight seconds alternate, in all of which the same traffic goes
// to demo-a: demo-b gone (nothing drains), demo-b there (its backlog drains). The rest drains at
// the end. Latency counts from the intended send time; the windows of a side are one sample. The
// drain is the time in which demo-b was there. Prints one line of JSON; exit 1 where it takes 60 s
// or more, the p99 beside it is over 1.2 times the other, or an approval stays at the issuer.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { post, purchase } from '../e2e/system.ts'
import { isLive } from '../issuer/index.ts'
import { startIssuer, startSwitch } from '../processes/index.ts'

const DRAIN_MS_MAX = 60_000
const ISSUER_TIMEOUT_MS = 1_000
/** Purchases to the silent issuer at a time: about 600 a second. */
const AT_A_TIME = 600
const TRAFFIC_PER_SECOND = 50
const WINDOW_MS = 8_000
const P99_RATIO_MAX = 1.2

const silent = { silentPercent: 100, faultyReversals: true }
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

async function measure(reversals: number, windows: number): Promise<boolean> {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-backlog-'))
  const [demoA, demoB] = await Promise.all([
    startIssuer({ name: 'demo-a' }),
    startIssuer({ name: 'demo-b', behaviour: silent }),
  ])
  const link = { host: '127.0.0.1', dialect: 'iso8583-1987-ascii', timeoutMs: ISSUER_TIMEOUT_MS }
  // Without its breaker, so that the requests leave at all.
  const breaker = { timeoutsInARow: 10_000, openMinMs: 1_000, openMaxMs: 1_000 }
  const running = await startSwitch({
    folder,
    issuers: [demoA, demoB],
    config: {
      log: { oneLineIn: 0 },
      // A disk that others use too may take its time; a late flush would end the switch.
      deadlines: { scoreMs: 500, velocityMs: 400, durabilityMs: 4_000 },
      issuers: [
        { ...link, name: 'demo-a', port: demoA.port },
        { ...link, name: 'demo-b', port: demoB.port, breaker },
      ],
    },
  })
  const depth = () => depthOf(running.adminUrl)
  try {
    const outcomes = await makeBacklog(running.url, reversals)
    const queued = await depth()
    const idle: number[] = []
    const draining: number[] = []
    let drainMs = 0
    for (let i = 0; i < windows; i++) {
      await demoB.setBehaviour({ isClosed: true })
      await pause(1_000)
      idle.push(...(await traffic(running.url, `idle-${i}`, () => pause(WINDOW_MS))))
      await demoB.setBehaviour({ isClosed: false, silentPercent: 0, faultyReversals: false })
      const before = await depth()
      while ((await depth()) === before && before > 0) await pause(50)
      const startedMs = performance.now()
      const latencies = await traffic(running.url, `draining-${i}`, () => pause(WINDOW_MS))
      drainMs += performance.now() - startedMs
      // A window in which the backlog ended measures something else.
      if ((await depth()) > 0) draining.push(...latencies)
    }
    const restMs = performance.now()
    while ((await depth()) > 0 && performance.now() - restMs < 3 * DRAIN_MS_MAX) await pause(100)
    const drainSeconds = (drainMs + performance.now() - restMs) / 1_000
    const sides = { idle: summaryOf(idle), draining: summaryOf(draining) }
    const p99Ratio = sides.draining.p99Ms / sides.idle.p99Ms
    const live = (await demoB.ledger()).filter(isLive).length
    const report = { queued, outcomes, drainSeconds, ...sides, p99Ratio, liveAtIssuer: live }
    process.stdout.write(`${JSON.stringify(report)}\n`)
    const isFast = drainSeconds * 1_000 < DRAIN_MS_MAX
    return live === 0 && isFast && p99Ratio <= P99_RATIO_MAX
  } catch (error) {
    process.stderr.write(`the switch said last:\n${running.logs.slice(-2_000)}\n`)
    throw error
  } finally {
    await running.stop()
    await Promise.all([demoA.stop(), demoB.stop()])
    await rm(folder, { recursive: true, force: true })
  }
}

/** The same key again where a kept connection had just been closed, as a client would. */
async function postAgain(url: string, key: string, body: object): ReturnType<typeof post> {
  for (let tries = 0; ; tries++) {
    try {
      return await post(url, key, body)
    } catch (error) {
      if (tries === 3) throw error
    }
  }
}

/** Resolves with how the purchases were answered, by DE39. */
async function makeBacklog(url: string, reversals: number): Promise<Record<string, number>> {
  const outcomes: Record<string, number> = {}
  let next = 0
  const buy = async (): Promise<void> => {
    while (next < reversals) {
      const number = next++
      const answer = await postAgain(url, `backlog-${number}`, purchase(number, 1_000, '541333'))
      const code = String(answer.body.responseCode ?? answer.status)
      outcomes[code] = (outcomes[code] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, buy))
  return outcomes
}

async function depthOf(adminUrl: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text()
  const line = /^switchyard_store_and_forward_depth\{issuer="demo-b"\} (\d+)/m.exec(text)
  return Number(line?.[1] ?? Number.NaN)
}

/** Purchases to demo-a at a fixed rate until `over`; milliseconds from the intended send time. */
async function traffic(url: string, name: string, over: () => Promise<void>): Promise<number[]> {
  const startedMs = performance.now()
  const latenciesMs: number[] = []
  const running: Promise<void>[] = []
  const buy = async (number: number, intendedMs: number) => {
    const card = 20_000 + number
    const { body } = await postAgain(url, `${name}-${number}`, purchase(card, 1_000))
    latenciesMs.push(performance.now() - intendedMs)
    if (body.outcome !== 'approved') throw new Error(`${name}: ${JSON.stringify(body)}`)
  }
  const timer = setInterval(() => {
    for (;;) {
      const number = running.length
      const intendedMs = startedMs + (number * 1_000) / TRAFFIC_PER_SECOND
      if (intendedMs > performance.now()) return
      running.push(buy(number, intendedMs))
    }
  }, 2)
  await over()
  clearInterval(timer)
  await Promise.all(running)
  return latenciesMs
}

function summaryOf(latenciesMs: readonly number[]) {
  const sorted = [...latenciesMs].sort((a, b) => a - b)
  const at = (part: number) => Math.round((sorted[Math.floor(sorted.length * part)] ?? 0) * 10) / 10
  return { sent: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99) }
}

const [reversals = 10_000, windows = 3] = process.argv.slice(2).map(Number)
process.exitCode = (await measure(reversals, windows)) ? 0 : 1
