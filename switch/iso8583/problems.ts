// Errors that help: what compiled code says when a message is wrong. All of it is off the fast
// path.

import type { DialectSpec, FieldSpec } from './dialect-words.ts'
import { likelyCause } from './likely-cause.ts'
import { messageBytesMax } from './limits.ts'
import type { FieldValue, IsoProblem, IsoProblemCode } from './message.ts'

/** 0 stands for the MTI and 1 for the bitmap wherever compiled code names a field. */
export const MTI = 0
export const BITMAP = 1

/**
 * What the compiled code of one dialect calls. Each method notes the problem and returns -1, so
 * that the caller can return it at once; `take` then gives the problem, with its likely cause.
 */
export interface Problems {
  truncated(at: number, field: number, needBytes: number, end: number): -1
  header(at: number, part: number): -1
  prefix(at: number, field: number): -1
  length(at: number, field: number, length: number): -1
  character(at: number, field: number): -1
  nibble(firstNibble: number, field: number): -1
  fill(at: number, field: number): -1
  tlv(at: number, field: number, reason: string): -1
  unknown(at: number, field: number): -1
  trailing(at: number, end: number): -1
  tooLong(field: number): -1
  value(at: number, field: number, reason: string): -1
  written(at: number, field: number, value: FieldValue): -1
  take(bytes: Uint8Array | null): IsoProblem
}

export function createProblems(spec: DialectSpec): Problems {
  const fields = new Map(spec.fields.map((field) => [field.number, field]))
  let code: IsoProblemCode = 'bad_value'
  let offset = 0
  let path = 'mti'
  let message = ''

  const note = (what: IsoProblemCode, at: number, field: string, text: string): -1 => {
    code = what
    offset = at
    path = field
    message = text
    return -1
  }
  const called = (field: number): string => nameOf(field, fields.get(field))

  return {
    truncated: (at, field, need, end) =>
      note(
        'truncated',
        at,
        pathOf(field),
        `${called(field)} needs ${bytesOf(need)}, there are ${end - at}`,
      ),
    header: (at, part) =>
      note('bad_header', at, 'mti', `header part ${part + 1} is not what the dialect says`),
    prefix: (at, field) => {
      const prefix = fields.get(field)?.prefix
      const kind = `${prefix?.size} ${prefix?.encoding} digits`
      return note('bad_length', at, pathOf(field), `the length of ${called(field)} is not ${kind}`)
    },
    length: (at, field, length) =>
      note('bad_length', at, pathOf(field), lengthReason(called(field), fields.get(field), length)),
    character: (at, field) =>
      note('bad_character', at, pathOf(field), `${called(field)} must be ${expected(spec, field)}`),
    nibble: (nibble, field) =>
      note(
        'bad_character',
        nibble >> 1,
        pathOf(field),
        `${called(field)} must be ${expected(spec, field)}; ` +
          `the ${(nibble & 1) === 0 ? 'high' : 'low'} nibble is not`,
      ),
    fill: (at, field) => {
      const { fill, padding } = fields.get(field) as FieldSpec
      const nibble = fill === 0 ? '0' : 'F'
      const text = `the fill nibble of ${called(field)} must be ${nibble}, on the ${padding}`
      return note('bad_fill', at, pathOf(field), text)
    },
    tlv: (at, field, reason) =>
      note('bad_tlv', at, pathOf(field), `${called(field)} is not BER-TLV: ${reason}`),
    unknown: (at, field) =>
      note('unknown_field', at, String(field), `the dialect has no field ${field}`),
    trailing: (at, end) =>
      note(
        'trailing_bytes',
        at,
        'end',
        `after the last field there should be nothing, and there are ${bytesOf(end - at)}`,
      ),
    tooLong: (field) =>
      note(
        'too_long',
        messageBytesMax,
        field === MTI ? 'end' : pathOf(field),
        `a message has ${messageBytesMax} bytes at most`,
      ),
    value: (at, field, reason) =>
      note('bad_value', at, pathOf(field), `${called(field)} ${reason}`),
    written: (at, field, value) => {
      const want = expected(spec, field)
      const isText = typeof value === 'string'
      const text = isText ? `must be ${want}` : `must be a string: ${want}`
      return note(
        isText ? 'bad_character' : 'bad_value',
        at,
        pathOf(field),
        `${called(field)} ${text}`,
      )
    },
    take: (bytes) => {
      const cause =
        bytes === null ? '' : likelyCause(spec, bytes, { code, offset, field: path, message })
      return { code, offset, field: path, message: cause === '' ? message : `${message}; ${cause}` }
    },
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
