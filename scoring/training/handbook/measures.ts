// How well scores find fraud: the Handbook's three numbers.

export interface Measures {
  readonly rocAuc: number
  readonly averagePrecision: number
  readonly cardPrecisionAt100: number
}

/**
 * Area under the ROC curve: the share of (fraud, genuine) pairs that the scores put in the right
 * order, ties counting half. NaN without either.
 */
export function rocAuc(scores: ArrayLike<number>, frauds: ArrayLike<boolean>): number {
  const order = ascending(scores)
  let rankSum = 0
  let positives = 0
  for (let from = 0; from < order.length; ) {
    let to = from
    while (to < order.length && at(scores, order, to) === at(scores, order, from)) to++
    for (let i = from; i < to; i++) {
      if (!frauds[order[i] as number]) continue
      rankSum += (from + 1 + to) / 2
      positives++
    }
    from = to
  }
  const negatives = order.length - positives
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives)
}

/**
 * Average precision: the sum over thresholds of precision times the gain in recall, without
 * interpolation (scikit-learn's `average_precision_score`). NaN without fraud.
 */
export function averagePrecision(scores: ArrayLike<number>, frauds: ArrayLike<boolean>): number {
  const order = ascending(scores).reverse()
  let found = 0
  let sum = 0
  for (let from = 0; from < order.length; ) {
    let to = from
    let gained = 0
    while (to < order.length && at(scores, order, to) === at(scores, order, from)) {
      if (frauds[order[to] as number]) gained++
      to++
    }
    found += gained
    sum += gained * (found / to)
    from = to
  }
  return sum / found
}

/** What card precision reads of each scored transaction. */
export interface ScoredCards {
  readonly scores: ArrayLike<number>
  readonly frauds: ArrayLike<boolean>
  readonly customers: readonly string[]
  readonly days: ArrayLike<number>
}

/**
 * Card precision@k: of each day's k customers with the highest scores, the share that had a fraud
 * that day; customers who were found are left out on later days. The mean over the days.
 */
export function cardPrecision(cards: ScoredCards, k: number): number {
  const days = [...new Set(Array.from(cards.days))].sort((one, other) => one - other)
  const found = new Set<string>()
  let sum = 0
  for (const day of days) {
    const compromised = topCustomers(cards, day, k, found).filter((each) => each.fraud)
    for (const { customer } of compromised) found.add(customer)
    sum += compromised.length / k
  }
  return sum / days.length
}

interface Customer {
  readonly customer: string
  score: number
  fraud: boolean
}

function topCustomers(
  { scores, frauds, customers, days }: ScoredCards,
  day: number,
  k: number,
  found: ReadonlySet<string>,
): readonly Customer[] {
  const byName = new Map<string, Customer>()
  for (let i = 0; i < customers.length; i++) {
    const customer = customers[i] as string
    if (days[i] !== day || found.has(customer)) continue
    const score = scores[i] as number
    const fraud = frauds[i] === true
    const known = byName.get(customer)
    if (known === undefined) byName.set(customer, { customer, score, fraud })
    else {
      known.score = Math.max(known.score, score)
      known.fraud ||= fraud
    }
  }
  return [...byName.values()].sort((one, other) => other.score - one.score).slice(0, k)
}

function ascending(scores: ArrayLike<number>): Uint32Array {
  const order = Uint32Array.from({ length: scores.length }, (_, index) => index)
  return order.sort((one, other) => (scores[one] as number) - (scores[other] as number))
}

function at(scores: ArrayLike<number>, order: Uint32Array, place: number): number {
  return scores[order[place] as number] as number
}
