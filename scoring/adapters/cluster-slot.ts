// The slot of a key in Redis Cluster, as its specification has it: CRC-16/XMODEM of the key, or of
// what stands between the first `{` and the next `}` where that is not empty; modulo 16,384.

export const SLOTS = 16_384

/** Polynomial 0x1021, no reflection, initial value 0. */
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc & 0xffff
})

/** `key` is Latin-1, as all keys of velocity are. */
export function clusterSlot(key: string): number {
  let from = 0
  let to = key.length
  const open = key.indexOf('{')
  if (open >= 0) {
    const close = key.indexOf('}', open + 1)
    if (close > open + 1) {
      from = open + 1
      to = close
    }
  }
  let crc = 0
  for (let i = from; i < to; i++) {
    crc = ((crc << 8) & 0xffff) ^ (TABLE[((crc >> 8) ^ key.charCodeAt(i)) & 0xff] as number)
  }
  return crc % SLOTS
}
