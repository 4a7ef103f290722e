// CPU time of processes and their threads, from /proc (Linux).

import { readdirSync, readFileSync } from 'node:fs'

/**
 * Ticks a second of the times in /proc/PID/stat: USER_HZ, which Linux fixes at 100 for everything
 * that leaves the kernel (man 5 proc, man 7 time).
 */
const ticksPerSecond = 100

/**
 * User and system time so far, in microseconds; null where there is no such process or no /proc.
 */
export function cpuMicrosOf(pid: number): number | null {
  try {
    return parseCpuMicros(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return null
  }
}

/**
 * Fields 14 (utime) and 15 (stime), counted from the `)` that ends the name, which may hold blanks.
 */
export function parseCpuMicros(stat: string): number | null {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  return Number.isFinite(ticks) ? (ticks * 1_000_000) / ticksPerSecond : null
}

/**
 * CPU so far of each thread that runs, by its number, in microseconds. The first field of schedstat
 * is nanoseconds on a CPU (Documentation/scheduler/sched-stats.rst), finer than the ticks of stat.
 */
export function threadMicrosOf(pid: number): ReadonlyMap<number, number> {
  const threads = new Map<number, number>()
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1')
      const nanoseconds = Number(text.split(' ')[0])
      if (Number.isFinite(nanoseconds)) threads.set(Number(thread), nanoseconds / 1000)
    }
  } catch {
    // It ended, or this kernel keeps no such figures.
  }
  return threads
}

/** CPU of a process between two moments, in microseconds. */
export interface ThreadCpu {
  /** The thread that runs the event loop of a Node.js process. */
  readonly main: number
  /** The busiest of the others: the scoring worker of a switch. */
  readonly worker: number
  /** All the rest: V8's own threads, libuv's pool. */
  readonly rest: number
}

export function threadDifference(
  pid: number,
  before: ReadonlyMap<number, number>,
  after: ReadonlyMap<number, number>,
): ThreadCpu {
  let main = 0
  let worker = 0
  let rest = 0
  for (const [thread, micros] of after) {
    const spent = micros - (before.get(thread) ?? 0)
    if (thread === pid) main = spent
    else if (spent > worker) {
      rest += worker
      worker = spent
    } else rest += spent
  }
  return { main, worker, rest }
}

/** Memory of a process in bytes, by /proc/PID/status; null where that can't be read. */
export function anonymousBytesOf(pid: number): number | null {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'latin1')
    const kilobytes = /^RssAnon:\s+([0-9]+) kB$/m.exec(text)?.[1]
    return kilobytes === undefined ? null : Number(kilobytes) * 1024
  } catch {
    return null
  }
}
