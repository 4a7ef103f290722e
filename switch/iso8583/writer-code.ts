// Writes the JavaScript that encodes one dialect, the mirror of `reader-code.ts`. Values are written
// into one scratch buffer a process and copied out; `at` never passes `room`, which is checked before
// each value, so that a message over the limit is an answered error.
//
// Names in the code: `out` the scratch; `at` the offset; `v` a value; `n` its length in its own unit;
// `size` in bytes; `p` the problems; `w` the primitives of `wire.ts`.

import type { DialectSpec, FieldSpec, LengthPrefix } from './dialect-words.ts'
import { messageBytesMax } from './limits.ts'
import { MTI } from './problems.ts'
import { prefixSize } from './reader-code.ts'

/** The body of `encode(message)` and what it needs. */
export function writerCode(spec: DialectSpec): string {
  const words = Array.from({ length: spec.tertiaryBitmap ? 6 : 4 }, (_, word) =>
    wordCode(spec, word),
  )
  return `
    let bits = 0
    ${words.join('\n')}
    function hasField(fields, from, to) {
      for (let n = from; n < to && n < fields.length; n++) if (fields[n] !== undefined) return true
      return false
    }
    function write(message) {
      const fields = message.fields
      if (!Array.isArray(fields)) return p.value(0, ${MTI}, 'comes without fields')
      if (fields[0] !== undefined) return p.unknown(0, 0)
      if (fields[1] !== undefined) return p.unknown(0, 1)
      ${mtiCode(spec)}
      ${bitmapCode(spec)}
    }
    function encode(message) {
      const size = write(message)
      if (size < 0) return { ok: false, problem: p.take(null) }
      return { ok: true, bytes: w.copyOut(out, size) }
    }`
}

function mtiCode(spec: DialectSpec): string {
  const header = spec.header.flatMap((part) =>
    part.value === null ? Array.from({ length: part.bytes }, () => 0) : [...part.value],
  )
  const bytes = header.map((byte, i) => `out[${i}] = ${byte}`).join('; ')
  const put = { ascii: 'w.putAscii(out, at, mti)', ebcdic: 'w.putEbcdic(out, at, mti)' }
  const write = spec.mti === 'bcd' ? 'w.putBcd(out, at, mti, true, 0)' : put[spec.mti]
  return `const mti = message.mti
      ${bytes}
      let at = ${header.length}
      if (typeof mti !== 'string' || mti.length !== 4) {
        return p.value(at, ${MTI}, 'must be four digits')
      }
      for (let i = 0; i < 4; i++) {
        if (((mti.charCodeAt(i) - 48) >>> 0) > 9) return p.value(at, ${MTI}, 'must be four digits')
      }
      at = ${write}`
}

function bitmapCode(spec: DialectSpec): string {
  const { bitmaps: always, tertiaryBitmap } = spec
  const width = spec.bitmap === 'binary' ? 8 : 16
  const most = tertiaryBitmap ? 3 : 2
  const put = { binary: 'putBinaryWord', asciihex: 'putHexWord', ebcdichex: 'putEbcdicHexWord' }
  const lines = [`let maps = ${always}`]
  const second = tertiaryBitmap ? 66 : 65
  if (always < 2)
    lines.push(`if (fields.length > ${second} && hasField(fields, ${second}, 129)) maps = 2`)
  if (tertiaryBitmap && always < 3) {
    lines.push(`if (fields.length > 129 && hasField(fields, 129, 193)) maps = 3`)
  }
  lines.push(
    `if (typeof message.bitmaps === 'number' && message.bitmaps > maps) {
        maps = Math.min(${most}, message.bitmaps | 0)
      }`,
    'const mapAt = at',
    `at += maps * ${width}`,
  )
  for (let word = 0; word < most * 2; word++) {
    lines.push(
      `let b${word} = 0`,
      `if (fields.length > ${word * 32 + 1}) {
        if ((at = put${word}(at, fields)) < 0) return at
        b${word} = bits
      }`,
    )
  }
  lines.push(
    `if (hasField(fields, ${most * 64 + 1}, fields.length)) return p.unknown(at, unknownOf(fields))`,
  )
  if (always < 2) lines.push('if (maps > 1) b0 |= -2147483648')
  if (tertiaryBitmap && always < 3) lines.push('if (maps > 2) b2 |= -2147483648')
  for (let word = 0; word < most * 2; word++) {
    const line = `w.${put[spec.bitmap]}(out, mapAt + ${(word * width) / 2}, b${word})`
    lines.push(word < 2 ? line : `if (maps > ${word >> 1}) ${line}`)
  }
  return `${lines.join('\n')}
      return at
      function unknownOf(fields) {
        for (let n = ${most * 64 + 1}; ; n++) if (fields[n] !== undefined) return n
      }`
}

