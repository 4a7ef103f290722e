// Errors that help: what compiled code says when a message is wrong. All of it is off the fast
// path.

import type { DialectSpec, FieldSpec } from './dialect-words.ts'
import { likelyCause } from './likely-cause.ts'
import { messageBytesMax } from './limits.ts'
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
  #noted: IsoProblem = { code: 'bad_value', offset: 0, field: 'mti', message: '' }

  constructor(spec: DialectSpec) {
    this.#spec = spec
    this.#fields = new Map(spec.fields.map((field) => [field.number, field]))
  }

  /** `needBytes` are needed from `at`, and the message ends at `end`. */
  truncated(at: number, field: number, needBytes: number, end: number): -1 {
    const text = `${this.#called(field)} needs ${bytesOf(needBytes)}, there are ${end - at}`
    return this.#note('truncated', at, pathOf(field), text)
  }

  header(at: number, part: number): -1 {
    return this.#note('bad_header', at, 'mti', `header part ${part + 1} is not the dialect's`)
  }

  /** The length prefix is not digits. */
  prefix(at: number, field: number): -1 {
    const prefix = this.#fields.get(field)?.prefix
    const kind = `${prefix?.size} ${prefix?.encoding} digits`
    const text = `the length of ${this.#called(field)} is not ${kind}`
    return this.#note('bad_length', at, pathOf(field), text)
  }

  /** `length` is another than the dialect says, or cannot be right for the encoding. */
  length(at: number, field: number, length: number): -1 {
    const text = lengthReason(this.#called(field), this.#fields.get(field), length)
    return this.#note('bad_length', at, pathOf(field), text)
  }

  character(at: number, field: number): -1 {
    const text = `${this.#called(field)} must be ${expected(this.#spec, field)}`
    return this.#note('bad_character', at, pathOf(field), text)
  }

  /** `nibble`: byte offset times two, and one more for the low one. */
  nibble(nibble: number, field: number): -1 {
    const side = (nibble & 1) === 0 ? 'high' : 'low'
    const must = `${this.#called(field)} must be ${expected(this.#spec, field)}`
    const text = `${must}; the ${side} nibble is not`
    return this.#note('bad_character', nibble >> 1, pathOf(field), text)
  }

  fill(at: number, field: number): -1 {
    const { fill, padding } = this.#fields.get(field) as FieldSpec
    const nibble = `${fill === 0 ? '0' : 'F'}, on the ${padding}`
    const text = `the fill nibble of ${this.#called(field)} must be ${nibble}`
    return this.#note('bad_fill', at, pathOf(field), text)
  }

  tlv(at: number, field: number, reason: string): -1 {
    const text = `${this.#called(field)} is not BER-TLV: ${reason}`
    return this.#note('bad_tlv', at, pathOf(field), text)
  }

  unknown(at: number, field: number): -1 {
    return this.#note('unknown_field', at, String(field), `the dialect has no field ${field}`)
  }

  trailing(at: number, end: number): -1 {
    const text = `nothing should follow the last field, and there are ${bytesOf(end - at)}`
    return this.#note('trailing_bytes', at, 'end', text)
  }

  /** The field that goes over the limit of a message; `MTI` for the message as a whole. */
  tooLong(field: number): -1 {
    const path = field === MTI ? 'end' : pathOf(field)
    const text = `a message has ${messageBytesMax} bytes at most`
    return this.#note('too_long', messageBytesMax, path, text)
  }

  /** A value that can not be encoded, and why. */
  value(at: number, field: number, reason: string): -1 {
    return this.#note('bad_value', at, pathOf(field), `${this.#called(field)} ${reason}`)
  }

  /** A value with a character that the field can not hold, or one that is no string. */
  written(at: number, field: number, value: unknown): -1 {
    const want = expected(this.#spec, field)
    if (typeof value !== 'string') return this.value(at, field, `must be a string: ${want}`)
    const text = `${this.#called(field)} must be ${want}`
    return this.#note('bad_character', at, pathOf(field), text)
  }

  /** The problem noted last; `bytes` is the message that was read, null where one was written. */
  take(bytes: Uint8Array | null): IsoProblem {
    const noted = this.#noted
    const cause = bytes === null ? '' : likelyCause(this.#spec, bytes, noted)
    return cause === '' ? noted : { ...noted, message: `${noted.message}; ${cause}` }
  }

  #note(code: IsoProblemCode, offset: number, field: string, message: string): -1 {
    this.#noted = { code, offset, field, message }
    return -1
  }

  #called(field: number): string {
    return nameOf(field, this.#fields.get(field))
  }
}

function pathOf(field: number): string {
  return field === MTI ? 'mti' : field === BITMAP ? 'bitmap' : String(field)
}

function nameOf(field: number, spec: FieldSpec | undefined): string {
  if (field === MTI) return 'the MTI'
  if (field === BITMAP) return 'the bitmap'
  const isNamed = spec !== undefined && spec.name !== `field ${field}`
  return isNamed ? `field ${field} (${spec.name})` : `field ${field}`
}

function bytesOf(count: number): string {
  return count === 1 ? '1 byte' : `${count} bytes`
}

function lengthReason(name: string, spec: FieldSpec | undefined, length: number): string {
  if (spec === undefined) return `${name} has length ${length}`
  const unit = spec.countsBytes ? 'bytes' : unitOf(spec)
  if (spec.prefix === null) return `${name} has ${length} ${unit}, the dialect says ${spec.length}`
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
  switch (spec.fields.find((candidate) => candidate.number === field)?.encoding) {
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
