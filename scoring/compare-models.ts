// Is the challenger better? A sequential test on average precision that may be looked at any day
// without losing its level: an e-process by betting (Waudby-Smith and Ramdas, Estimating means of
// bounded random variables by betting, JRSS B 86, 2024).
//
// Payments are taken in the order of their arrival and cut into blocks of BLOCK_FRAUDS frauds. A
// block gives one difference d of average precision, challenger less champion, in [-1, 1]. Under
// "not better" the expected d is at most 0, whatever came before. A bettor stakes a share s of the
// wealth W on d > 0 before each block, from what earlier blocks gave (mean m, variance v):
//
//   W <- W (1 + s d),   s = m / (v + m^2), within [0, STAKE_MAX],   W = 1 at the start
//
// so W can't be expected to grow, and by Ville's inequality it ever reaches 1 / a with a chance of
// at most a, whenever and however often it is looked at. Two bettors, one a side, at a = ALPHA / 2.
//
// That holds only where a later look sees the blocks of an earlier one unchanged. So a payment
// counts once it is as old as labels are late, never before, by what was known of it on that day:
// frauds are known sooner than the absence of one, and a block of frauds alone would tell nothing.

import { labelOf, type PastPayment, truthOf } from './backtest/index.ts'
import { averagePrecision } from './training/handbook/index.ts'

export interface ComparedPayment {
  readonly champion: number
  readonly challenger: number
  readonly isFraud: boolean
}

/** Which payments are compared. */
export interface ComparedOptions {
  /** Version of the model in shadow; undefined: the one that there was. */
  readonly challenger: string | undefined
  readonly asOfMs: number
  /** So long after a payment it is taken for genuine without a label. */
  readonly labelDelayMs: number
}

export type Gathered =
  | {
      readonly ok: true
      /** Versions; undefined where no payment had a challenger. */
      readonly champion: string | undefined
      readonly challenger: string | undefined
      /** In the order of the payments. */
      readonly payments: readonly ComparedPayment[]
    }
  /** Several were in shadow: these. */
  | { readonly ok: false; readonly challengers: readonly string[] }

/**
 * Of past payments in order of arrival those that can be compared: let through, scored by both, old
 * enough. Of several models in force the last counts: a test is about one pair.
 */
export async function gatherCompared(
  chunks: AsyncIterable<readonly PastPayment[]>,
  { challenger: named, asOfMs, labelDelayMs }: ComparedOptions,
): Promise<Gathered> {
  const challengers = new Set<string>()
  let champion: string | undefined
  let payments: ComparedPayment[] = []
  for await (const chunk of chunks) {
    for (const payment of chunk) {
      const { request, decision } = payment
      for (const { model } of decision?.challengers ?? []) challengers.add(model)
      const shadow = decision?.challengers?.find(
        ({ model }) => named === undefined || model === named,
      )
      if (typeof decision?.score !== 'number' || typeof shadow?.score !== 'number') continue
      const knownByMs = request.arrivedAtMs + labelDelayMs
      if (knownByMs > asOfMs) continue
      const source = { labels: undefined, asOfMs: knownByMs, maturityMs: labelDelayMs }
      const truth = truthOf(payment, labelOf(payment, source), source)
      if (truth !== 'fraud' && truth !== 'genuine') continue
      if (decision.model !== champion) payments = []
      champion = decision.model ?? undefined
      payments.push({
        champion: decision.score,
        challenger: shadow.score,
        isFraud: truth === 'fraud',
      })
    }
  }
  if (named === undefined && challengers.size > 1)
    return { ok: false, challengers: [...challengers] }
  return { ok: true, champion, challenger: named ?? [...challengers][0], payments }
}

export interface Comparison {
  readonly verdict: 'challenger_better' | 'champion_better' | 'undecided'
  readonly payments: number
  readonly frauds: number
  readonly blocks: number
  /** Over all payments of whole blocks. NaN without any. */
  readonly championPrecision: number
  readonly challengerPrecision: number
  /** Wealth of the two bets; above `evidenceNeeded` one is believed. */
  readonly evidenceForChallenger: number
  readonly evidenceForChampion: number
  readonly evidenceNeeded: number
}

/** Frauds of one block: enough for an average precision, few enough for a verdict in weeks. */
export const BLOCK_FRAUDS = 20

/** Chance of a wrong verdict, either way. */
const ALPHA = 0.05

/** A bet never stakes more than this, so that one bad block can't ruin it. */
const STAKE_MAX = 0.8

/** A bettor on positive differences. */
class Bet {
  wealth = 1
  #count = 1
  #sum = 0
  /** Starts at the variance of a difference that is anywhere between -0.5 and 0.5. */
  #squares = 1 / 12

  take(difference: number): void {
    const mean = this.#sum / this.#count
    const variance = Math.max(this.#squares / this.#count - mean * mean, 1e-6)
    const stake = Math.min(STAKE_MAX, Math.max(0, mean / (variance + mean * mean)))
    this.wealth *= 1 + stake * difference
    this.#count++
    this.#sum += difference
    this.#squares += difference * difference
  }
}

/** Payments in order of arrival, each with its truth known. The verdict is the first reached. */
export function compareModels(payments: Iterable<ComparedPayment>): Comparison {
  const challengerBet = new Bet()
  const championBet = new Bet()
  const whole: ComparedPayment[] = []
  let block: ComparedPayment[] = []
  let blocks = 0
  let frauds = 0
  let verdict: Comparison['verdict'] = 'undecided'
  for (const payment of payments) {
    block.push(payment)
    if (payment.isFraud) frauds++
    if (frauds < BLOCK_FRAUDS * (blocks + 1)) continue
    const difference = precision(block, 'challenger') - precision(block, 'champion')
    challengerBet.take(difference)
    championBet.take(-difference)
    blocks++
    for (const each of block) whole.push(each)
    block = []
    if (verdict !== 'undecided') continue
    if (challengerBet.wealth >= 1 / (ALPHA / 2)) verdict = 'challenger_better'
    else if (championBet.wealth >= 1 / (ALPHA / 2)) verdict = 'champion_better'
  }
  return {
    verdict,
    payments: whole.length,
    frauds: blocks * BLOCK_FRAUDS,
    blocks,
    championPrecision: precision(whole, 'champion'),
    challengerPrecision: precision(whole, 'challenger'),
    evidenceForChallenger: challengerBet.wealth,
    evidenceForChampion: championBet.wealth,
    evidenceNeeded: 1 / (ALPHA / 2),
  }
}

function precision(payments: readonly ComparedPayment[], of: 'champion' | 'challenger'): number {
  return averagePrecision(
    payments.map((payment) => payment[of]),
    payments.map(({ isFraud }) => isFraud),
  )
}
