// Writes the JavaScript that reads one dialect. Everything that the dialect fixes (lengths, offsets
// in the bitmap, encodings) is a literal in it; what is left at run time is the message.
//
// Names in the code: `bytes`, `end` the message; `at` the offset; `fields` the result; `bits` 32
// bits of bitmap, most significant first; `text`, `hex`, `ebcdic` the whole message as a string,
// made at most once, of which fields are slices; `p` the problems; `w` the primitives of `wire.ts`.

import type { DialectSpec, FieldSpec, LengthPrefix, PartsSpec } from './dialect-words.ts'
import { messageBytesMax, partsMax } from './limits.ts'
import { BITMAP, MTI } from './problems.ts'

/** The body of `decode(input)` and what it needs. */
export function readerCode(spec: DialectSpec): string {
  const last = spec.tertiaryBitmap ? 6 : 4
  const words = Array.from({ length: last }, (_, word) => wordCode(spec, word))
  return `
    let bytes = none, end = 0, text = '', hex = '', ebcdic = '', isBlamed = false
    function asHex() { return hex === '' ? (hex = w.upperHex(bytes)) : hex }
    function asEbcdic() { return ebcdic === '' ? (ebcdic = w.ebcdicText(bytes)) : ebcdic }
    ${spec.places.map(partsCode).join('\n')}
    ${words.join('\n')}
    function read(message) {
      if (end > ${messageBytesMax}) return p.tooLong(${MTI})
      let at = 0
      ${headerCode(spec)}
      ${mtiCode(spec)}
      ${bitmapCode(spec)}
      return at === end ? at : p.trailing(at, end)
    }
    function decode(input) {
      bytes = input
      end = input.length
      text = ${usesText(spec) ? `end > ${messageBytesMax} ? '' : w.latin1(input)` : "''"}
      hex = ''
      ebcdic = ''
      isBlamed = false
      const message = { mti: '', fields: none }
      const at = read(message)
      bytes = none
      text = hex = ebcdic = ''
      if (at >= 0 && !isBlamed) return { ok: true, message }
      if (message.fields === none) message.fields = []
      return { ok: false, problem: p.take(input, isBlamed), partial: message }
    }`
}

function usesText(spec: DialectSpec): boolean {
  const inText = ['ascii', 'asciihex', 'amount-bcd']
  const hasTextTag = ({ parts }: FieldSpec): boolean =>
    parts?.kind === 'tags' && parts.tag.encoding === 'ascii'
  return (
    spec.mti === 'ascii' ||
    spec.places.some((place) => inText.includes(place.encoding) || hasTextTag(place))
  )
}

function headerCode(spec: DialectSpec): string {
  return spec.header
    .map((part, i) => {
      const check = [...(part.value ?? [])]
        .map((byte, k) => `bytes[at + ${k}] !== ${byte}`)
        .join(' || ')
      return `if (at + ${part.bytes} > end) return p.truncated(at, ${MTI}, ${part.bytes}, end)
      ${check === '' ? '' : `if (${check}) return p.header(at, ${i})`}
      at += ${part.bytes}`
    })
    .join('\n')
}

function mtiCode(spec: DialectSpec): string {
  const size = spec.mti === 'bcd' ? 2 : 4
  const short = `if (at + ${size} > end) return p.truncated(at, ${MTI}, ${size}, end)`
  if (spec.mti === 'bcd') {
    return `${short}
      if (w.notDecimal(bytes, at * 2, at * 2 + 4) >= 0) return p.character(at, ${MTI})
      message.mti = asHex().slice(at * 2, at * 2 + 4)
      ${mtiVersionCode(spec)}
      at += 2`
  }
  const zero = spec.mti === 'ascii' ? 48 : 240
  const source = spec.mti === 'ascii' ? 'text' : 'asEbcdic()'
  return `${short}
      for (let i = at; i < at + 4; i++) {
        if (((bytes[i] - ${zero}) >>> 0) > 9) return p.character(i, ${MTI})
      }
      message.mti = ${source}.slice(at, at + 4)
      ${mtiVersionCode(spec)}
      at += 4`
}

/** The first digit of an MTI says the edition; 8 and 9 are a country's or a partner's own. */
function mtiVersionCode(spec: DialectSpec): string {
  if (spec.mtiVersion === null) return ''
  const digit = 48 + spec.mtiVersion
  return `{
        const digit = message.mti.charCodeAt(0)
        if (digit !== ${digit} && digit < 51) isBlamed = p.version(at, digit - 48)
      }`
}

