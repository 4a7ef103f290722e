// Limits of the ISO 8583 room, with the arithmetic beside each.

/**
 * The longest message that is read or written: what a 2-byte length can say. A decoded message
 * holds its text (1 byte a character), its hex (2) and the fields' strings: 1.3 times its size for
 * text, 22 times for lists of empty subfields. So 32 times this, 2 MiB, whatever the bytes are.
 */
export const messageBytesMax = 65_535

/**
 * The longest frame that a listener or link takes unless told otherwise: Visa's limit is 2,048;
 * 8 KiB leaves room for field 127 and a long field 55. 10,000 connections, each with a
 * half-received frame, hold 80 MiB.
 */
export const frameBytesDefault = 8_192

/** Characters of a dialect file: 128 fields of about 100 characters are 13,000; 20 times that. */
export const dialectTextMax = 262_144

/** Header parts before the MTI, and bytes in each: a TPDU has 5, a Visa header 22 to 26. */
export const headerPartsMax = 8
export const headerPartBytesMax = 256

/** Bytes of a BER-TLV tag. EMV uses 1 to 3; one more is kept for private ones. */
export const tlvTagBytesMax = 4

/** Digits of a length prefix: field 127 of Postilion has 6, more than a message can be long. */
export const prefixDigitsMax = 6
export const prefixBytesMax = 4

/** Levels of subfields in subfields: `48.42.1.2` has three; one more is kept. */
export const subfieldDepthMax = 4

/** Fields and subfields of one dialect: 191 fields of 20 parts each are 3,820. */
export const subfieldsMax = 4_096

/** A private bitmap has 3 (Visa's field 63) or 8 bytes; 16 say 128 fields. */
export const privateBitmapBytesMax = 16

/**
 * BER-TLV objects and tagged subfields in one field. A chip card sends about 40, and each costs up
 * to 200 bytes of memory for the 2 that it may have on the wire.
 */
export const partsMax = 512
