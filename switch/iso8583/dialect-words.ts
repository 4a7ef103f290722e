// The words of a dialect file: their schema, and what the compiler makes of them.

import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import {
  headerPartBytesMax,
  headerPartsMax,
  messageBytesMax,
  prefixBytesMax,
  prefixDigitsMax,
} from './limits.ts'

export const encodings = [
  'ascii',
  'ebcdic',
  'utf8',
  'bcd',
  'nibbles',
  'binary',
  'asciihex',
  'amount-bcd',
  'ber-tlv',
] as const

export type Encoding = (typeof encodings)[number]

const strict = { additionalProperties: false }

const PrefixWords = Type.Object(
  {
    encoding: Type.Enum(['ascii', 'bcd', 'ebcdic', 'binary']),
    digits: Type.Optional(Type.Integer({ minimum: 1, maximum: prefixDigitsMax })),
    bytes: Type.Optional(Type.Integer({ minimum: 1, maximum: prefixBytesMax })),
  },
  strict,
)

const FieldWords = Type.Object(
  {
    name: Type.Optional(Type.String({ maxLength: 100 })),
    encoding: Type.Enum([...encodings]),
    length: Type.Optional(Type.Integer({ minimum: 1, maximum: messageBytesMax })),
    lengthPrefix: Type.Optional(PrefixWords),
    lengthCounts: Type.Optional(Type.Enum(['bytes'])),
    maxLength: Type.Optional(Type.Integer({ minimum: 1, maximum: messageBytesMax })),
    padding: Type.Optional(Type.Enum(['left', 'right'])),
    fill: Type.Optional(Type.Enum(['0', 'F', 0])),
  },
  strict,
)

const HeaderPartWords = Type.Object(
  {
    bytes: Type.Integer({ minimum: 1, maximum: headerPartBytesMax }),
    value: Type.Optional(Type.String({ pattern: '^([0-9A-Fa-f]{2})+$' })),
  },
  strict,
)

const DialectWords = Type.Object(
  {
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
    version: Type.Optional(Type.Enum([1987, 1993, 2003])),
    header: Type.Optional(Type.Array(HeaderPartWords, { maxItems: headerPartsMax })),
    mti: Type.Enum(['ascii', 'bcd', 'ebcdic']),
    bitmap: Type.Enum(['binary', 'asciihex', 'ebcdichex']),
    bitmaps: Type.Optional(Type.Integer({ minimum: 1, maximum: 3 })),
    tertiaryBitmap: Type.Optional(Type.Boolean()),
    fields: Type.Record(Type.String(), FieldWords),
  },
  strict,
)

type FieldWords = Static<typeof FieldWords>
type PrefixWords = Static<typeof PrefixWords>
type DialectWords = Static<typeof DialectWords>

const validator = Compile(DialectWords)

/** What is wrong with a dialect file. */
export interface DialectProblem {
  /** The file or preset. */
  readonly source: string
  /** `fields.55.encoding`; empty for the whole file. */
  readonly path: string
  /** Line in the file, from 1; null where it is not known. */
  readonly line: number | null
  readonly reason: string
}

export interface LengthPrefix {
  readonly encoding: 'ascii' | 'bcd' | 'ebcdic' | 'binary'
  /** Decimal digits, or bytes where binary. */
  readonly size: number
}

/** One field, complete: every word has its value. */
export interface FieldSpec {
  readonly number: number
  readonly name: string
  readonly encoding: Encoding
  /** Null: fixed. */
  readonly prefix: LengthPrefix | null
  /** The fixed length, or the most that the prefix may say; in what `countsBytes` says. */
  readonly length: number
  /** The prefix counts bytes on the wire, not the encoding's own unit. */
  readonly countsBytes: boolean
  readonly padding: 'left' | 'right'
  /** The fill nibble. */
  readonly fill: 0 | 15
}

export interface DialectSpec {
  readonly name: string
  readonly version: 1987 | 1993 | 2003
  readonly header: readonly { readonly bytes: number; readonly value: Uint8Array | null }[]
  readonly mti: 'ascii' | 'bcd' | 'ebcdic'
  readonly bitmap: 'binary' | 'asciihex' | 'ebcdichex'
  /** Bitmaps that are always there. */
  readonly bitmaps: number
  readonly tertiaryBitmap: boolean
  /** By number, ascending. */
  readonly fields: readonly FieldSpec[]
}

export type WordProblem = { readonly path: readonly string[]; readonly reason: string }

