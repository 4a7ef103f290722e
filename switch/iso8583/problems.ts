// Errors that help: what compiled code says when a message is wrong. All of it is off the fast
// path.

import { contentText } from './content.ts'
import type { DialectSpec, FieldSpec, LengthPrefix } from './dialect-words.ts'
import { likelyCause } from './likely-cause.ts'
import { messageBytesMax, partsMax } from './limits.ts'
import type { IsoProblem, IsoProblemCode } from './message.ts'

/** 0 stands for the MTI and 1 for the bitmap wherever compiled code names a field. */
export const MTI = 0
export const BITMAP = 1

/**
 * What the compiled code of one dialect calls. Each method notes the problem and returns -1, so
 * that the caller can return it at once; `take` then gives the problem, with its likely cause.
 */
export class Problems {
  readonly #spec: DialectSpec
  readonly #fields: ReadonlyMap<number, FieldSpec>
  /** The tag that was read or written last, for paths of subfields that no word names. */
  tagRead = ''
  #noted: IsoProblem = { code: 'bad_value', offset: 0, field: 'mti', message: '' }
  /** The first content rule that was broken; reading went on after it. */
  #blamed: IsoProblem = this.#noted

  constructor(spec: DialectSpec) {
    this.#spec = spec
    this.#fields = new Map(spec.places.map((place) => [place.id, place]))
  }

  /** `needBytes` are needed from `at`, and the message ends at `end`. */
  truncated(at: number, field: number, needBytes: number, end: number): -1 {
    const left = `there are ${end - at}${this.#within(field)}`
    const text = `${this.#called(field)} needs ${bytesOf(needBytes)}, ${left}`
    return this.#note('truncated', at, this.#pathOf(field), text)
  }

  /** A private bitmap is cut off. */
  bitmapCut(at: number, field: number, needBytes: number, end: number): -1 {
    const text = `the bitmap of ${this.#called(field)} needs ${bytesOf(needBytes)}`
    return this.#note('truncated', at, this.#pathOf(field), `${text}, there are ${end - at}`)
  }

  bitmapCharacter(at: number, field: number): -1 {
    const text = `the bitmap of ${this.#called(field)} must be upper-case hex`
    return this.#note('bad_character', at, this.#pathOf(field), text)
  }

  /** The tag of a subfield is cut off or not of the list's form. */
  tag(at: number, field: number): -1 {
    const parts = this.#fields.get(field)?.parts
    const { size, encoding } = (parts?.kind === 'tags' ? parts.tag : {}) as LengthPrefix
    const form = encoding === 'binary' ? bytesOf(size) : `${size} ${encoding} digits`
    const text = `a tag in ${this.#called(field)} must be ${form}`
    return this.#note('bad_subfield', at, this.#pathOf(field), text)
  }

  twice(at: number, field: number, tag: string): -1 {
    const path = `${this.#pathOf(field)}.${tag}`
    return this.#note('bad_subfield', at, path, `subfield ${path} comes twice`)
  }

  tooMany(at: number, field: number): -1 {
    const text = `${this.#called(field)} has over ${partsMax} subfields`
    return this.#note('bad_subfield', at, this.#pathOf(field), text)
  }

  /** A subfield without a value that must be there. */
  missing(at: number, field: number): -1 {
    const text = `${this.#called(field)} is missing`
    return this.#note('bad_subfield', at, this.#pathOf(field), text)
  }

  /** A subfield that the dialect does not have. */
  unknownPart(at: number, field: number, key: unknown): -1 {
    const path = `${this.#pathOf(field)}.${String(key).slice(0, 20)}`
    return this.#note('unknown_field', at, path, `the dialect has no subfield ${path}`)
  }

  /** A map has keys that were not written: unknown ones, or ones after a gap. */
  keys(at: number, field: number, map: ReadonlyMap<unknown, unknown>): -1 {
    const parts = this.#fields.get(field)?.parts
    const known = parts?.fields ?? []
    for (const key of map.keys()) {
      if (!known.some((part) => part.key === key)) return this.unknownPart(at, field, key)
    }
    const gap = known.find((part) => !map.has(part.key)) as FieldSpec
    return this.missing(at, gap.id)
  }