/** Reads the bitmaps that are there, then calls the words whose bits are set. */
function bitmapCode(spec: DialectSpec): string {
  const { bitmaps: always, tertiaryBitmap } = spec
  const maps = tertiaryBitmap ? 3 : 2
  const lines: string[] = [`let w0 = 0, w1 = 0, w2 = 0, w3 = 0, w4 = 0, w5 = 0, maps = 1`]
  lines.push(oneBitmapCode(spec, 0))
  for (let map = 1; map < maps; map++) {
    const code = `maps = ${map + 1}; ${oneBitmapCode(spec, map)}`
    const previous = map === 1 ? 'w0 < 0' : 'w2 < 0'
    lines.push(always > map ? `{ ${code} }` : `if (${previous}) { ${code} }`)
  }
  lines.push(`let needs = ${always}`)
  if (always < 2) lines.push(`if (maps > 1 && (w2 | w3) !== 0) needs = 2`)
  if (tertiaryBitmap && always < 3) lines.push(`if (maps > 2 && (w4 | w5) !== 0) needs = 3`)
  lines.push(`if (maps > needs) message.bitmaps = maps`)
  lines.push(`const fields = message.fields = new Array(maps * 64 + 1)`)
  lines.push(`w0 &= 0x7fffffff`)
  if (tertiaryBitmap) lines.push(`w2 &= 0x7fffffff`)
  for (let word = 0; word < maps * 2; word++) {
    lines.push(`if (w${word} !== 0 && (at = word${word}(at, w${word}, fields)) < 0) return at`)
  }
  return lines.join('\n')
}

function oneBitmapCode(spec: DialectSpec, map: number): string {
  const size = spec.bitmap === 'binary' ? 8 : 16
  const read = { binary: 'binaryWord', asciihex: 'hexWord', ebcdichex: 'ebcdicHexWord' }[
    spec.bitmap
  ]
  const check = { binary: '', asciihex: 'notHex', ebcdichex: 'notEbcdicHex' }[spec.bitmap]
  return `if (at + ${size} > end) return p.truncated(at, ${BITMAP}, ${size}, end)
    ${
      check === ''
        ? ''
        : `{
      const wrong = w.${check}(bytes, at, at + ${size})
      if (wrong >= 0) return p.character(wrong, ${BITMAP})
    }`
    }
    w${map * 2} = w.${read}(bytes, at)
    w${map * 2 + 1} = w.${read}(bytes, at + ${size / 2})
    at += ${size}`
}

/** The fields of 32 bits of bitmap, in order. */
function wordCode(spec: DialectSpec, word: number): string {
  const lines: string[] = []
  let isKnown = true
  for (let i = 0; i < 32; i++) {
    const number = word * 32 + i + 1
    if (number === 1 || (spec.tertiaryBitmap && number === 65)) continue
    const field = spec.fields.find((candidate) => candidate.number === number)
    if (field !== undefined) lines.push(`if (bits & ${1 << (31 - i)}) {${fieldCode(field)}}`)
    else if (isKnown || spec.fields.some((other) => other.number === number - 1)) {
      lines.push(unknownRunCode(spec, word, i))
    }
    isKnown = field !== undefined
  }
  return `function word${word}(at, bits, fields) {
    ${lines.join('\n')}
    return at
  }`
}

/** Refuses the fields from bit `from` to the next known one, all at once. */
function unknownRunCode(spec: DialectSpec, word: number, from: number): string {
  let mask = 0
  for (let i = from; i < 32; i++) {
    if (spec.fields.some((field) => field.number === word * 32 + i + 1)) break
    mask |= 1 << (31 - i)
  }
  return `if (bits & ${mask}) return p.unknown(at, ${word * 32 + 1} + Math.clz32(bits & ${mask}))`
}

type Emit = (text: string) => string

const intoFields =
  (number: number): Emit =>
  (value) =>
    `fields[${number}] = ${value}`

const intoParts =
  (key: string): Emit =>
  (value) =>
    `parts.set(${JSON.stringify(key)}, ${value})`