/** The complete form of a dialect's words, or every problem that they have. */
export function readDialectWords(
  words: unknown,
  defaultName: string,
): { readonly spec: DialectSpec } | { readonly problems: readonly WordProblem[] } {
  if (!validator.Check(words)) return { problems: schemaProblems(words) }
  const dialect = words as DialectWords
  const problems: WordProblem[] = []
  const fields = Object.entries(dialect.fields)
    .map(([key, field]) => readField(key, field, dialect.tertiaryBitmap === true, problems))
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
  if (problems.length > 0) return { problems }
  const spec: DialectSpec = {
    name: dialect.name ?? defaultName,
    version: (dialect.version ?? 1987) as DialectSpec['version'],
    header,
    mti: dialect.mti as DialectSpec['mti'],
    bitmap: dialect.bitmap as DialectSpec['bitmap'],
    bitmaps: dialect.bitmaps ?? 1,
    tertiaryBitmap: dialect.tertiaryBitmap === true,
    fields,
  }
  return { spec }
}

/** The schema's errors in our words, the same place once. */
function schemaProblems(words: unknown): WordProblem[] {
  const seen = new Map<string, WordProblem>()
  for (const error of validator.Errors(words)) {
    const path = error.instancePath.split('/').slice(1)
    if (error.keyword === 'additionalProperties') {
      const known = Object.keys(knownWords(path)).join(', ')
      for (const word of error.params.additionalProperties) {
        const at = [...path, word]
        seen.set(at.join('.'), { path: at, reason: `unknown word; known here: ${known}` })
      }
      continue
    }
    const reason =
      error.keyword === 'enum'
        ? `must be one of ${error.params.allowedValues.map(String).join(', ')}`
        : error.message
    const key = path.join('.')
    if (!seen.has(key)) seen.set(key, { path, reason })
  }
  return [...seen.values()]
}

function knownWords(path: readonly string[]): object {
  if (path[0] === 'header') return HeaderPartWords.properties
  if (path[0] !== 'fields') return DialectWords.properties
  return path[2] === 'lengthPrefix' ? PrefixWords.properties : FieldWords.properties
}

function readField(
  key: string,
  words: FieldWords,
  tertiaryBitmap: boolean,
  problems: WordProblem[],
): FieldSpec {
  const refuse = (word: string | null, reason: string): void => {
    problems.push({ path: word === null ? ['fields', key] : ['fields', key, word], reason })
  }
  const number = /^[1-9][0-9]{0,2}$/.test(key) ? Number(key) : 0
  const last = tertiaryBitmap ? 192 : 128
  if (number < 2 || number > last) refuse(null, `a field's number is 2 to ${last}`)
  if (tertiaryBitmap && number === 65) {
    refuse(null, 'bit 65 says that a third bitmap follows, so it can not be a field')
  }
  const hasNibbles = ['bcd', 'nibbles', 'amount-bcd'].includes(words.encoding)
  if (words.padding !== undefined && !hasNibbles) {
    refuse('padding', `an ${words.encoding} field has no fill nibble`)
  }
  if (words.fill !== undefined && !hasNibbles) {
    refuse('fill', `an ${words.encoding} field has no fill nibble`)
  }
  const prefix = words.lengthPrefix === undefined ? null : readPrefix(words.lengthPrefix, refuse)
  if (words.length === undefined && words.lengthPrefix === undefined) {
    refuse(null, 'needs `length` or `lengthPrefix`')
  }
  if (words.length !== undefined && words.lengthPrefix !== undefined) {
    refuse('length', 'has `lengthPrefix` too; use `maxLength` for the most it may say')
  }
  for (const word of ['maxLength', 'lengthCounts'] as const) {
    if (words[word] !== undefined && prefix === null) refuse(word, 'belongs to a `lengthPrefix`')
  }
  if (words.encoding === 'amount-bcd' && words.length === 1) {
    refuse('length', 'counts the sign and the digits, so it is 2 at least')
  }
  const says = prefix === null ? messageBytesMax : prefixMax(prefix)
  if (words.maxLength !== undefined && words.maxLength > says) {
    refuse('maxLength', `the prefix can say ${says} at most`)
  }
  return {
    number,
    name: words.name ?? `field ${key}`,
    encoding: words.encoding as Encoding,
    prefix,
    length: words.length ?? words.maxLength ?? Math.min(says, messageBytesMax),
    countsBytes: words.lengthCounts === 'bytes',
    padding: (words.padding ?? 'left') as FieldSpec['padding'],
    fill: words.fill === 'F' ? 15 : 0,
  }
}

function readPrefix(
  words: PrefixWords,
  refuse: (word: string, reason: string) => void,
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
