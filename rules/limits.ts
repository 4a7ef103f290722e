// What rule files may cost. Each number has its arithmetic; what is over is refused, never cut.

/** A pack of 500 rules with prose is about 400 kB; beyond 1 MiB is a mistake or an attack. */
export const ruleFileBytesMax = 1_048_576

/** A million entries of 40 bytes: lists may be large, and are read once at load. */
export const listFileBytesMax = 67_108_864

/** Packs, tests and lists together. */
export const ruleFilesMax = 1_000

/** 1,000 rules take about 20 µs a transaction: 5,000 stay near 100 µs of a 30 ms deadline. */
export const rulesMax = 5_000

/** Characters of one condition: about fifty comparisons. */
export const conditionCharactersMax = 4_096

/** Nodes and depth of a condition's syntax tree. 4,096 characters hold about 1,500 nodes. */
export const conditionNodesMax = 2_000
export const conditionDepthMax = 64

/** Elements of a literal list in a condition; longer ones belong into rules/lists/. */
export const literalListElementsMax = 200

/** Different aggregates that one rule set may ask for: each costs a window scan a transaction. */
export const aggregatesMax = 512

/** Windows: one minute to thirty days, what velocity keeps. */
export const windowSecondsMin = 60
export const windowSecondsMax = 2_592_000

/** Problems told at once; the rest is only counted. */
export const problemsMax = 500

/** Events that one test case may unfold to. */
export const testEventsMax = 10_000

/** The IANA database has about 600 names with its links; unknown names are remembered too. */
export const timeZonesMax = 1_024

/** An exchange rate without an end date is trusted this long: twice the longest bank holidays. */
export const rateAgeDaysMax = 10

/** Snoozes of one rule: each is a comparison where the rule would fire; more of them are a list. */
export const snoozesMax = 100

/** Cases of a condition: 1,000 rules of two, compared in pairs by lint, are 4 million steps. */
export const casesMax = 64

/** Levels of a YAML file: a pack has 6, a condition brackets 64 deep; the parser's stack ends at 780. */
export const yamlNestingMax = 200

/** Sets kept for replays: at five changes a day more than half a year, 40 kB each as shipped. */
export const keptSetsMax = 1_000

/** Bytes of all kept sets, packed: with lists of 20 MB packed, the last hundred changes. */
export const keptBytesMax = 2_147_483_648

/** Characters of one set: four lists of the largest size. A set that can't be kept can't decide. */
export const keptSetBytesMax = 268_435_456