/** Reads one field or subfield and hands its value to `assign`. */
function fieldCode(field: FieldSpec, assign: Emit = intoFields(field.number)): string {
  const { id, prefix } = field
  if (field.takesRest) {
    return `const n = end - at
    if (n > ${field.length}) return p.length(at, ${id}, n)
    ${valueCode(field, assign)}`
  }
  if (prefix === null) return `const n = ${field.length}\n${valueCode(field, assign)}`
  const size = prefixSize(prefix)
  return `
    if (at + ${size} > end) return p.truncated(at, ${id}, ${size}, end)
    ${prefixCode(prefix, id)}
    if (n > ${field.length}) return p.length(at, ${id}, n)
    at += ${size}
    ${valueCode(field, assign)}`
}

/** The function that reads a field's subfields from `at` to `end`, or from `digits`. */
function partsCode(field: FieldSpec): string {
  const { id, parts } = field
  switch (parts?.kind) {
    case undefined:
      return ''
    case 'slices':
      return slicesCode(field, parts)
    case 'tags':
      return `function parts${id}(at, end, parts) {
        ${tagsCode(field, parts)}
        return at
      }`
    case 'bitmap':
      return `function parts${id}(at, end, parts) {
        ${privateBitmapCode(field, parts)}
        return at === end ? at : p.trailing(at, end, ${id})
      }`
    case 'positions':
      return `function parts${id}(at, end, parts) {
        ${positionsCode(field, parts.fields)}
        return at === end ? at : p.trailing(at, end, ${id})
      }`
  }
}

/** Only a variable field may end before its last subfield. */
export function mayEndEarly(field: FieldSpec): boolean {
  return field.prefix !== null || field.takesRest
}

function positionsCode(field: FieldSpec, fields: readonly FieldSpec[]): string {
  const early = mayEndEarly(field) ? 'if (at === end) return at' : ''
  return fields.map((part) => `${early}\n{${fieldCode(part, intoParts(part.key))}}`).join('\n')
}

function slicesCode(
  field: FieldSpec,
  parts: Extract<PartsSpec, { fields: readonly FieldSpec[] }>,
): string {
  const early = mayEndEarly(field) ? 'if (i === digits.length) return at' : ''
  const lines = parts.fields.map((part) => {
    const size = part.takesRest ? 'digits.length - i' : String(part.length)
    return `${early}
      {
        const n = ${size}
        if (i + n > digits.length) return p.truncated(at, ${part.id}, n, at + digits.length - i)
        const value = digits.slice(i, i + n)
        ${contentCode(part, 'at + (i >> 1)')}
        parts.set(${JSON.stringify(part.key)}, value)
        i += n
      }`
  })
  return `function parts${field.id}(at, digits, parts) {
    let i = 0
    ${lines.join('\n')}
    return i === digits.length ? at : p.trailing(at, at + digits.length - i, ${field.id})
  }`
}

function privateBitmapCode(
  field: FieldSpec,
  parts: Extract<PartsSpec, { kind: 'bitmap' }>,
): string {
  const { id } = field
  const isBinary = parts.encoding === 'binary'
  const size = isBinary ? parts.bytes : parts.bytes * 2
  const check = parts.encoding === 'asciihex' ? 'notHex' : 'notEbcdicHex'
  const read = { binary: '', asciihex: 'w.hexByte', ebcdichex: 'w.ebcdicHexByte' }[parts.encoding]
  const lines: string[] = []
  for (let i = 0; i < parts.bytes; i++) {
    const value = isBinary ? `bytes[at + ${i}]` : `${read}(bytes, at + ${i * 2})`
    let known = 0
    for (const part of parts.fields) {
      if ((Number(part.key) - 1) >> 3 === i) known |= 128 >> ((Number(part.key) - 1) & 7)
    }
    lines.push(
      `const m${i} = ${value}
      if (m${i} & ${255 & ~known}) return p.unknownPart(at + ${isBinary ? i : i * 2}, ${id}, ` +
        `String(${i * 8} + Math.clz32((m${i} & ${255 & ~known}) << 24) + 1))`,
    )
  }
  const fields = parts.fields.map((part) => {
    const bit = Number(part.key) - 1
    return `if (m${bit >> 3} & ${128 >> (bit & 7)}) {${fieldCode(part, intoParts(part.key))}}`
  })
  return `if (at + ${size} > end) return p.bitmapCut(at, ${id}, ${size}, end)
      ${
        isBinary
          ? ''
          : `{
        const wrong = w.${check}(bytes, at, at + ${size})
        if (wrong >= 0) return p.bitmapCharacter(wrong, ${id})
      }`
      }
      ${lines.join('\n')}
      at += ${size}
      ${fields.join('\n')}`
}