  /** A content rule is broken. Answers true: what was read is blamed, and reading goes on. */
  content(at: number, field: number): true {
    const rule = this.#fields.get(field)?.content
    const want = rule === null || rule === undefined ? '' : contentText(rule)
    const text = `${this.#called(field)} must be ${want}`
    this.#note('bad_content', at, this.#pathOf(field), text)
    this.#blamed = this.#noted
    return true
  }

  /** The MTI is of another edition than the dialect. */
  version(at: number, digit: number): true {
    const edition = [1987, 1993, 2003][digit]
    const text = `the MTI is of the ${edition} edition, the dialect of ${this.#spec.version}`
    this.#note('bad_content', at, 'mti', text)
    this.#blamed = this.#noted
    return true
  }

  header(at: number, part: number): -1 {
    return this.#note('bad_header', at, 'mti', `header part ${part + 1} is not the dialect's`)
  }

  /** The length prefix is not digits. */
  prefix(at: number, field: number): -1 {
    const prefix = this.#fields.get(field)?.prefix
    const kind = `${prefix?.size} ${prefix?.encoding} digits`
    const text = `the length of ${this.#called(field)} is not ${kind}`
    return this.#note('bad_length', at, this.#pathOf(field), text)
  }

  /** `length` is another than the dialect says, or cannot be right for the encoding. */
  length(at: number, field: number, length: number): -1 {
    const text = lengthReason(this.#called(field), this.#fields.get(field), length)
    return this.#note('bad_length', at, this.#pathOf(field), text)
  }

  character(at: number, field: number): -1 {
    const text = `${this.#called(field)} must be ${expected(this.#spec, field)}`
    return this.#note('bad_character', at, this.#pathOf(field), text)
  }

  /** `nibble`: byte offset times two, and one more for the low one. */
  nibble(nibble: number, field: number): -1 {
    const side = (nibble & 1) === 0 ? 'high' : 'low'
    const must = `${this.#called(field)} must be ${expected(this.#spec, field)}`
    const text = `${must}; the ${side} nibble is not`
    return this.#note('bad_character', nibble >> 1, this.#pathOf(field), text)
  }

  fill(at: number, field: number): -1 {
    const { fill, padding } = this.#fields.get(field) as FieldSpec
    const nibble = `${fill === 0 ? '0' : 'F'}, on the ${padding}`
    const text = `the fill nibble of ${this.#called(field)} must be ${nibble}`
    return this.#note('bad_fill', at, this.#pathOf(field), text)
  }

  tlv(at: number, field: number, reason: string): -1 {
    const text = `${this.#called(field)} is not BER-TLV: ${reason}`
    return this.#note('bad_tlv', at, this.#pathOf(field), text)
  }

  unknown(at: number, field: number): -1 {
    return this.#note('unknown_field', at, String(field), `the dialect has no field ${field}`)
  }

  /** Bytes are left after the last field, or in a field after its last subfield. */
  trailing(at: number, end: number, field?: number): -1 {
    const last = field === undefined ? 'the last field' : `the subfields of ${this.#called(field)}`
    const text = `nothing should follow ${last}, and there are ${bytesOf(end - at)}`
    const path = field === undefined ? 'end' : this.#pathOf(field)
    return this.#note('trailing_bytes', at, path, text)
  }

  /** The field that goes over the limit of a message; `MTI` for the message as a whole. */
  tooLong(field: number): -1 {
    const path = field === MTI ? 'end' : this.#pathOf(field)
    const text = `a message has ${messageBytesMax} bytes at most`
    return this.#note('too_long', messageBytesMax, path, text)
  }

  /** A value that can not be encoded, and why. */
  value(at: number, field: number, reason: string): -1 {
    return this.#note('bad_value', at, this.#pathOf(field), `${this.#called(field)} ${reason}`)
  }

  /** A value with a character that the field can not hold, or one that is no string. */
  written(at: number, field: number, value: unknown): -1 {
    const want = expected(this.#spec, field)
    if (typeof value !== 'string') return this.value(at, field, `must be a string: ${want}`)
    const text = `${this.#called(field)} must be ${want}`
    return this.#note('bad_character', at, this.#pathOf(field), text)
  }

  /**
   * The problem noted last, or the first broken content rule where `isBlamed`; `bytes` is the
   * message that was read, null where one was written.
   */
  take(bytes: Uint8Array | null, isBlamed: boolean): IsoProblem {
    const noted = isBlamed ? this.#blamed : this.#noted
    const cause = bytes === null ? '' : likelyCause(this.#spec, bytes, noted)
    return cause === '' ? noted : { ...noted, message: `${noted.message}; ${cause}` }
  }

  #note(code: IsoProblemCode, offset: number, field: string, message: string): -1 {
    this.#noted = { code, offset, field, message }
    return -1
  }

  #called(field: number): string {
    return nameOf(field, this.#fields.get(field), this.#pathOf(field))
  }

  /** A subfield's room ends with the field that it is in. */
  #within(field: number): string {
    const place = this.#fields.get(field)
    if (place === undefined || place.number > 0) return ''
    return ` in field ${place.path.slice(0, place.path.lastIndexOf('.'))}`
  }

  #pathOf(field: number): string {
    if (field === MTI) return 'mti'
    if (field === BITMAP) return 'bitmap'
    const path = this.#fields.get(field)?.path ?? String(field)
    return path.endsWith('*') ? path.slice(0, -1) + this.tagRead : path
  }
}

