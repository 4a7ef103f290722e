// From the words of a dialect to their complete form, or to every problem that they have: what the
// schema can not say, such as words that do not go together and sizes that do not add up.

import type { Content } from './content.ts'
import {
  type DialectSpec,
  type DialectWords,
  type Encoding,
  type FieldSpec,
  type LengthPrefix,
  type PartsSpec,
  type PartWords,
  type PrefixWords,
  partValidator,
  schemaProblems,
  type TagWords,
  validator,
  type WordProblem,
} from './dialect-words.ts'
import { messageBytesMax, subfieldDepthMax, subfieldsMax } from './limits.ts'

/** The complete form of a dialect's words, or every problem that they have. */
export function readDialectWords(
  words: unknown,
  defaultName: string,
): { readonly spec: DialectSpec } | { readonly problems: readonly WordProblem[] } {
  if (!validator.Check(words)) return { problems: schemaProblems([...validator.Errors(words)], []) }
  const dialect = words as DialectWords
  const problems: WordProblem[] = []
  const places: FieldSpec[] = []
  const fields = Object.entries(dialect.fields)
    .map(([key, field]) => {
      const number = readNumber(key, dialect.tertiaryBitmap === true, problems)
      const place = { at: ['fields', key], key, path: key, number, parent: null, depth: 0 }
      return readField(place, field, { problems, places })
    })
    .sort((a, b) => a.number - b.number)
  const header = (dialect.header ?? []).map((part, i) => {
    if (part.value !== undefined && part.value.length !== part.bytes * 2) {
      problems.push({
        path: ['header', String(i), 'value'],
        reason: `has ${part.value.length / 2} bytes, \`bytes\` says ${part.bytes}`,
      })
    }
    const value = part.value === undefined ? null : new Uint8Array(Buffer.from(part.value, 'hex'))
    return { bytes: part.bytes, value }
  })
  if (dialect.bitmaps === 3 && dialect.tertiaryBitmap !== true) {
    problems.push({ path: ['bitmaps'], reason: 'three bitmaps need `tertiaryBitmap: true`' })
  }
  if (places.length > subfieldsMax) {
    problems.push({ path: ['fields'], reason: `has over ${subfieldsMax} fields and subfields` })
  }
  if (problems.length > 0) return { problems }
  const version = dialect.version as DialectSpec['version'] | undefined
  const spec: DialectSpec = {
    name: dialect.name ?? defaultName,
    version: version ?? 1987,
    mtiVersion: version === undefined ? null : version === 1987 ? 0 : version === 1993 ? 1 : 2,
    header,
    mti: dialect.mti as DialectSpec['mti'],
    bitmap: dialect.bitmap as DialectSpec['bitmap'],
    bitmaps: dialect.bitmaps ?? 1,
    tertiaryBitmap: dialect.tertiaryBitmap === true,
    fields,
    places,
  }
  return { spec }
}

function readNumber(key: string, tertiaryBitmap: boolean, problems: WordProblem[]): number {
  const number = /^[1-9][0-9]{0,2}$/.test(key) ? Number(key) : 0
  const last = tertiaryBitmap ? 192 : 128
  const path = ['fields', key]
  if (number < 2 || number > last) {
    problems.push({ path, reason: `a field's number is 2 to ${last}` })
  }
  if (tertiaryBitmap && number === 65) {
    const reason = 'bit 65 says that a third bitmap follows, so it can not be a field'
    problems.push({ path, reason })
  }
  return number
}

/** Where a field's words stand, and in what. */
interface Place {
  readonly at: readonly string[]
  readonly key: string
  readonly path: string
  readonly number: number
  readonly parent: Parent | null
  readonly depth: number
}

/** What a subfield needs to know of the field that it is in. */
interface Parent {
  readonly encoding: Encoding
  readonly kind: PartsSpec['kind']
  /** A tag list's length prefix, that all its values share. */
  readonly prefix: LengthPrefix | null
  readonly isLast: boolean
}

interface Found {
  readonly problems: WordProblem[]
  readonly places: FieldSpec[]
}

type Refuse = (word: string | null, reason: string) => void

const packed: readonly string[] = ['bcd', 'nibbles', 'amount-bcd']

function readField(place: Place, words: PartWords, found: Found): FieldSpec {
  const refuse: Refuse = (word, reason) => {
    found.problems.push({ path: word === null ? place.at : [...place.at, word], reason })
  }
  const { parent } = place
  const encoding = (words.encoding ?? parent?.encoding ?? 'ascii') as Encoding
  if (parent?.kind === 'slices' && encoding !== parent.encoding) {
    refuse('encoding', `must be that of its field, ${parent.encoding}`)
  }
  refuseWords(words, encoding, parent, refuse)
  const own = words.lengthPrefix === undefined ? null : readPrefix(words.lengthPrefix, refuse)
  const prefix = parent?.prefix ?? own
  const says = prefix === null ? messageBytesMax : prefixMax(prefix)
  if (words.maxLength !== undefined && words.maxLength > says) {
    refuse('maxLength', `the prefix can say ${says} at most`)
  }
  const takesRest = prefix === null && words.length === undefined
  const id = place.number > 0 ? place.number : 1_000 + found.places.length
  const field: FieldSpec = {
    id,
    path: place.path,
    key: place.key,
    number: place.number,
    name: words.name ?? `field ${place.path}`,
    encoding,
    prefix,
    takesRest,
    length: words.length ?? words.maxLength ?? Math.min(says, messageBytesMax),
    countsBytes: words.lengthCounts === 'bytes' || takesRest || parent?.kind === 'tags',
    padding: (words.padding ?? 'left') as FieldSpec['padding'],
    fill: words.fill === 'F' ? 15 : 0,
    content: (words.content ?? null) as Content | null,
    parts: null,
  }
  const at = found.places.push(field) - 1
  const parts = readParts(place, field, words, found, refuse)
  if (parts === null) return field
  const whole: FieldSpec = { ...field, parts }
  found.places[at] = whole
  return whole
}