function tagsCode(field: FieldSpec, parts: Extract<PartsSpec, { kind: 'tags' }>): string {
  const { id } = field
  const { tag } = parts
  const size = prefixSize(tag)
  const source = { ascii: 'text', ebcdic: 'asEbcdic()', bcd: 'asHex()', binary: 'asHex()' }
  const isHex = tag.encoding === 'bcd' || tag.encoding === 'binary'
  const key = isHex ? `slice(at * 2, (at + ${size}) * 2)` : `slice(at, at + ${size})`
  const zero = tag.encoding === 'ascii' ? 48 : 240
  const wrong = {
    binary: '',
    bcd: `if (w.notDecimal(bytes, at * 2, (at + ${size}) * 2) >= 0) return p.tag(at, ${id})`,
    digits: `for (let i = at; i < at + ${size}; i++) {
          if (((bytes[i] - ${zero}) >>> 0) > 9) return p.tag(i, ${id})
        }`,
  }[isHex ? (tag.encoding as 'bcd' | 'binary') : 'digits']
  const cases = parts.fields.map(
    (part) => `case ${JSON.stringify(part.key)}: {${fieldCode(part, intoParts(part.key))}} break`,
  )
  const first = parts.first.map((part) => `{${fieldCode(part, intoParts(part.key))}}`)
  return `${mayEndEarly(field) && first.length > 0 ? 'if (at === end) return at' : ''}
      ${first.join('\n')}
      let count = 0
      while (at < end) {
        if (at + ${size} > end) return p.tag(at, ${id})
        ${wrong}
        const key = ${source[tag.encoding]}.${key}
        if (parts.has(key)) return p.twice(at, ${id}, key)
        if (++count > ${partsMax}) return p.tooMany(at, ${id})
        at += ${size}
        switch (key) {
          ${cases.join('\n')}
          default: {
            p.tagRead = key
            ${fieldCode(parts.unknown, (value) => `parts.set(key, ${value})`)}
          }
        }
      }`
}

/** Bytes that a length prefix takes. */
export function prefixSize(prefix: LengthPrefix): number {
  return prefix.encoding === 'bcd' ? (prefix.size + 1) >> 1 : prefix.size
}

function prefixCode(prefix: LengthPrefix, id: number): string {
  const size = prefixSize(prefix)
  const each = (make: (i: number) => string): string[] =>
    Array.from({ length: size }, (_, i) => make(i))
  if (prefix.encoding === 'binary') {
    return `const n = ${each((i) => `bytes[at + ${i}] * ${256 ** (size - 1 - i)}`).join(' + ')}`
  }
  if (prefix.encoding === 'bcd') {
    const first = prefix.size & 1 ? `(bytes[at] >> 4) !== 0 || ` : ''
    const value = each(
      (i) => `((bytes[at + ${i}] >> 4) * 10 + (bytes[at + ${i}] & 15)) * ${100 ** (size - 1 - i)}`,
    )
    return `if (${first}w.notDecimal(bytes, at * 2, at * 2 + ${size * 2}) >= 0) {
      return p.prefix(at, ${id})
    }
    const n = ${value.join(' + ')}`
  }
  const zero = prefix.encoding === 'ascii' ? 48 : 240
  const digits = each((i) => `const d${i} = bytes[at + ${i}] - ${zero}`)
  const wrong = each((i) => `(d${i} >>> 0) > 9`)
  return `${digits.join('; ')}
    if (${wrong.join(' || ')}) return p.prefix(at, ${id})
    const n = ${each((i) => `d${i} * ${10 ** (size - 1 - i)}`).join(' + ')}`
}

