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
  /** 0 to 1439; NaN when the zone is unknown. */
  minuteOfDay(timeZone: string, atMs: number): number
}

/** True where the runtime knows the zone by this IANA name. */
export function isTimeZone(name: string): boolean {
  return formatOf(name) !== undefined
}

const quarterMs = 900_000
const minuteMs = 60_000
/** The range of times that a Date can hold. Source: ECMA-262, Time Values and Time Range. */
const timeMsMax = 8.64e15
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
  /** Of the hour, when the quarter starts. */
  minute: number
  weekday: number
}

/** Stands for every zone at a time that isn't known. */
const never: Zone = {
  format: undefined,
  quarter: Number.NaN,
  hour: Number.NaN,
  minute: Number.NaN,
  weekday: Number.NaN,
}

export function createLocalTime(): LocalTime {
  const zones = new Map<string, Zone>()
  const at = (timeZone: string, atMs: number): Zone => {
    if (!(Math.abs(atMs) <= timeMsMax)) return never
    let zone = zones.get(timeZone)
    if (zone === undefined) {
      // Unknown names are kept too, so an odd sender costs one failed look-up; all go when full.
      if (zones.size >= timeZonesMax) zones.clear()
      const format = formatOf(timeZone)
      zone = { ...never, format }
      zones.set(timeZone, zone)
    }
    const quarter = Math.floor(atMs / quarterMs)
    if (zone.format !== undefined && zone.quarter !== quarter) refresh(zone, zone.format, quarter)
    return zone
  }
  return {
    hour: (timeZone, atMs) => at(timeZone, atMs).hour,
    weekday: (timeZone, atMs) => at(timeZone, atMs).weekday,
    minuteOfDay(timeZone, atMs) {
      const { hour, minute, quarter } = at(timeZone, atMs)
      return hour * 60 + minute + Math.floor((atMs - quarter * quarterMs) / minuteMs)
    },
  }
}

/**
 * Formatters hold no state but their zone, and each reload would make its own: 2 ms a zone. All go
 * when full.
 */
const formats = new Map<string, Intl.DateTimeFormat | undefined>()

function formatOf(timeZone: string): Intl.DateTimeFormat | undefined {
  if (!/^[A-Za-z0-9_+\-/]{1,64}$/.test(timeZone)) return undefined
  if (formats.has(timeZone)) return formats.get(timeZone)
  if (formats.size >= timeZonesMax) formats.clear()
  const format = createFormat(timeZone)
  formats.set(timeZone, format)
  return format
}

function createFormat(timeZone: string): Intl.DateTimeFormat | undefined {
  try {
    const options = {
      timeZone,
      hour: '2-digit',
      minute: '2-digit',
      weekday: 'short',
      hourCycle: 'h23',
    } as const
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
    if (part.type === 'minute') zone.minute = Number(part.value)
    if (part.type === 'weekday') zone.weekday = weekdays[part.value] ?? Number.NaN
  }
}
