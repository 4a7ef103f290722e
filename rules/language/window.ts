import { windowSecondsMax, windowSecondsMin } from '../limits.ts'

const unitSeconds: Readonly<Record<string, number>> = { m: 60, h: 3_600, d: 86_400 }

/**
 * Seconds of a window as rules write it: digits and one of m, h, d, from "1m" to "30d".
 * Undefined when it is written otherwise or outside these bounds.
 */
export function windowSeconds(text: string): number | undefined {
  const match = /^([1-9]\d{0,5})([mhd])$/.exec(text)
  if (match === null) return undefined
  const seconds = Number(match[1]) * (unitSeconds[match[2] ?? ''] ?? 0)
  return seconds >= windowSecondsMin && seconds <= windowSecondsMax ? seconds : undefined
}

/** The shortest way to write a window: 600 is "10m", 86,400 is "1d". */
export function windowText(seconds: number): string {
  if (seconds % 86_400 === 0) return `${seconds / 86_400}d`
  if (seconds % 3_600 === 0) return `${seconds / 3_600}h`
  return `${seconds / 60}m`
}
