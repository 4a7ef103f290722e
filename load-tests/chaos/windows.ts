// Windows of the same traffic, one side and the other in turn, and what their latencies come to:
// for runs that compare a switch with itself.

import { post, purchase } from '../e2e/system.ts'

const TRIES_MAX = 20

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

export interface TrafficOptions {
  readonly url: string
  /** Of this run: no two windows share a card. */
  readonly window: number
  readonly perSecond: number
  readonly windowMs: number
  /** Sees every answer's body. */
  readonly onAnswer?: (body: Readonly<Record<string, unknown>>) => void
}

/** The same key again after a closed connection or a full house, as a client would. */
export async function postAgain(url: string, key: string, body: object): ReturnType<typeof post> {
  for (let tries = 0; ; tries++) {
    try {
      const answer = await post(url, key, body)
      if (answer.status !== 503 || tries === TRIES_MAX) return answer
    } catch (error) {
      if (tries === TRIES_MAX) throw error
    }
    await pause(100)
  }
}

/**
 * Purchases to demo-a at a fixed rate; milliseconds from the intended send time. Rejects where one
 * is not approved.
 */
export async function traffic({
  url,
  window,
  perSecond,
  windowMs,
  onAnswer = () => undefined,
}: TrafficOptions): Promise<number[]> {
  const startedMs = performance.now()
  const latenciesMs: number[] = []
  const running: Promise<void>[] = []
  const count = (windowMs * perSecond) / 1_000
  const buy = async (number: number, intendedMs: number) => {
    // A card buys once: what velocity says of it must not change from window to window.
    const card = 100_000 * (window + 1) + number
    const { body } = await postAgain(url, `window-${window}-${number}`, purchase(card, 1_000))
    latenciesMs.push(performance.now() - intendedMs)
    onAnswer(body)
    if (body.outcome !== 'approved') throw new Error(`window ${window}: ${JSON.stringify(body)}`)
  }
  while (running.length < count) {
    const number = running.length
    const intendedMs = startedMs + (number * 1_000) / perSecond
    const waitMs = intendedMs - performance.now()
    if (waitMs > 0) await pause(waitMs)
    const bought = buy(number, intendedMs)
    // Told by the end of the window, when all are awaited.
    bought.catch(() => {})
    running.push(bought)
  }
  await Promise.all(running)
  return latenciesMs
}

/** Of some ratios or differences: rounded to hundredths. */
export function spreadOf(ratios: readonly number[]) {
  const sorted = [...ratios].sort((a, b) => a - b)
  const at = (index: number) => sorted[index] ?? Number.NaN
  const middle = (sorted.length - 1) / 2
  const median = (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2
  const rounded = [median, at(0), at(sorted.length - 1)].map((one) => Math.round(one * 100) / 100)
  const [ofRounds = Number.NaN, least, most] = rounded
  return { median: ofRounds, least, most, rounds: sorted.length }
}

export function p99Of(latenciesMs: readonly number[]): number {
  return summaryOf(latenciesMs).p99Ms
}

export function summaryOf(latenciesMs: readonly number[]) {
  const sorted = [...latenciesMs].sort((a, b) => a - b)
  const at = (part: number) => Math.round((sorted[Math.floor(sorted.length * part)] ?? 0) * 10) / 10
  return { sent: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99) }
}
