// How far a run is, on standard error: one line that is written over; on what is not a terminal a
// plain line now and then, and nothing where only data was asked for.

import type { Progress } from './run.ts'
import type { Phase } from './scenario.ts'

export interface ProgressOptions {
  readonly json: boolean
  readonly scenario: { readonly phases: readonly Phase[] }
}

const plainEveryMs = 10_000

export class ProgressLine {
  readonly #isTerminal = process.stderr.isTTY === true
  readonly #isSilent: boolean
  readonly #totalSeconds: number
  #isOpen = false
  #plainAtMs = 0

  constructor({ json, scenario }: ProgressOptions) {
    this.#isSilent = json && !this.#isTerminal
    this.#totalSeconds = scenario.phases.reduce((sum, { seconds }) => sum + seconds, 0)
  }

  say(text: string): void {
    if (this.#isSilent) return
    if (this.#isTerminal) {
      process.stderr.write(`\r\u001b[K${text}`)
      this.#isOpen = true
      return
    }
    const nowMs = performance.now()
    if (nowMs < this.#plainAtMs) return
    this.#plainAtMs = nowMs + plainEveryMs
    process.stderr.write(`${text}\n`)
  }

  show(now: Progress): void {
    const elapsed = Math.floor(now.elapsedMs / 1000)
    this.say(
      `${now.phase}  ${elapsed}/${Math.round(this.#totalSeconds)} s  sent ${now.sent}  ` +
        `served ${now.servedPerSecond}/s  in flight ${now.inFlight}  ` +
        `p99 ${now.p99Ms.toFixed(1)} ms  errors ${now.errors}`,
    )
  }

  end(): void {
    if (this.#isOpen) process.stderr.write('\r\u001b[K')
    this.#isOpen = false
  }
}
