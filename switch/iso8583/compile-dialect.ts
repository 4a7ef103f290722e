// Makes a dialect's words into straight code: one function to read and one to write, generated once
// at load. Nothing of the dialect's text reaches the code but numbers that the schema has checked.

import { measureTlv, readTlv, writeTlv } from './ber-tlv.ts'
import { contentFault } from './content.ts'
import type { DialectSpec } from './dialect-words.ts'
import { messageBytesMax } from './limits.ts'
import type { DecodeResult, Dialect, EncodeResult, IsoMessage } from './message.ts'
import { Problems } from './problems.ts'
import { readerCode } from './reader-code.ts'
import * as wire from './wire.ts'
import { writerCode } from './writer-code.ts'

const primitives = { ...wire, contentFault, measureTlv, readTlv, writeTlv }

/** Shared by all dialects: encoding is synchronous, and what was written is copied out. */
const scratch = Buffer.alloc(messageBytesMax)

type Compiled = {
  readonly decode: (bytes: Uint8Array) => DecodeResult
  readonly encode: (message: IsoMessage) => EncodeResult
}

export function compileDialect(spec: DialectSpec): Dialect {
  const code = `'use strict'
    const none = []
    ${readerCode(spec)}
    ${writerCode(spec)}
    return { decode, encode }`
  const build = new Function('w', 'p', 'out', code) as (
    w: typeof primitives,
    p: Problems,
    out: Buffer,
  ) => Compiled
  const { decode, encode } = build(primitives, new Problems(spec), scratch)
  const names = new Map(spec.places.map((place) => [place.path, place.name]))
  return {
    name: spec.name,
    version: spec.version,
    headerBytes: spec.header.reduce((sum, part) => sum + part.bytes, 0),
    fieldName: (field) => names.get(String(field)) ?? `field ${field}`,
    decode,
    encode,
  }
}
