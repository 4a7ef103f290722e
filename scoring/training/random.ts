// Seeded pseudo-random numbers: the same seed gives the same transactions on every machine.
// Generator: sfc32 (Chris Doty-Humphrey, PractRand), 128 bits of state, seeded by splitmix32.

export interface SeededRandom {
  /** Uniform in [0, 1), 32 bits. */
  next(): number
  /** Uniform integer in [0, count). */
  below(count: number): number
  /** Uniform in [low, high). */
  between(low: number, high: number): number
  chance(probability: number): boolean
  pick<T>(items: readonly T[]): T
  /** Standard normal (Box-Muller, one of the pair). */
  normal(): number
  /** Log-normal with the given median and sigma of the logarithm. */
  logNormal(median: number, sigma: number): number
  /** Exponential with the given mean. */
  exponential(mean: number): number
  /** Poisson with the given mean (Knuth's product; means below 30). */
  poisson(mean: number): number
  /** 8 hexadecimal digits. */
  hex8(): string
  /** An independent generator whose seed this one draws. */
  fork(): SeededRandom
}

export function createRandom(seed: number): SeededRandom {
  let [a, b, c, d] = expand(seed)
  const next32 = (): number => {
    const sum = (a + b + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    c |= 0
    return sum >>> 0
  }
  for (let i = 0; i < 12; i++) next32()
  const next = () => next32() / 4_294_967_296
  const normal = () => {
    const radius = Math.sqrt(-2 * Math.log(1 - next()))
    return radius * Math.cos(2 * Math.PI * next())
  }
  return {
    next,
    below: (count) => Math.floor(next() * count),
    between: (low, high) => low + (high - low) * next(),
    chance: (probability) => next() < probability,
    pick: (items) => items[Math.floor(next() * items.length)] as (typeof items)[number],
    normal,
    logNormal: (median, sigma) => median * Math.exp(sigma * normal()),
    exponential: (mean) => -mean * Math.log(1 - next()),
    poisson(mean) {
      const limit = Math.exp(-mean)
      let count = 0
      for (let product = next(); product > limit; product *= next()) count++
      return count
    },
    hex8: () => next32().toString(16).padStart(8, '0'),
    fork: () => createRandom(next32()),
  }
}

/** splitmix32: spreads a seed, however small, over 128 bits of state. */
function expand(seed: number): [number, number, number, number] {
  let state = seed | 0
  const draw = (): number => {
    state = (state + 0x9e3779b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return mixed ^ (mixed >>> 15)
  }
  return [draw(), draw(), draw(), draw()]
}
