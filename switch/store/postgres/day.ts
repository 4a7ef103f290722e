// Which partition a transaction lies in: told by its id alone, so that nothing has to be looked up.

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const DAY_MS = 86_400_000
const ULID = /_[0-7][0-9A-HJKMNP-TV-Z]{25}$/
const ULID_CHARACTERS = 26
const TIME_CHARACTERS = 10

/** Days since 1970 (UTC) of a moment, milliseconds since 1970. */
export function dayOfTime(ms: number): number {
  return Math.floor(ms / DAY_MS)
}

/** Of an id that ends in a ULID (github.com/ulid/spec); 0 for any other. */
export function dayOf(id: string): number {
  if (!ULID.test(id)) return 0
  const start = id.length - ULID_CHARACTERS
  let ms = 0
  for (let i = start; i < start + TIME_CHARACTERS; i++) {
    ms = ms * 32 + ALPHABET.indexOf(id[i] as string)
  }
  return dayOfTime(ms)
}
