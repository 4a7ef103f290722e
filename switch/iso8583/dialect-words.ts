// The words of a dialect file: their schema, and the complete form that the compiler works from.

import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { type Content, contents } from './content.ts'
import {
  headerPartBytesMax,
  headerPartsMax,
  messageBytesMax,
  prefixBytesMax,
  prefixDigitsMax,
  privateBitmapBytesMax,
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

const TagWords = Type.Object(
  {
    encoding: Type.Enum(['ascii', 'bcd', 'ebcdic', 'binary']),
    digits: Type.Optional(Type.Integer({ minimum: 1, maximum: prefixDigitsMax })),
    bytes: Type.Optional(Type.Integer({ minimum: 1, maximum: prefixBytesMax })),
    lengthPrefix: PrefixWords,
    first: Type.Optional(Type.Array(Type.String(), { maxItems: 8 })),
  },
  strict,
)

const PrivateBitmapWords = Type.Object(
  {
    encoding: Type.Enum(['binary', 'asciihex', 'ebcdichex']),
    bytes: Type.Integer({ minimum: 1, maximum: privateBitmapBytesMax }),
  },
  strict,
)

const fieldProperties = {
  name: Type.Optional(Type.String({ maxLength: 100 })),
  length: Type.Optional(Type.Integer({ minimum: 1, maximum: messageBytesMax })),
  lengthPrefix: Type.Optional(PrefixWords),
  lengthCounts: Type.Optional(Type.Enum(['bytes'])),
  maxLength: Type.Optional(Type.Integer({ minimum: 1, maximum: messageBytesMax })),
  padding: Type.Optional(Type.Enum(['left', 'right'])),
  fill: Type.Optional(Type.Enum(['0', 'F', 0])),
  content: Type.Optional(Type.Enum([...contents])),
  // Checked one level at a time, with the words of a field but for `encoding`.
  subfields: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  subfieldTags: Type.Optional(TagWords),
  privateBitmap: Type.Optional(PrivateBitmapWords),
}

const FieldWords = Type.Object({ encoding: Type.Enum([...encodings]), ...fieldProperties }, strict)
const PartWords = Type.Object(
  { encoding: Type.Optional(Type.Enum([...encodings])), ...fieldProperties },
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

export type PartWords = Static<typeof PartWords>
export type PrefixWords = Static<typeof PrefixWords>
export type TagWords = Static<typeof TagWords>
export type DialectWords = Static<typeof DialectWords>

export const validator = Compile(DialectWords)
export const partValidator = Compile(PartWords)

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

/** One field or subfield, complete: every word has its value. */
export interface FieldSpec {
  /** Compiled code names it so: a field by its number, a subfield by a number from 1,000. */
  readonly id: number
  /** `43`, or `43.1` for a subfield. A subfield that no word names has `*` as its last key. */
  readonly path: string
  /** The last part of the path: the key of its value in the parent's map. */
  readonly key: string
  /** The field's number; 0 for a subfield. */
  readonly number: number
  readonly name: string
  readonly encoding: Encoding
  /** Null: fixed, or what the parent has left. */
  readonly prefix: LengthPrefix | null
  /** Has no length of its own: reaches to the end of its parent. */
  readonly takesRest: boolean
  /** The fixed length, or the most that the prefix may say; in what `countsBytes` says. */
  readonly length: number
  /** The prefix counts bytes on the wire, not the encoding's own unit. */
  readonly countsBytes: boolean
  readonly padding: 'left' | 'right'
  /** The fill nibble. */
  readonly fill: 0 | 15
  readonly content: Content | null
  /** What it is made of; null where its value is a string or BER-TLV. */
  readonly parts: PartsSpec | null
}

/**
 * How a field is divided. `positions`: one after the other; those at the end may be absent where the
 * field is variable. `slices`: the same, cut from the digits of a packed field. `bitmap`: a bitmap of
 * its own says which are there; the key is the bit. `tags`: `first` stand there always, then any
 * number of tag, length and value.
 */
export type PartsSpec =
  | { readonly kind: 'positions' | 'slices'; readonly fields: readonly FieldSpec[] }
  | {
      readonly kind: 'bitmap'
      readonly encoding: 'binary' | 'asciihex' | 'ebcdichex'
      readonly bytes: number
      readonly fields: readonly FieldSpec[]
    }
  | {
      readonly kind: 'tags'
      readonly tag: LengthPrefix
      readonly first: readonly FieldSpec[]
      readonly fields: readonly FieldSpec[]
      /** How a tag that no word names is read: kept as it stands. */
      readonly unknown: FieldSpec
    }

export interface DialectSpec {
  readonly name: string
  readonly version: 1987 | 1993 | 2003
  /** The first digit that an MTI must have; null where the words say no version. */
  readonly mtiVersion: 0 | 1 | 2 | null
  readonly header: readonly { readonly bytes: number; readonly value: Uint8Array | null }[]
  readonly mti: 'ascii' | 'bcd' | 'ebcdic'
  readonly bitmap: 'binary' | 'asciihex' | 'ebcdichex'
  /** Bitmaps that are always there. */
  readonly bitmaps: number
  readonly tertiaryBitmap: boolean
  /** By number, ascending. */
  readonly fields: readonly FieldSpec[]
  /** The fields and all their subfields, at every depth. */
  readonly places: readonly FieldSpec[]
}

export type WordProblem = { readonly path: readonly string[]; readonly reason: string }

type SchemaError = ReturnType<typeof validator.Errors>[number]

/** The schema's errors in our words, the same place once. `at` is where the words stand. */
export function schemaProblems(
  errors: readonly SchemaError[],
  at: readonly string[],
): WordProblem[] {
  const seen = new Map<string, WordProblem>()
  for (const error of errors) {
    const path = [...at, ...error.instancePath.split('/').slice(1)]
    if (error.keyword === 'additionalProperties') {
      const known = Object.keys(knownWords(path)).join(', ')
      for (const word of error.params.additionalProperties) {
        const to = [...path, word]
        seen.set(to.join('.'), { path: to, reason: `unknown word; known here: ${known}` })
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
  const last = path.at(-1)
  if (last === 'lengthPrefix') return PrefixWords.properties
  if (last === 'subfieldTags') return TagWords.properties
  return last === 'privateBitmap' ? PrivateBitmapWords.properties : FieldWords.properties
}
