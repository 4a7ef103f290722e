// What a YAML file may hold, as data: the reader (read.ts) checks against it, and the JSON Schema
// for editors is made from it (json-schema.ts), so the two can't differ.

export type Shape =
  | {
      readonly kind: 'text'
      readonly lengthMax: number
      readonly pattern?: RegExp
      /** What the pattern asks, in words. */
      readonly looks?: string
    }
  | { readonly kind: 'word'; readonly words: readonly string[] }
  | { readonly kind: 'flag' }
  | {
      readonly kind: 'number'
      readonly integer: boolean
      readonly min: number
      readonly max: number
    }
  | { readonly kind: 'list'; readonly of: Shape; readonly lengthMax: number }
  | { readonly kind: 'record'; readonly fields: Readonly<Record<string, Field>> }
  /** Names that the analyst chooses, each with a value of one shape. */
  | { readonly kind: 'map'; readonly of: Shape; readonly sizeMax: number }

export interface Field {
  readonly shape: Shape
  readonly required: boolean
  readonly description: string
}

export const required = (shape: Shape, description: string): Field => ({
  shape,
  required: true,
  description,
})

export const optional = (shape: Shape, description: string): Field => ({
  shape,
  required: false,
  description,
})

export const text = (lengthMax: number, pattern?: RegExp, looks?: string): Shape => ({
  kind: 'text',
  lengthMax,
  ...(pattern === undefined ? {} : { pattern }),
  ...(looks === undefined ? {} : { looks }),
})

export const word = (words: readonly string[]): Shape => ({ kind: 'word', words })

export const integer = (min: number, max: number): Shape => ({
  kind: 'number',
  integer: true,
  min,
  max,
})

export const number = (min: number, max: number): Shape => ({
  kind: 'number',
  integer: false,
  min,
  max,
})

export const flag: Shape = { kind: 'flag' }

export const list = (of: Shape, lengthMax: number): Shape => ({ kind: 'list', of, lengthMax })

export const record = (fields: Readonly<Record<string, Field>>): Shape => ({
  kind: 'record',
  fields,
})

export const map = (of: Shape, sizeMax: number): Shape => ({ kind: 'map', of, sizeMax })
