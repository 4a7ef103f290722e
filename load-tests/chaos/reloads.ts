// What reloads cost the traffic: the same open-loop load in turns without and with reloads, on one
// running switch. Real processes: two issuers and a switch.
//
//   node --import tsx load-tests/chaos/reloads.ts [reloads] [messages a second] [every ms]
//
// 100, 200 and 2,500 where nothing is said. Every reload changes a rule, so that it is compiled,
// tested, prepared and switched over. Turns come in pairs, A without and B with its part of the
// reloads, and every other pair begins with B: a noisy machine does the same to both. So two turns
// of one kind stand side by side between the pairs, and how much their p99 differ (`p99Noise`) says
// what a ratio of B to A means.
// Latency counts from the intended send time. Prints one line of JSON; exit 1 where a message
// failed or a reload was refused.

import { post, purchase } from '../e2e/system.ts'
import { pause } from '../processes/index.ts'
import { type Reloaded, startReloaded } from './reloaded.ts'

/** Reloads of one turn: 25 s at the usual pace, 5,000 messages, so 50 of them beyond the p99. */
const RELOADS_A_TURN = 10

interface Turn {
  readonly latenciesMs: number[]
  failed: number
  degraded: number
}

/** Open loop: a message is sent when it is due, however late the ones before it are. */
async function drive(url: string, perSecond: number, durationMs: number, first: number) {
  const turn: Turn = { latenciesMs: [], failed: 0, degraded: 0 }
  const startedMs = performance.now()
  const count = Math.round((perSecond * durationMs) / 1_000)
  const sent: Promise<void>[] = []
  for (let i = 0; i < count; i++) {
    const dueMs = startedMs + (i * 1_000) / perSecond
    const waitMs = dueMs - performance.now()
    if (waitMs > 0) await pause(waitMs)
    sent.push(send(url, first + i, dueMs, turn))
  }
  await Promise.all(sent)
  return turn
}

async function send(url: string, number: number, dueMs: number, turn: Turn): Promise<void> {
  try {
    const { status, body } = await post(
      url,
      `reloads-${number}`,
      purchase(number, 1_000 + (number % 9_000)),
    )
    turn.latenciesMs.push(performance.now() - dueMs)
    if (status !== 200) turn.failed++
    const { degraded } = body.risk as { degraded: readonly string[] }
    if (degraded.length > 0) turn.degraded++
  } catch {
    turn.failed++
  }
}

const atShare = (sorted: readonly number[], share: number) =>
  sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN
const rounded = (value: number, digits = 1) => Math.round(value * 10 ** digits) / 10 ** digits
const ascending = (values: readonly number[]) => [...values].sort((a, b) => a - b)
const p99Of = ({ latenciesMs }: Turn) => atShare(ascending(latenciesMs), 0.99)

function figures(turns: readonly Turn[]) {
  const all = ascending(turns.flatMap(({ latenciesMs }) => latenciesMs))
  const sum = (read: (turn: Turn) => number) => turns.reduce((total, turn) => total + read(turn), 0)
  return {
    messages: all.length,
    failed: sum(({ failed }) => failed),
    degraded: sum(({ degraded }) => degraded),
    p50Ms: rounded(atShare(all, 0.5)),
    p99Ms: rounded(atShare(all, 0.99)),
    p999Ms: rounded(atShare(all, 0.999)),
    p99MsByTurn: turns.map((turn) => rounded(p99Of(turn))),
  }
}

/** Median and spread of ratios; all null where there is none. */
function ratiosOf(pairs: readonly (readonly [Turn, Turn])[]) {
  const ratios = ascending(pairs.map(([one, other]) => p99Of(other) / p99Of(one)))
  const at = (share: number) => rounded(atShare(ratios, share), 2)
  return { pairs: ratios.length, median: at(0.5), lowest: at(0), highest: at(1) }
}

interface Kind {
  readonly withReloads: boolean
  readonly turn: Turn
  /** Of the switch's process, all of its threads. */
  readonly cpuSeconds: number
}

/** What neighbours of one kind differ by, the larger p99 over the smaller. */
function noiseOf(turns: readonly Kind[]) {
  const alike = turns.flatMap(({ withReloads, turn }, index): (readonly [Turn, Turn])[] => {
    const next = turns[index + 1]
    if (next?.withReloads !== withReloads) return []
    return p99Of(turn) > p99Of(next.turn) ? [[next.turn, turn]] : [[turn, next.turn]]
  })
  return ratiosOf(alike)
}

interface Measured {
  readonly reloads: number
  readonly perSecond: number
  readonly everyMs: number
}

/** The turns, in order. The first reload, which starts a thread, comes before them. */
async function takeTurns(
  { reloads, perSecond, everyMs }: Measured,
  reloaded: Reloaded,
): Promise<readonly Kind[]> {
  const count = Math.min(reloads, RELOADS_A_TURN)
  const durationMs = count * everyMs
  let first = 0
  const next = (ms: number) => {
    const from = first
    first += Math.ceil((perSecond * ms) / 1_000) + 1
    return drive(reloaded.url, perSecond, ms, from)
  }
  await next(Math.min(5_000, durationMs))
  await reloaded.reload()
  const turns: Kind[] = []
  for (let pair = 0; pair < Math.ceil(reloads / count); pair++) {
    for (const withReloads of pair % 2 === 0 ? [false, true] : [true, false]) {
      const cpuBefore = await reloaded.metric('process_cpu_seconds_total')
      const driving = next(durationMs)
      if (withReloads) await reloaded.reloadEvery(everyMs, count)
      const turn = await driving
      const cpuSeconds = (await reloaded.metric('process_cpu_seconds_total')) - cpuBefore
      turns.push({ withReloads, turn, cpuSeconds })
      console.error(`${withReloads ? 'with   ' : 'without'} reloads, turn ${turns.length}`)
    }
  }
  return turns
}

/** What the turns with reloads took more than those without. */
function cpuMsAReload(turns: readonly Kind[], { reloads }: Measured): number {
  const more = turns.reduce(
    (sum, { withReloads, cpuSeconds }) => sum + (withReloads ? cpuSeconds : -cpuSeconds),
    0,
  )
  const pairs = turns.length / 2
  return rounded((1_000 * more) / (pairs * Math.min(reloads, RELOADS_A_TURN)))
}

async function measure(asked: Measured): Promise<boolean> {
  const reloaded = await startReloaded()
  try {
    const turns = await takeTurns(asked, reloaded)
    const kind = (wanted: boolean) =>
      turns.filter(({ withReloads }) => withReloads === wanted).map(({ turn }) => turn)
    const [without, during] = [kind(false), kind(true)]
    const tookMs = ascending(reloaded.tookMs)
    const pairs = without.map((turn, index) => [turn, during[index] as Turn] as const)
    const [a, b] = [figures(without), figures(during)]
    const report = {
      ...asked,
      reloads: tookMs.length,
      refused: reloaded.refused,
      reloadMs: { p50: rounded(atShare(tookMs, 0.5)), max: rounded(atShare(tookMs, 1)) },
      without: a,
      during: b,
      p99Ratio: ratiosOf(pairs),
      p99Noise: noiseOf(turns),
      cpuMsAReload: cpuMsAReload(turns, asked),
    }
    console.log(JSON.stringify(report))
    return reloaded.refused === 0 && a.failed + b.failed === 0
  } finally {
    await reloaded.stop()
  }
}

const [reloads = 100, perSecond = 200, everyMs = 2_500] = process.argv.slice(2).map(Number)
process.exitCode = (await measure({ reloads, perSecond, everyMs })) ? 0 : 1
