// Random numbers of a seed: the same seed gives the same run, for ever.
//
// xoshiro128** 1.1 by Blackman and Vigna (public domain), its state filled by splitmix32.

import type { Random } from '../ports.ts'

export interface SeededRandom extends Random {
  /** A whole number, 0 <= n < `end`; `end` at most 2^32. */
  below(end: number): number
  /** 0 <= n < 1. */
  fraction(): number
  /** True with that probability. */
  chance(probability: number): boolean
}

export function createSeededRandom(seed: number): SeededRandom {
  const state = new Uint32Array(4)
  let mixed = seed >>> 0
  for (let i = 0; i < 4; i++) {
    mixed = (mixed + 0x9e3779b9) >>> 0
    let z = mixed
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    state[i] = z ^ (z >>> 15)
  }
  const next = () => nextWord(state)
  return {
    below: (end) => Math.floor((next() / 4_294_967_296) * end),
    fraction: () => next() / 4_294_967_296,
    chance: (probability) => next() / 4_294_967_296 < probability,
    fill(target) {
      for (let i = 0; i < target.length; i++) target[i] = next() >>> 24
      return target
    },
  }
}

function nextWord(state: Uint32Array): number {
  const [s0, s1, s2, s3] = state as unknown as [number, number, number, number]
  const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0
  const mixed2 = s2 ^ s0
  const mixed3 = s3 ^ s1
  state[1] = s1 ^ mixed2
  state[0] = s0 ^ mixed3
  state[2] = mixed2 ^ (s1 << 9)
  state[3] = rotateLeft(mixed3, 11)
  return result
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}

/** The seed of a stream of its own, named: what one stream draws changes no other's numbers. */
export function seedOf(seed: number, name: string): number {
  // FNV-1a, then the finalizer of MurmurHash3: neighbouring names give unlike seeds.
  let mixed = (0x811c9dc5 ^ seed) >>> 0
  for (let i = 0; i < name.length; i++) {
    mixed = Math.imul(mixed ^ name.charCodeAt(i), 0x01000193)
  }
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