/** Refuses words that do not go together. */
function refuseWords(
  words: PartWords,
  encoding: Encoding,
  parent: Parent | null,
  refuse: Refuse,
): void {
  for (const word of ['padding', 'fill'] as const) {
    if (words[word] !== undefined && !packed.includes(encoding)) {
      refuse(word, `an ${encoding} field has no fill nibble`)
    }
  }
  const hasPrefix = words.lengthPrefix !== undefined
  if (parent?.kind === 'tags' && (hasPrefix || words.length !== undefined)) {
    refuse(null, 'its length stands in the list; `maxLength` is the most it may say, in bytes')
  } else if (words.length !== undefined && hasPrefix) {
    refuse('length', 'has `lengthPrefix` too; use `maxLength` for the most it may say')
  }
  const mayTakeRest = parent !== null && parent.kind !== 'bitmap' && parent.isLast
  if (words.length === undefined && !hasPrefix && !mayTakeRest && parent?.kind !== 'tags') {
    refuse(null, 'needs `length` or `lengthPrefix`')
  }
  if (parent?.kind === 'slices' && hasPrefix) {
    refuse('lengthPrefix', 'a subfield of packed digits has a `length`, or takes the rest')
  }
  const isVariable = hasPrefix || parent?.kind === 'tags'
  for (const word of ['maxLength', 'lengthCounts'] as const) {
    if (words[word] !== undefined && !isVariable) refuse(word, 'belongs to a `lengthPrefix`')
  }
  if (encoding === 'amount-bcd' && words.length === 1) {
    refuse('length', 'counts the sign and the digits, so it is 2 at least')
  }
  if (words.content !== undefined && !['ascii', 'ebcdic', 'utf8', 'bcd'].includes(encoding)) {
    refuse('content', `is for text and digits, not for ${encoding}`)
  }
}

/** The subfields' words, if there are any. */
function readParts(
  place: Place,
  field: FieldSpec,
  words: PartWords,
  found: Found,
  refuse: Refuse,
): PartsSpec | null {
  const { subfields, subfieldTags, privateBitmap } = words
  if (subfields === undefined) {
    if (subfieldTags !== undefined) refuse('subfieldTags', 'needs `subfields`, which may be `{}`')
    if (privateBitmap !== undefined) refuse('privateBitmap', 'needs `subfields`')
    return null
  }
  const isPacked = field.encoding === 'bcd' || field.encoding === 'nibbles'
  if (!isPacked && !['ascii', 'ebcdic', 'binary'].includes(field.encoding)) {
    refuse('subfields', `an ${field.encoding} field can not be divided`)
    return null
  }
  if (subfieldTags !== undefined && privateBitmap !== undefined) {
    refuse('subfieldTags', 'can not stand beside `privateBitmap`')
  }
  if (isPacked && (subfieldTags !== undefined || privateBitmap !== undefined)) {
    refuse('subfields', 'packed digits are divided by position only')
    return null
  }
  if (place.depth >= subfieldDepthMax) {
    refuse('subfields', `are ${subfieldDepthMax} levels deep at most`)
    return null
  }
  if (words.content !== undefined) refuse('content', 'belongs to the subfields')
  if (subfieldTags !== undefined) return readTags(place, field, words, found, refuse)
  const kind = privateBitmap !== undefined ? 'bitmap' : isPacked ? 'slices' : 'positions'
  const bits = (privateBitmap?.bytes ?? 0) * 8
  const keys = Object.keys(subfields).sort((a, b) => Number(a) - Number(b))
  for (const key of keys) {
    if (!/^[1-9][0-9]{0,2}$/.test(key) || (kind === 'bitmap' && Number(key) > bits)) {
      const most = kind === 'bitmap' ? bits : 999
      found.problems.push({
        path: [...place.at, 'subfields', key],
        reason: `a subfield's key is 1 to ${most} here`,
      })
    }
  }
  if (keys.length === 0) refuse('subfields', 'must have one at least')
  const fields = keys.map((key, i) => {
    const parent = { encoding: field.encoding, kind, prefix: null, isLast: i === keys.length - 1 }
    return readPart(place, key, subfields[key], parent as Parent, found)
  })
  if (kind !== 'bitmap') {
    refuseSize(field, fields, refuse)
    return { kind, fields }
  }
  const encoding = privateBitmap?.encoding as 'binary' | 'asciihex' | 'ebcdichex'
  return { kind, encoding, bytes: bits / 8, fields }
}

