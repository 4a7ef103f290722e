// An ISO 8583 message between its bytes and the switch.

/** Digits and text as strings; binary fields as upper-case hex; BER-TLV and subfields as a map in wire order. */
export type FieldValue = string | { readonly [tagOrSubfield: string]: FieldValue }

export interface IsoMessage {
  /** Message type indicator, four digits. */
  mti: string
  /** Index = field number, 2 to 192; a hole is an absent field. 0 and 1 are not used. */
  fields: (FieldValue | undefined)[]
}

/** What is wrong with a message: an operating error, returned and never thrown. */
export interface IsoProblem {
  /** Stable, e.g. `truncated`, `bad_length`, `bad_character`, `unknown_field`, `trailing_bytes`. */
  readonly code: string
  /** Byte offset in the message where it was noticed. */
  readonly offset: number
  /** `mti`, `bitmap`, `end`, or a field's path: `2`, `43.1`. */
  readonly field: string
  /** What was expected, what was there (never card data), and the likely cause. */
  readonly message: string
}

export type DecodeResult =
  | { readonly ok: true; readonly message: IsoMessage }
  | { readonly ok: false; readonly problem: IsoProblem }

export type EncodeResult =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly problem: IsoProblem }

/** A compiled dialect: straight code, made once at load. */
export interface Dialect {
  readonly name: string
  /** Never throws, whatever the bytes. */
  decode(bytes: Uint8Array): DecodeResult
  /** Never throws, whatever the values. The bytes are the caller's to keep. */
  encode(message: IsoMessage): EncodeResult
}
