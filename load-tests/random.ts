// Seeded randomness: the same seed gives the same load and the same faults.

/** Numbers in [0, 1), by mulberry32 (Tommy Ettinger's 32-bit generator, public domain). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/**
 * A well-mixed 32-bit hash of (seed, index): message `index` of a run can be made again without
 * making those before it. The finalizer is that of MurmurHash3.
 */
export function mix32(seed: number, index: number): number {
  let hash = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
