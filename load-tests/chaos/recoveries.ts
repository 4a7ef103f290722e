// How long it took to recover: from a moment that a fault made to the first answer that shows it.

import type { AnswerEvent } from './acquirer.ts'

export interface RecoveryTimes {
  readonly count: number
  readonly medianMs: number
  readonly maxMs: number
  /** Begun, and nothing showed it: the run ended, or another fault came first. */
  readonly notSeen: number
}

interface Waiting {
  readonly name: string
  readonly fromMs: number
  readonly shows: (event: AnswerEvent) => boolean
}

export class Recoveries {
  readonly #tookMs = new Map<string, number[]>()
  #waiting: Waiting[] = []

  /** Waits for the first answer to a request from after `fromMs` that `shows` is true of. */
  begin(name: string, fromMs: number, shows: (event: AnswerEvent) => boolean): void {
    this.#waiting.push({ name, fromMs, shows })
  }

  /** What was timed elsewhere. */
  add(name: string, tookMs: number): void {
    const known = this.#tookMs.get(name)
    if (known === undefined) this.#tookMs.set(name, [tookMs])
    else known.push(tookMs)
  }

  onAnswer(event: AnswerEvent): void {
    if (this.#waiting.length === 0) return
    this.#waiting = this.#waiting.filter(({ name, fromMs, shows }) => {
      if (event.sentAtMs < fromMs || !shows(event)) return true
      this.add(name, event.atMs - fromMs)
      return false
    })
  }

  /** By name, in the order in which they were first seen. */
  report(): Record<string, RecoveryTimes> {
    const names = new Set([...this.#tookMs.keys(), ...this.#waiting.map(({ name }) => name)])
    return Object.fromEntries(
      [...names].map((name) => {
        const sorted = [...(this.#tookMs.get(name) ?? [])].sort((a, b) => a - b)
        const at = (index: number) => Math.round(sorted[index] ?? 0)
        const notSeen = this.#waiting.filter((one) => one.name === name).length
        const times = { medianMs: at(sorted.length >> 1), maxMs: at(sorted.length - 1) }
        return [name, { count: sorted.length, ...times, notSeen }]
      }),
    )
  }
}