function readTags(
  place: Place,
  field: FieldSpec,
  words: PartWords,
  found: Found,
  refuse: Refuse,
): PartsSpec {
  const { subfields = {}, subfieldTags } = words
  const tagWords = subfieldTags as TagWords
  const refuseTag: Refuse = (word, reason) =>
    refuse('subfieldTags', word === 'lengthPrefix' ? reason : `${word}: ${reason}`)
  const tag = readPrefix(tagWords, refuseTag)
  const prefix = readPrefix(tagWords.lengthPrefix, refuseTag)
  const isBytes = tag.encoding === 'binary'
  if (tag.encoding === 'bcd' && tag.size % 2 === 1) {
    refuse('subfieldTags', 'a bcd tag has an even number of digits')
  }
  const form = isBytes ? `^([0-9A-F]{2}){${tag.size}}$` : `^[0-9]{${tag.size}}$`
  const isTag = new RegExp(form)
  const first = tagWords.first ?? []
  const read = (key: string, isFirst: boolean): FieldSpec => {
    const kind = isFirst ? 'positions' : 'tags'
    const parent = {
      encoding: field.encoding,
      kind,
      prefix: isFirst ? null : prefix,
      isLast: false,
    }
    return readPart(place, key, subfields[key], parent as Parent, found)
  }
  for (const key of [...first, ...Object.keys(subfields)]) {
    const isFirst = first.includes(key)
    const path = [...place.at, 'subfields', key]
    if (subfields[key] === undefined) {
      refuse('subfieldTags', `first names ${key}, which is no subfield`)
    } else if (isFirst === isTag.test(key) || !/^[0-9A-Za-z_-]{1,20}$/.test(key)) {
      const what = isBytes ? `${tag.size} bytes in upper-case hex` : `${tag.size} digits`
      found.problems.push({ path, reason: `a tag has ${what}; other keys are for \`first\`` })
    }
  }
  const known = Object.keys(subfields).filter((key) => !first.includes(key))
  const parent = { encoding: field.encoding, kind: 'tags', prefix, isLast: false } as const
  return {
    kind: 'tags',
    tag,
    first: first.filter((key) => subfields[key] !== undefined).map((key) => read(key, true)),
    fields: known.map((key) => read(key, false)),
    unknown: readPart(place, '*', {}, parent, found),
  }
}

function readPart(
  place: Place,
  key: string,
  words: unknown,
  parent: Parent,
  found: Found,
): FieldSpec {
  const at = [...place.at, 'subfields', key]
  const isRight = partValidator.Check(words)
  if (!isRight) found.problems.push(...schemaProblems([...partValidator.Errors(words)], at))
  const path = `${place.path}.${key}`
  const depth = place.depth + 1
  const read = (isRight ? words : { length: 1 }) as PartWords
  const problems = isRight ? found.problems : []
  return readField({ at, key, path, number: 0, parent, depth }, read, { ...found, problems })
}

/** Refuses a fixed field whose subfields, all of them fixed too, fill less or more than it has. */
function refuseSize(field: FieldSpec, parts: readonly FieldSpec[], refuse: Refuse): void {
  const isFixed = field.prefix === null && !field.takesRest
  const sizes = parts.map((part) => (part.prefix === null ? fixedSize(part, field) : null))
  if (!isFixed || sizes.includes(null)) return
  const sum = sizes.reduce((total: number, size) => total + (size ?? 0), 0)
  const hasRest = parts.some((part) => part.takesRest)
  if (hasRest ? sum < field.length : sum === field.length) return
  refuse('subfields', `take ${sum}, and \`length\` says ${field.length}`)
}

/** What a fixed subfield takes of its field: digits of packed digits, otherwise bytes. */
function fixedSize(part: FieldSpec, field: FieldSpec): number | null {
  if (part.takesRest) return 0
  if (packed.includes(field.encoding)) return part.length
  switch (part.encoding) {
    case 'bcd':
    case 'nibbles':
      return (part.length + 1) >> 1
    case 'amount-bcd':
      return 1 + (part.length >> 1)
    case 'asciihex':
      return part.length * 2
    case 'utf8':
      return null
    default:
      return part.length
  }
}

function readPrefix(
  words: Pick<PrefixWords, 'encoding' | 'digits' | 'bytes'>,
  refuse: Refuse,
): LengthPrefix {
  const isBinary = words.encoding === 'binary'
  const size = isBinary ? words.bytes : words.digits
  if (size === undefined || (isBinary ? words.digits : words.bytes) !== undefined) {
    refuse(
      'lengthPrefix',
      `${words.encoding} is measured in \`${isBinary ? 'bytes' : 'digits'}\`, and only in that`,
    )
  }
  return { encoding: words.encoding as LengthPrefix['encoding'], size: size ?? 1 }
}

function prefixMax(prefix: LengthPrefix): number {
  return (prefix.encoding === 'binary' ? 256 : 10) ** prefix.size - 1
}
