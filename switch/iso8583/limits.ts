// Limits of the ISO 8583 room, with the arithmetic beside each.

/**
 * The longest message that is read or written: what a 2-byte length can say. A decoded message
 * holds at most its text (1 byte a character), its hex (2) and the fields' strings, so less than 8
 * times this, 512 KiB, whatever the bytes are.
 */
export const messageBytesMax = 65_535

/**
 * The longest frame that a listener or link takes unless told otherwise: Visa's limit is 2,048; 8 KiB
 * leaves room for field 127 and a long field 55. 10,000 connections, each with a half-received
 * frame, hold 80 MiB.
 */
export const frameBytesDefault = 8_192

/** Characters of a dialect file: 128 fields of about 100 characters are 13,000; 20 times that. */
export const dialectTextMax = 262_144

/** Header parts before the MTI, and bytes in each: a TPDU has 5, a Visa header 22 to 26. */
export const headerPartsMax = 8
export const headerPartBytesMax = 256

/** Bytes of a BER-TLV tag. EMV uses 1 to 3; one more is kept for private ones. */
export const tlvTagBytesMax = 4

/** Digits of a length prefix: 5 digits say more than `messageBytesMax`. */
export const prefixDigitsMax = 5
export const prefixBytesMax = 4