function valueCode(field: FieldSpec, assign: Emit): string {
  const { id } = field
  const room = (size: string): string => `
    const next = at + ${size}
    if (next > end) return p.truncated(at, ${id}, ${size}, end)`
  const done = (value: string): string => doneCode(field, value, assign)
  if (field.parts !== null && field.parts.kind !== 'slices') {
    return `${room('n')}
    const made = new Map()
    if (parts${id}(at, next, made) < 0) return -1
    ${assign('made')}
    at = next`
  }
  switch (field.encoding) {
    case 'ascii':
      return `${room('n')}
    const wrong = w.notAscii(bytes, at, next)
    if (wrong >= 0) return p.character(wrong, ${id})${done('text.slice(at, next)')}`
    case 'ebcdic':
      return `${room('n')}${done('asEbcdic().slice(at, next)')}`
    case 'binary':
      return `${room('n')}${done('asHex().slice(at * 2, next * 2)')}`
    case 'asciihex':
      return `${field.countsBytes ? `if (n & 1) return p.length(at, ${id}, n)` : ''}
    ${room(field.countsBytes ? 'n' : '(n * 2)')}
    const wrong = w.notHex(bytes, at, next)
    if (wrong >= 0) return p.character(wrong, ${id})${done('text.slice(at, next)')}`
    case 'ber-tlv':
      return `${room('n')}
    const tlv = w.readTlv(bytes, asHex(), at, next)
    if (!(tlv instanceof Map)) return p.tlv(tlv.offset, ${id}, tlv.reason)${done('tlv')}`
    case 'utf8':
      return utf8Code(field, room, done)
    default:
      return packedCode(field, room, done)
  }
}

/** Checks and keeps a value, which is an expression over `at` and `next`; moves on. */
function doneCode(field: FieldSpec, value: string, assign: Emit): string {
  if (field.parts !== null) {
    return `
    const digits = ${value}
    const made = new Map()
    if (parts${field.id}(at, digits, made) < 0) return -1
    ${assign('made')}
    at = next`
  }
  if (contentCode(field, '') === '') return `\n${assign(value)}\nat = next`
  const isText = field.encoding === 'ascii' || field.encoding === 'ebcdic'
  return `
    const value = ${value}
    ${contentCode(field, isText ? 'at + odd' : 'at')}
    ${assign('value')}
    at = next`
}

/** A content rule that is broken is noted, and reading goes on: the rest may still be answered. */
function contentCode(field: FieldSpec, place: string): string {
  const { content, id, encoding } = field
  if (content === null || (content === 'n' && encoding === 'bcd')) return ''
  return `{
      const odd = w.contentFault('${content}', value)
      if (odd >= 0 && !isBlamed) isBlamed = p.content(${place}, ${id})
    }`
}

function utf8Code(field: FieldSpec, room: Emit, done: Emit): string {
  const { id } = field
  const value = 'w.utf8(bytes, at, next)'
  if (field.countsBytes) {
    return `${room('n')}
    const wrong = w.notUtf8(bytes, at, next)
    if (wrong >= 0) return p.character(wrong, ${id})${done(value)}`
  }
  return `const next = w.skipUtf8(bytes, at, end, n)
    if (next === -1) return p.truncated(at, ${id}, Math.max(n, end - at + 1), end)
    if (next < 0) return p.character(-2 - next, ${id})${done(value)}`
}

/** bcd, nibbles and amount-bcd: two digits a byte, an odd number of them with a fill nibble. */
function packedCode(field: FieldSpec, room: Emit, done: Emit): string {
  const { id, padding, fill } = field
  const hasSign = field.encoding === 'amount-bcd'
  const check = field.encoding === 'nibbles' ? 'notNibble' : 'notDecimal'
  const isLeft = padding === 'left'
  const fillNibble = isLeft ? '(bytes[start] >> 4)' : '(bytes[next - 1] & 15)'
  const bytesOfUnits = hasSign ? '(1 + (n >> 1))' : '((n + 1) >> 1)'
  const start = hasSign ? 'at + 1' : 'at'
  const shorten = isLeft ? 'first++' : 'last--'
  const odd = field.countsBytes
    ? fill === 15
      ? `if (next > start && ${fillNibble} === 15) ${shorten}`
      : ''
    : `if (${hasSign ? '(n & 1) === 0' : 'n & 1'}) {
      if (${fillNibble} !== ${fill}) return p.fill(${isLeft ? 'start' : 'next - 1'}, ${id})
      ${shorten}
    }`
  const sign = `if (!w.isSign(bytes[at])) return p.character(at, ${id})`
  return `${hasSign ? `if (n < 2) return p.length(at, ${id}, n)` : ''}
    ${room(field.countsBytes ? 'n' : bytesOfUnits)}
    ${hasSign ? sign : ''}
    const start = ${start}
    let first = start * 2, last = next * 2
    ${odd}
    const wrong = w.${check}(bytes, first, last)
    if (wrong >= 0) return p.nibble(wrong, ${id})
    ${done(`${hasSign ? 'text.slice(at, start) + ' : ''}asHex().slice(first, last)`)}`
}