function wordCode(spec: DialectSpec, word: number): string {
  const lines: string[] = []
  for (let i = 0; i < 32; i++) {
    const number = word * 32 + i + 1
    if (number === 1) continue
    const field = spec.fields.find((candidate) => candidate.number === number)
    lines.push(
      field === undefined
        ? `if (fields[${number}] !== undefined) return p.unknown(at, ${number})`
        : `v = fields[${number}]
      if (v !== undefined) {
        ${fieldCode(field)}
        set |= ${1 << (31 - i)}
      }`,
    )
  }
  return `function put${word}(at, fields) {
    let set = 0, v
    ${lines.join('\n')}
    bits = set
    return at
  }`
}

function fieldCode(field: FieldSpec): string {
  const { number, prefix } = field
  const skip = prefix === null ? 0 : prefixSize(prefix)
  const count = field.countsBytes ? 'size' : 'n'
  const isFixed = prefix === null
  return `${measureCode(field)}
    if (${count} ${isFixed ? '!==' : '>'} ${field.length}) return p.length(at, ${number}, ${count})
    if (at + size > ${messageBytesMax - skip}) return p.tooLong(${number})
    ${prefix === null ? '' : prefixCode(prefix, count)}
    const next = ${putCode(field, skip === 0 ? 'at' : `at + ${skip}`)}
    if (next < 0) return p.written(at, ${number}, v)
    at = next`
}

/** `n` and `size` of the value, which is checked as far as its length needs it. */
function measureCode(field: FieldSpec): string {
  const { number } = field
  if (field.encoding === 'ber-tlv') {
    return `if (!(v instanceof Map)) return p.value(at, ${number}, 'must be a map of tags to hex')
    const size = w.measureTlv(v), n = size
    if (typeof size === 'string') return p.tlv(at, ${number}, size)`
  }
  const isString = `if (typeof v !== 'string') return p.written(at, ${number}, v)`
  const uneven = (condition: string, what: string): string =>
    `if (${condition}) return p.value(at, ${number}, '${what}')`
  switch (field.encoding) {
    case 'ascii':
    case 'ebcdic':
      return `${isString}
    const n = v.length, size = n`
    case 'utf8':
      return `${isString}
    const n = w.countCodePoints(v)
    if (n < 0) return p.written(at, ${number}, v)
    const size = w.utf8Bytes(v)`
    case 'binary':
    case 'asciihex':
      return `${isString}
    ${uneven('v.length & 1', 'must have two hex characters a byte')}
    const n = v.length >> 1, size = ${field.encoding === 'binary' ? 'n' : 'v.length'}`
    default: {
      const isAmount = field.encoding === 'amount-bcd'
      const isOdd = isAmount ? '(v.length & 1) === 0' : 'v.length & 1'
      const needsEven = field.countsBytes && field.fill === 0
      return `${isString}
    ${needsEven ? uneven(isOdd, 'must fill whole bytes, since its length counts bytes') : ''}
    ${isAmount ? `if (v.length < 2) return p.length(at, ${number}, v.length)` : ''}
    const n = v.length, size = ${isAmount ? '1 + (n >> 1)' : '(n + 1) >> 1'}`
    }
  }
}

function prefixCode(prefix: LengthPrefix, count: string): string {
  const size = prefixSize(prefix)
  const bytes = Array.from({ length: size }, (_, i) => {
    const rest = size - 1 - i
    const digit = (power: number): string => `(${count} / ${10 ** power} | 0) % 10`
    switch (prefix.encoding) {
      case 'binary':
        return `(${count} >>> ${rest * 8}) & 255`
      case 'bcd':
        return `((${digit(rest * 2 + 1)}) << 4) | (${digit(rest * 2)})`
      default:
        return `${prefix.encoding === 'ascii' ? 48 : 240} + ${digit(rest)}`
    }
  })
  return bytes.map((byte, i) => `out[at + ${i}] = ${byte}`).join('; ')
}

function putCode(field: FieldSpec, at: string): string {
  const packed = `${field.padding === 'left'}, ${field.fill}`
  switch (field.encoding) {
    case 'ascii':
      return `w.putAscii(out, ${at}, v)`
    case 'ebcdic':
      return `w.putEbcdic(out, ${at}, v)`
    case 'utf8':
      return `w.putUtf8(out, ${at}, v)`
    case 'binary':
      return `w.putHexBytes(out, ${at}, v)`
    case 'asciihex':
      return `w.putHexText(out, ${at}, v)`
    case 'bcd':
      return `w.putBcd(out, ${at}, v, ${packed})`
    case 'nibbles':
      return `w.putNibbles(out, ${at}, v, ${packed})`
    case 'amount-bcd':
      return `w.putAmount(out, ${at}, v, ${packed})`
    case 'ber-tlv':
      return `w.writeTlv(out, ${at}, v)`
  }
}
