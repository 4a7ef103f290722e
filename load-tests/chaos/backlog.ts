// How long a backlog of reversals takes once its issuer answers again, and what that costs traffic
// to another issuer. Real processes: two issuers and a switch.
//
//   node --import tsx load-tests/chaos/backlog.ts [reversals, 10000] [rounds, 5] [a second, 200]
//
// demo-b decides and answers nothing, reversals neither; so many purchases to it time out, each
// with its reversal. Then come rounds of two windows each, in all of which the same traffic goes to
// demo-a: one with demo-b gone (nothing drains), one with demo-b there (its backlog drains). Their
// order turns from round to round, so that what else the machine does falls on both:
//
//   idle draining | draining idle | idle draining | ...
//
// Each round has a ratio of its own, and their median is the verdict: one disturbed window does not
// move it. Where two idle windows meet, their own ratio says how much the machine moves by itself.
// Latency counts from the intended send time; the drain is the time in which demo-b was there.
//
// Prints one line of JSON; progress on standard error. Exit 1 where the drain takes 60 s or more,
// the median ratio of the p99 is over 1.2, or an approval stays at the issuer. `noise` at or over
// the ratio means that the machine can't tell: repeat it on a quiet one.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { purchase } from '../e2e/system.ts'
import { isLive } from '../issuer/index.ts'
import { type RunningIssuer, startIssuer, startSwitch } from '../processes/index.ts'
import { p99Of, pause, postAgain, spreadOf, summaryOf, traffic } from './windows.ts'

const DRAIN_MS_MAX = 60_000
const ISSUER_TIMEOUT_MS = 1_000
/** Purchases to the silent issuer at a time: about 600 a second. */
const AT_A_TIME = 600
/** Five of them with SETTLING_MS are 45 s of the 54 s that 10,000 take to drain. */
const WINDOW_MS = 8_000
/** After demo-b came or went: links, breakers and garbage of the change are not the drain. */
const SETTLING_MS = 1_000
const P99_RATIO_MAX = 1.2

const silent = { silentPercent: 100, faultyReversals: true }

type Side = 'idle' | 'draining'

interface Window {
  readonly side: Side
  readonly latenciesMs: readonly number[]
}

/** Prints the report; true where it is within the marks. */
async function measure(reversals: number, rounds: number, perSecond: number): Promise<boolean> {
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
  const drainedMs = { sum: 0 }
  /** Purchases to demo-a while demo-b is there, or is not. */
  const window = async (side: Side, number: number): Promise<Window> => {
    await (side === 'idle' ? demoB.setBehaviour({ isClosed: true }) : letDrain(demoB, depth))
    const startedMs = performance.now()
    await pause(SETTLING_MS)
    const latenciesMs = await traffic({
      url: running.url,
      window: number,
      perSecond,
      windowMs: WINDOW_MS,
    })
    if (side === 'draining') drainedMs.sum += performance.now() - startedMs
    process.stderr.write(`${side.padEnd(8)} p99 ${p99Of(latenciesMs)} ms, ${await depth()} left\n`)
    return { side, latenciesMs }
  }
  try {
    const outcomes = await makeBacklog(running.url, reversals)
    const queued = await depth()
    const windows: Window[] = []
    for (let round = 0; round < rounds; round++) {
      const sides: readonly Side[] = round % 2 === 0 ? ['idle', 'draining'] : ['draining', 'idle']
      for (const side of sides) windows.push(await window(side, windows.length))
    }
    await demoB.setBehaviour({ isClosed: false, silentPercent: 0, faultyReversals: false })
    const restMs = performance.now()
    while ((await depth()) > 0 && performance.now() - restMs < 3 * DRAIN_MS_MAX) await pause(100)
    const drainSeconds = (drainedMs.sum + performance.now() - restMs) / 1_000
    const live = (await demoB.ledger()).filter(isLive).length
    const compared = compare(windows)
    const report = { queued, outcomes, drainSeconds, ...compared, liveAtIssuer: live }
    process.stdout.write(`${JSON.stringify(report)}\n`)
    const isFast = drainSeconds * 1_000 < DRAIN_MS_MAX
    return live === 0 && isFast && compared.p99Ratio.median <= P99_RATIO_MAX
  } catch (error) {
    process.stderr.write(`the switch said last:\n${running.logs.slice(-2_000)}\n`)
    throw error
  } finally {
    await running.stop()
    await Promise.all([demoA.stop(), demoB.stop()])
    await rm(folder, { recursive: true, force: true })
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

/** Lets demo-b answer, and waits until its first reversals are gone. */
async function letDrain(demoB: RunningIssuer, depth: () => Promise<number>): Promise<void> {
  await demoB.setBehaviour({ isClosed: false, silentPercent: 0, faultyReversals: false })
  const before = await depth()
  if (before === 0) throw new Error('the backlog is gone: ask for fewer rounds, or more reversals')
  while ((await depth()) === before) await pause(50)
}

/** The rounds' ratios, and what both sides come to together. */
function compare(windows: readonly Window[]) {
  const ratios: number[] = []
  const noise: number[] = []
  for (const [i, window] of windows.entries()) {
    const next = windows[i + 1]
    if (next === undefined) continue
    const p99s = [window, next].map(({ latenciesMs }) => p99Of(latenciesMs))
    if (window.side === 'idle' && next.side === 'idle') {
      noise.push(Math.max(...p99s) / Math.min(...p99s))
    } else if (i % 2 === 0) {
      const [idle, draining] = window.side === 'idle' ? p99s : p99s.toReversed()
      ratios.push((draining ?? 0) / (idle ?? 0))
    }
  }
  const all = (side: Side) =>
    summaryOf(windows.filter((one) => one.side === side).flatMap((one) => one.latenciesMs))
  return {
    p99Ratio: spreadOf(ratios),
    noise: spreadOf(noise),
    idle: all('idle'),
    draining: all('draining'),
  }
}

const [reversals = 10_000, rounds = 5, perSecond = 200] = process.argv.slice(2).map(Number)
process.exitCode = (await measure(reversals, rounds, perSecond)) ? 0 : 1
