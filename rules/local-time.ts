// The hour and weekday on the merchant's clock. Asking Intl costs microseconds and building a
// formatter some hundred, so the answer is kept for a quarter of an hour: every offset in the IANA
// database since 1972 is a multiple of fifteen minutes, and so is every change of one.

import { timeZonesMax } from './limits.ts'

/** Hours and weekdays in IANA time zones. */
export interface LocalTime {
  /** 0 to 23; NaN when the zone is unknown. */
  hour(timeZone: string, atMs: number): number
  /** Monday 1 to Sunday 7; NaN when the zone is unknown. */
  weekday(timeZone: string, atMs: number): number
}

const quarterMs = 900_000
const weekdays: Readonly<Record<string, number>> = {
  Mon: 1,
  Tue: 2,
  Wed: 3,
  Thu: 4,
  Fri: 5,
  Sat: 6,
  Sun: 7,
}

interface Zone {
  readonly format: Intl.DateTimeFormat | undefined
  quarter: number
  hour: number
  weekday: number
}

export function createLocalTime(): LocalTime {
  const zones = new Map<string, Zone>()
  const at = (timeZone: string, atMs: number): Zone => {
    let zone = zones.get(timeZone)
    if (zone === undefined) {
      // Unknown names are kept too, so an odd sender costs one failed look-up; all go when full.
      if (zones.size >= timeZonesMax) zones.clear()
      const format = formatOf(timeZone)
      zone = { format, quarter: Number.NaN, hour: Number.NaN, weekday: Number.NaN }
      zones.set(timeZone, zone)
    }
    const quarter = Math.floor(atMs / quarterMs)
    if (zone.format !== undefined && zone.quarter !== quarter) refresh(zone, zone.format, quarter)
    return zone
  }
  return {
    hour: (timeZone, atMs) => at(timeZone, atMs).hour,
    weekday: (timeZone, atMs) => at(timeZone, atMs).weekday,
  }
}

function formatOf(timeZone: string): Intl.DateTimeFormat | undefined {
  if (!/^[A-Za-z0-9_+\-/]{1,64}$/.test(timeZone)) return undefined
  try {
    const options = { timeZone, hour: '2-digit', weekday: 'short', hourCycle: 'h23' } as const
    return new Intl.DateTimeFormat('en-US', options)
  } catch {
    // Intl has no other way to say that it doesn't know a zone.
    return undefined
  }
}

function refresh(zone: Zone, format: Intl.DateTimeFormat, quarter: number): void {
  zone.quarter = quarter
  for (const part of format.formatToParts(quarter * quarterMs)) {
    if (part.type === 'hour') zone.hour = Number(part.value)
    if (part.type === 'weekday') zone.weekday = weekdays[part.value] ?? Number.NaN
  }
}
