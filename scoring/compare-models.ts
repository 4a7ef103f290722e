// Is the challenger better? A sequential test on average precision that may be looked at any day
// without losing its level: an e-process by betting (Waudby-Smith and Ramdas, 2024).
//
// Payments are taken in the order of their arrival once their truth is known (a label, or the time
// after which there would be one), and cut into blocks of BLOCK_FRAUDS frauds. A block gives one
// difference d of average precision, challenger less champion, in [-1, 1]. Under "not better" the
// expected d is at most 0, so a bettor who stakes a share of the wealth on d > 0 before each block
// can't expect to gain; wealth above 1 / alpha has a chance below alpha, whenever it is looked at.

import { averagePrecision } from './training/handbook/index.ts'

export interface ComparedPayment {
  readonly champion: number
  readonly challenger: number
  readonly isFraud: boolean
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
const STAKE_MAX = 0.5

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
