// An ISO 8583 message between its bytes and the switch.

/**
 * Digits and text as strings; binary fields as upper-case hex; BER-TLV and subfields as a map in
 * wire order. A Map and not an object, because an object would move keys such as `82` and `95`,
 * which are array indices to JavaScript, before `5F2A`.
 */
export type FieldValue = string | FieldParts

/** Tag or subfield to value, in wire order. */
export type FieldParts = ReadonlyMap<string, FieldValue>

export interface IsoMessage {
  /** Message type indicator, four digits. */
  mti: string
  /** Index = field number, 2 to 192; a hole is an absent field. 0 and 1 are not used. */
  fields: (FieldValue | undefined)[]
  /**
   * How many bitmaps stand on the wire, said only where it is more than the fields need (a second
   * one with nothing in it), so that what was decoded is encoded to the same bytes.
   */
  bitmaps?: number
}

/** Every way a message can be wrong. Stable: logs, metrics and tests depend on the words. */
export const isoProblemCodes = [
  'truncated',
  'too_long',
  'bad_header',
  'bad_length',
  'bad_character',
  'bad_content',
  'bad_fill',
  'bad_tlv',
  'bad_subfield',
  'bad_value',
  'unknown_field',
  'trailing_bytes',
] as const

export type IsoProblemCode = (typeof isoProblemCodes)[number]

/** What is wrong with a message: an operating error, returned and never thrown. */
export interface IsoProblem {
  readonly code: IsoProblemCode
  /** Byte offset in the message where it was noticed. */
  readonly offset: number
  /** `mti` (the header too), `bitmap`, `end`, or a field's path: `2`, `43.1`. */
  readonly field: string
  /** What was expected, what was there (never card data), and the likely cause. */
  readonly message: string
}

export type DecodeResult =
  | { readonly ok: true; readonly message: IsoMessage }
  | {
      readonly ok: false
      readonly problem: IsoProblem
      /**
       * What was read before the problem; the whole message where only a content rule is broken.
       * For an answer that says so; never to be forwarded.
       */
      readonly partial: IsoMessage
    }

export type EncodeResult =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly problem: IsoProblem }

/** A compiled dialect: straight code, made once at load. */
export interface Dialect {
  readonly name: string
  /** The edition of ISO 8583 that it follows: decides codes and the shape of original data. */
  readonly version: 1987 | 1993 | 2003
  /** Before the MTI. */
  readonly headerBytes: number
  /** What a field, or a subfield by its path (`43.1`), is called, for people; else `field N`. */
  fieldName(field: number | string): string
  /** Never throws, whatever the bytes. */
  decode(bytes: Uint8Array): DecodeResult
  /** Never throws, whatever the values. The bytes are the caller's to keep. */
  encode(message: IsoMessage): EncodeResult
}
