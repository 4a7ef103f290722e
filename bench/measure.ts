// Runs the cases of one suite with tinybench and prints a line a case: for people, or with `--json`
// as `{name, opsPerSecond, p50Micros, p99Micros, samples}`.

import { Bench } from 'tinybench'

/** One thing to measure. `run` does it once. */
export interface BenchCase {
  readonly name: string
  readonly run: () => unknown
}

/**
 * Calls in one sample: reading the clock costs about as much as the fastest cases, so each sample
 * holds many calls and is divided by them. Percentiles are those of samples, not of single calls.
 */
const callsPerSample = 200

/**
 * Whether only a look is wanted whether the suite works (`bench --brief`): figures mean nothing then.
 */
export const isBrief = process.env.SWITCHYARD_BENCH_BRIEF === '1'

/** Whatever a case returns is kept here, so that the compiler can not leave the work out. */
const kept: unknown[] = [undefined]

export async function measure(cases: readonly BenchCase[], timeMs = 1_000): Promise<void> {
  const bench = benchFor(timeMs)
  for (const { name, run } of cases) {
    bench.add(name, () => {
      for (let i = 0; i < callsPerSample; i++) kept[0] = run()
    })
  }
  await report(bench, callsPerSample)
}

/** Cases that wait for something; each call does `size` things, and micros are of one of them. */
export async function measureAsync(
  size: number,
  cases: readonly { readonly name: string; readonly run: () => Promise<unknown> }[],
  timeMs = 1_000,
): Promise<void> {
  const bench = benchFor(timeMs)
  for (const { name, run } of cases) bench.add(name, run)
  await report(bench, size)
}

/** What times so long, half of it to warm up; two calls where only a look is wanted. */
export function benchFor(timeMs: number): Bench {
  if (isBrief) return new Bench({ time: 1, iterations: 2, warmup: false })
  return new Bench({ time: timeMs, warmupTime: timeMs / 2 })
}

async function report(bench: Bench, callsPerSample: number): Promise<void> {
  await bench.run()
  for (const task of bench.tasks) {
    const { result } = task
    if (!('latency' in result)) throw new Error(`${task.name} was not measured: ${result.state}`)
    const micros = (ms: number | undefined): number => ((ms ?? 0) * 1_000) / callsPerSample
    const row = {
      name: task.name,
      opsPerSecond: Math.round((1_000 / result.latency.mean) * callsPerSample),
      p50Micros: round(micros(result.latency.p50)),
      p99Micros: round(micros(result.latency.p99)),
      samples: result.latency.samplesCount * callsPerSample,
    }
    console.log(process.argv.includes('--json') ? JSON.stringify(row) : print(row))
  }
}

function print(row: {
  readonly name: string
  readonly opsPerSecond: number
  readonly p50Micros: number
  readonly p99Micros: number
}): string {
  const rate = row.opsPerSecond.toLocaleString('en-US').padStart(12)
  return `${row.name.padEnd(44)} ${rate}/s  p50 ${row.p50Micros} µs  p99 ${row.p99Micros} µs`
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
