// CPU time of a process and all its threads, from /proc (Linux).

import { readFileSync } from 'node:fs'

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
