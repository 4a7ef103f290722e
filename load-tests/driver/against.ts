// `load-test --against`: the switch and another server in turns on the same machine in the same
// minutes, each with a closed loop for the peak and an open loop for latency. What is printed are
// ratios of medians, with how far single turns were apart.

import { isPeerName, type RunningPeer, startPeer } from '../peers/index.ts'
import { measureOn, mixOf } from './measure.ts'
import type { LoadOptions } from './options.ts'
import type { ProgressLine } from './progress-line.ts'
import { type LoadReport, makeReport, round } from './report.ts'
import type { Phase } from './scenario.ts'
import { type Stand, setUp } from './set-up.ts'

/** One turn of one side. */
export interface Turn {
  readonly peakPerSecond: number
  readonly peakCpuMicros: number | null
  /** At the common rate. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly isRateMet: boolean
  readonly errors: number
  readonly booksBalanced: boolean | null
}

export interface Against {
  readonly other: string
  readonly ratePerSecond: number
  readonly turns: { readonly switch: readonly Turn[]; readonly other: readonly Turn[] }
  /** The switch over the other: medians, and the least and most of turns taken in pairs. */
  readonly ratios: Readonly<Record<'peak' | 'p50' | 'p99', Spread>>
}

export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
}

/** Runs in turns; `name` is a peer's, or the URL of a server with the same contract. */
export async function runAgainst(
  name: string,
  turns: number,
  options: LoadOptions,
  signal: AbortSignal,
  progress: ProgressLine,
): Promise<Against> {
  const mix = mixOf(options)
  const stand = await setUp(options, mix, (line) => progress.say(line))
  const peer = isPeerName(name) ? await startPeer(name) : undefined
  try {
    const other = await otherStand(name, peer, options, mix, progress)
    const sides = { switch: [] as Turn[], other: [] as Turn[] }
    const ratePerSecond = rateOf(options)
    for (let turn = 0; turn < turns && !signal.aborted; turn++) {
      // Who goes first changes, so that neither has the warmer machine every time.
      const order = turn % 2 === 0 ? (['switch', 'other'] as const) : (['other', 'switch'] as const)
      for (const side of order) {
        progress.say(`turn ${turn + 1} of ${turns}: ${side === 'switch' ? 'the switch' : name}`)
        const ground = side === 'switch' ? stand : other
        sides[side].push(await takeTurn(ground, options, signal, progress))
      }
    }
    return {
      ...{ other: name, ratePerSecond, turns: sides },
      ratios: {
        peak: spreadOf(sides.switch, sides.other, (turn) => turn.peakPerSecond),
        p50: spreadOf(sides.switch, sides.other, (turn) => turn.p50Ms),
        p99: spreadOf(sides.switch, sides.other, (turn) => turn.p99Ms),
      },
    }
  } finally {
    await peer?.stop()
    await stand.tearDown()
  }
}

function otherStand(
  name: string,
  peer: RunningPeer | undefined,
  options: LoadOptions,
  mix: ReturnType<typeof mixOf>,
  progress: ProgressLine,
): Promise<Stand> {
  const target = new URL(peer?.url ?? name)
  return setUp({ ...options, target, folder: undefined }, mix, (line) => progress.say(line)).then(
    (stand) =>
      peer === undefined
        ? stand
        : {
            ...stand,
            stores: `of the peer ${name}`,
            pids: {
              switch: peer.pid,
              redis: peer.redisPid,
              issuers: peer.issuerPid === null ? [] : [peer.issuerPid],
            },
          },
  )
}

function rateOf(options: LoadOptions): number {
  const phase = options.scenario.phases.find((it) => it.measured !== false && it.ratePerSecond)
  return phase?.ratePerSecond ?? defaultRatePerSecond
}

/** Low enough for the slowest of the peers. */
const defaultRatePerSecond = 100
const inFlight = 64

