// EBCDIC code page 037 (IBM CECP US/Canada): every byte is one character of ISO 8859-1 and the
// other way round, so text in it never fails to decode and always encodes to the same bytes.
// Source: the Unicode Consortium's mapping table VENDORS/MICSFT/EBCDIC/CP037.TXT.

const table =
  '000102039c09867f978d8e0b0c0d0e0f101112139d8508871819928f1c1d1e1f' +
  '80818283840a171b88898a8b8c050607909116939495960498999a9b14159e1a' +
  '20a0e2e4e0e1e3e5e7f1a22e3c282b7c26e9eaebe8edeeefecdf21242a293bac' +
  '2d2fc2c4c0c1c3c5c7d1a62c255f3e3ff8c9cacbc8cdcecfcc603a2340273d22' +
  'd8616263646566676869abbbf0fdfeb1b06a6b6c6d6e6f707172aabae6b8c6a4' +
  'b57e737475767778797aa1bfd0dddeae5ea3a5b7a9a7b6bcbdbe5b5dafa8b4d7' +
  '7b414243444546474849adf4f6f2f3f57d4a4b4c4d4e4f505152b9fbfcf9faff' +
  '5cf7535455565758595ab2d4d6d2d3d530313233343536373839b3dbdcd9da9f'

/** Index: an EBCDIC byte. Value: the Latin-1 byte of the same character. */
export const latin1OfEbcdic: Uint8Array = new Uint8Array(Buffer.from(table, 'hex'))

/** Index: a Latin-1 byte. Value: the EBCDIC byte of the same character. */
export const ebcdicOfLatin1: Uint8Array = invert(latin1OfEbcdic)

function invert(forward: Uint8Array): Uint8Array {
  const backward = new Uint8Array(256)
  for (let i = 0; i < 256; i++) backward[forward[i] as number] = i
  return backward
}
