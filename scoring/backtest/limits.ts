// What a backtest may hold in memory. Each number has its arithmetic; what is over is told.

/** A line of a data file: a payment with every column filled has below 2 kB. */
export const lineCharactersMax = 65_536

/** Bad lines that are named one by one; the others are counted. */
export const badLinesNamedMax = 100

/** A file with more bad lines than this has another layout: reading on would tell nothing. */
export const badLinesMax = 10_000

/** Labels of a file: about 150 bytes each, 750 MB at most. */
export const labelsMax = 5_000_000

/** Days of a report: ten years and a bit; later ones are counted in the last. */
export const daysMax = 3_700

/** Pairs of rules whose overlap is counted: 16 MB of map entries. */
export const pairsMax = 200_000

/** Pairs of rules that a report names, those that meet most often. */
export const pairsNamedMax = 50

/** Rules that a payment's pairs are counted for: 40 rules are 780 pairs. */
export const pairedRulesMax = 40

/**
 * Memory of the counters: nothing may be forgotten for want of it. A million payments of 6,000
 * customers in 90 days need about 0.5 GB; what is over is evicted, and the report says so.
 */
export const velocityBytesMax = 4_000_000_000

/**
 * Tokens kept for each of 6 entities in two generations: 6 * 2 * 100,000 * 150 bytes = 180 MB at
 * most. With fewer, a population of some ten thousand customers costs a hash each time.
 */
export const tokenCacheEntriesMax = 100_000

/** Decisions of a store whose claim is waiting for its outcome: 2 kB each. */
export const openClaimsMax = 100_000

/** Examples of changed payments that a comparison names. */
export const examplesMax = 20
