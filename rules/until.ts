// An end as analysts write it: of a list entry, of a snooze.

const dayMs = 86_400_000

/**
 * `2026-12-31` ends with that day (UTC), `2026-12-31T18:00Z` at that moment; in milliseconds, the
 * first one that is outside. NaN where the text is no such date.
 */
export function untilMs(written: string): number {
  const match = /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(:\d{2})?Z)?$/.exec(written)
  const [, date = '', time] = match ?? []
  const midnight = Date.parse(`${date}T00:00:00Z`)
  // Date.parse takes 30 February for 2 March.
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== date) {
    return Number.NaN
  }
  return time === undefined ? midnight + dayMs : Date.parse(written)
}

export const untilLooks = 'a day as 2026-12-31, which it includes, or a time as 2026-12-31T18:00Z'