function nameOf(field: number, spec: FieldSpec | undefined, path: string): string {
  if (field === MTI) return 'the MTI'
  if (field === BITMAP) return 'the bitmap'
  const isNamed = spec !== undefined && spec.name !== `field ${spec.path}`
  return isNamed ? `field ${path} (${spec.name})` : `field ${path}`
}

function bytesOf(count: number): string {
  return count === 1 ? '1 byte' : `${count} bytes`
}

function lengthReason(name: string, spec: FieldSpec | undefined, length: number): string {
  if (spec === undefined) return `${name} has length ${length}`
  const unit = spec.countsBytes ? 'bytes' : unitOf(spec)
  if (spec.prefix === null && !spec.takesRest)
    return `${name} has ${length} ${unit}, the dialect says ${spec.length}`
  if (length > spec.length)
    return `${name} has ${length} ${unit}, ${spec.length} at most are allowed`
  return spec.encoding === 'amount-bcd'
    ? `${name} has ${length} ${unit}; a sign and a digit at least are needed`
    : `${name} has ${length} ${unit}, which does not make whole bytes`
}

function unitOf(spec: FieldSpec): string {
  if (spec.encoding === 'bcd' || spec.encoding === 'nibbles') return 'digits'
  if (spec.encoding === 'amount-bcd') return 'characters (the sign and the digits)'
  const isBytes = ['binary', 'asciihex', 'ber-tlv'].includes(spec.encoding)
  return isBytes ? 'bytes' : 'characters'
}

function expected(spec: DialectSpec, field: number): string {
  if (field === MTI) return `four digits in ${spec.mti}`
  if (field === BITMAP) {
    return spec.bitmap === 'ebcdichex' ? 'upper-case hex in EBCDIC' : 'upper-case hex in ASCII'
  }
  switch (spec.places.find((place) => place.id === field)?.encoding) {
    case 'ascii':
      return '7-bit ASCII'
    case 'ebcdic':
      return 'characters of code page 037'
    case 'utf8':
      return 'well-formed UTF-8'
    case 'bcd':
      return 'decimal digits'
    case 'nibbles':
      return 'decimal digits, or D as the separator'
    case 'amount-bcd':
      return 'C or D (or 0 for none), then decimal digits'
    case 'ber-tlv':
      return 'a map of tags to upper-case hex'
    default:
      return 'upper-case hex, two characters a byte'
  }
}
