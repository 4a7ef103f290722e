// Writes the JavaScript that encodes one dialect, the mirror of `reader-code.ts`. Values are written
// into one scratch buffer a process and copied out; `at` never passes `room`, which is checked before
// each value, so that a message over the limit is an answered error.
//
// Names in the code: `out` the scratch; `at` the offset; `v` a value; `n` its length in its own unit;
// `size` in bytes; `p` the problems; `w` the primitives of `wire.ts`.

import type { DialectSpec, FieldSpec, LengthPrefix, PartsSpec } from './dialect-words.ts'
import { messageBytesMax, partsMax } from './limits.ts'
import { MTI } from './problems.ts'
import { mayEndEarly, prefixSize } from './reader-code.ts'

/** The body of `encode(message)` and what it needs. */
export function writerCode(spec: DialectSpec): string {
  const words = Array.from({ length: spec.tertiaryBitmap ? 6 : 4 }, (_, word) =>
    wordCode(spec, word),
  )
  return `
    let bits = 0
    ${spec.places.map(partsCode).join('\n')}
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
      if (size < 0) return { ok: false, problem: p.take(null, false) }
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
      ${
        spec.mtiVersion === null
          ? ''
          : `if (mti[0] !== '${spec.mtiVersion}' && mti[0] < '3') {
        return p.version(at, Number(mti[0])), -1
      }`
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
  const { id, prefix, parts } = field
  const skip = prefix === null ? 0 : prefixSize(prefix)
  const count = field.countsBytes ? 'size' : 'n'
  const isFixed = prefix === null && !field.takesRest
  const fits = (counted: string): string =>
    `if (${counted} ${isFixed ? '!==' : '>'} ${field.length}) {
      return p.length(at, ${id}, ${counted})
    }`
  const from = skip === 0 ? 'at' : `at + ${skip}`
  const isDivided = `if (!(v instanceof Map)) {
      return p.value(at, ${id}, 'must be an object of its subfields')
    }`
  if (parts !== null && parts.kind !== 'slices') {
    return `${isDivided}
    if (${from} > ${messageBytesMax}) return p.tooLong(${id})
    const next = parts${id}To(${from}, v)
    if (next < 0) return -1
    const n = next - at - ${skip}
    ${fits('n')}
    ${prefix === null ? '' : prefixCode(prefix, 'n')}
    at = next`
  }
  const join =
    parts === null
      ? ''
      : `${isDivided}
    v = parts${id}To(at, v)
    if (v === null) return -1`
  return `${join}
    ${measureCode(field)}
    ${fits(count)}
    if (at + size > ${messageBytesMax - skip}) return p.tooLong(${id})
    ${contentCode(field)}
    ${prefix === null ? '' : prefixCode(prefix, count)}
    const next = ${putCode(field, from)}
    if (next < 0) return p.written(at, ${id}, v)
    at = next`
}

function contentCode(field: FieldSpec): string {
  if (field.content === null || (field.content === 'n' && field.encoding === 'bcd')) return ''
  return `if (w.contentFault('${field.content}', v) >= 0) return p.content(at, ${field.id}), -1`
}

/** The function that writes a field's subfields at `at`, or joins them to one string of digits. */
function partsCode(field: FieldSpec): string {
  const { id, parts } = field
  switch (parts?.kind) {
    case undefined:
      return ''
    case 'slices':
      return `function parts${id}To(at, map) {
        let seen = 0, digits = ''
        done: {
          ${parts.fields.map((part) => sliceCode(field, part)).join('\n')}
        }
        return seen === map.size ? digits : (p.keys(at, ${id}, map), null)
      }`
    case 'positions':
      return `function parts${id}To(at, map) {
        let seen = 0
        done: {
          ${parts.fields.map((part) => partCode(field, part)).join('\n')}
        }
        return seen === map.size ? at : p.keys(at, ${id}, map)
      }`
    case 'bitmap':
      return privateBitmapCode(field, parts)
    case 'tags':
      return tagsCode(field, parts)
  }
}

/** What happens where a subfield has no value. */
function absentCode(field: FieldSpec, part: FieldSpec, failed: string): string {
  return mayEndEarly(field) ? 'break done' : `return p.missing(at, ${part.id})${failed}`
}

function partCode(field: FieldSpec, part: FieldSpec): string {
  return `{
            let v = map.get(${JSON.stringify(part.key)})
            if (v === undefined) ${absentCode(field, part, '')}
            seen++
            ${fieldCode(part)}
          }`
}

function sliceCode(field: FieldSpec, part: FieldSpec): string {
  const wrong = `(p.written(at, ${part.id}, v), null)`
  return `{
            const v = map.get(${JSON.stringify(part.key)})
            if (v === undefined) ${absentCode(field, part, ', null')}
            seen++
            if (typeof v !== 'string') return ${wrong}
            ${
              part.takesRest
                ? ''
                : `if (v.length !== ${part.length}) {
              return p.length(at, ${part.id}, v.length), null
            }`
            }
            if (!w.isPacked(v, ${part.encoding === 'nibbles'})) return ${wrong}
            ${contentCode(part).replace(', -1', ', null')}
            digits += v
          }`
}

function privateBitmapCode(
  field: FieldSpec,
  parts: Extract<PartsSpec, { kind: 'bitmap' }>,
): string {
  const width = parts.encoding === 'binary' ? 1 : 2
  const put = { binary: 'putByte', asciihex: 'putHexByte', ebcdichex: 'putEbcdicHexByte' }
  const fields = parts.fields.map((part) => {
    const bit = Number(part.key) - 1
    return `v = map.get(${JSON.stringify(part.key)})
      if (v !== undefined) {
        seen++
        m${bit >> 3} |= ${128 >> (bit & 7)}
        ${fieldCode(part)}
      }`
  })
  const bytes = Array.from({ length: parts.bytes }, (_, i) => i)
  return `function parts${field.id}To(at, map) {
      let seen = 0, v, ${bytes.map((i) => `m${i} = 0`).join(', ')}
      const mapAt = at
      at += ${width * parts.bytes}
      if (at > ${messageBytesMax}) return p.tooLong(${field.id})
      ${fields.join('\n')}
      ${bytes.map((i) => `w.${put[parts.encoding]}(out, mapAt + ${i * width}, m${i})`).join('\n')}
      return seen === map.size ? at : p.keys(at, ${field.id}, map)
    }`
}

function tagsCode(field: FieldSpec, parts: Extract<PartsSpec, { kind: 'tags' }>): string {
  const { tag } = parts
  const size = prefixSize(tag)
  const put = {
    ascii: 'w.putAscii(out, at, key)',
    ebcdic: 'w.putEbcdic(out, at, key)',
    bcd: 'w.putHexBytes(out, at, key)',
    binary: 'w.putHexBytes(out, at, key)',
  }[tag.encoding]
  const form = tag.encoding === 'binary' ? `[0-9A-F]{${size * 2}}` : `[0-9]{${tag.size}}`
  const start = `if (at + ${size} > ${messageBytesMax}) return p.tooLong(${field.id})
          at = ${put}`
  const cases = parts.fields.map(
    (part) => `case ${JSON.stringify(part.key)}: {
          ${start}
          ${fieldCode(part)}
          break
        }`,
  )
  const first = parts.first.map((part) => partCode(field, part))
  const skips = parts.first.map((part) => `case ${JSON.stringify(part.key)}: break`)
  return `const tag${field.id} = /^${form}$/
    function parts${field.id}To(at, map) {
      let seen = 0
      if (map.size > ${partsMax}) return p.tooMany(at, ${field.id})
      ${mayEndEarly(field) ? 'if (map.size === 0) return at' : ''}
      ${first.join('\n').replaceAll('break done', `return p.missing(at, ${parts.first[0]?.id})`)}
      for (let [key, v] of map) {
        switch (key) {
          ${[...skips, ...cases].join('\n')}
          default: {
            if (typeof key !== 'string' || !tag${field.id}.test(key)) {
              return p.unknownPart(at, ${field.id}, key)
            }
            p.tagRead = key
            ${start}
            ${fieldCode(parts.unknown)}
          }
        }
      }
      return at
    }`
}

/** `n` and `size` of the value, which is checked as far as its length needs it. */
function measureCode(field: FieldSpec): string {
  const { id } = field
  if (field.encoding === 'ber-tlv') {
    return `if (!(v instanceof Map)) return p.value(at, ${id}, 'must be a map of tags to hex')
    const size = w.measureTlv(v), n = size
    if (typeof size === 'string') return p.tlv(at, ${id}, size)`
  }
  const isString = `if (typeof v !== 'string') return p.written(at, ${id}, v)`
  const uneven = (condition: string, what: string): string =>
    `if (${condition}) return p.value(at, ${id}, '${what}')`
  switch (field.encoding) {
    case 'ascii':
    case 'ebcdic':
      return `${isString}
    const n = v.length, size = n`
    case 'utf8':
      return `${isString}
    const n = w.countCodePoints(v)
    if (n < 0) return p.written(at, ${id}, v)
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
    ${isAmount ? `if (v.length < 2) return p.length(at, ${id}, v.length)` : ''}
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