/** Warm-up, peak, a breath, and a steady rate. */
function phasesOf(options: LoadOptions): readonly Phase[] {
  const measured = options.scenario.phases.filter((phase) => phase.measured !== false)
  const seconds = measured.reduce((sum, phase) => sum + phase.seconds, 0) / 2
  const warmup = Math.min(5, seconds)
  return [
    { name: 'warm-up', seconds: warmup, inFlight, measured: false },
    { name: 'peak', seconds, inFlight },
    { name: 'breath', seconds: 1, ratePerSecond: rateOf(options), measured: false },
    { name: 'rate', seconds, ratePerSecond: rateOf(options) },
  ]
}

async function takeTurn(
  stand: Stand,
  options: LoadOptions,
  signal: AbortSignal,
  progress: ProgressLine,
): Promise<Turn> {
  const turn: LoadOptions = {
    ...options,
    connections: Math.max(options.connections, inFlight),
    scenario: { ...options.scenario, phases: [...phasesOf(options)] },
  }
  const parts = await measureOn(stand, turn, mixOf(turn), signal, progress)
  return turnOf(await makeReport(parts))
}

function turnOf(report: LoadReport): Turn {
  const peak = report.phases.find(({ name }) => name === 'peak')
  const rate = report.phases.find(({ name }) => name === 'rate')
  return {
    peakPerSecond: peak?.achievedPerSecond ?? 0,
    peakCpuMicros: peak?.cpuMicrosPerMessage.switch ?? null,
    p50Ms: rate?.latencyMs.p50 ?? Number.NaN,
    p99Ms: rate?.latencyMs.p99 ?? Number.NaN,
    isRateMet: rate?.rateMet ?? false,
    errors: Object.values(report.errors).reduce((sum, count) => sum + count, 0),
    booksBalanced: report.booksBalanced,
  }
}

/** Of both medians, and of the turns in pairs. */
export function spreadOf<T>(
  ours: readonly T[],
  others: readonly T[],
  read: (turn: T) => number,
): Spread {
  const pairs = ours.slice(0, others.length)
  const ratios = pairs.map((turn, i) => read(turn) / read(others[i] as T))
  return {
    median: round(medianOf(ours.map(read)) / medianOf(others.map(read)), 3),
    least: round(Math.min(...ratios), 3),
    most: round(Math.max(...ratios), 3),
  }
}

export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other)
  const middle = sorted.length >> 1
  const high = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? Number.NaN) + high) / 2
}

/** No turn of either side is void. */
export function isBalanced({ turns }: Against): boolean {
  return [...turns.switch, ...turns.other].every(({ booksBalanced }) => booksBalanced !== false)
}

export function againstText({ other, ratePerSecond, turns, ratios }: Against): string {
  const cell = (value: number | string) => String(value).padStart(12)
  const head = ['peak/s', 'CPU us/msg', 'p50 ms', 'p99 ms'].map(cell).join('')
  const lines = [`${''.padEnd(26)}${head}   (p50 and p99 at ${ratePerSecond}/s)`]
  for (const [name, side] of [
    ['switch', turns.switch],
    [other, turns.other],
  ] as const) {
    for (const [i, turn] of side.entries()) {
      const cells = [turn.peakPerSecond, turn.peakCpuMicros ?? '-', turn.p50Ms, turn.p99Ms]
      const notes = [
        ...(turn.isRateMet ? [] : ['rate not met']),
        ...(turn.errors === 0 ? [] : [`${turn.errors} errors`]),
        ...(turn.booksBalanced === false ? ['VOID: the books do not balance'] : []),
      ]
      lines.push(
        `${`${name} ${i + 1}`.padEnd(26)}${cells.map(cell).join('')}   ${notes.join(', ')}`,
      )
    }
  }
  for (const [name, { median, least, most }] of Object.entries(ratios)) {
    lines.push(
      `${`${name}, switch / ${other}`.padEnd(26)}${cell(median)}   turns from ${least} to ${most}`,
    )
  }
  return `${lines.join('\n')}\n`
}
