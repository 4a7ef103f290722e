// Tries rule sets in a thread of its own (rules-check-thread.ts). The thread is started by the
// first question and ended when nobody has asked for a while: rules that rest cost nothing.

import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { type TimerHandle, type Timers, typeScriptInWorkers } from '#scoring'
import { RULE_CHECK_IDLE_MS, RULE_CHECK_TIMEOUT_MS } from '../limits.ts'
import type { CheckedRules, RuleCheck } from '../operations/index.ts'

export interface CheckOrder extends RuleCheck {
  readonly number: number
}

export interface CheckAnswer {
  readonly number: number
  readonly checked: CheckedRules
}

export interface RulesCheckerOptions {
  readonly rulesDir: string
  readonly keptFolder: string
  readonly timers: Timers
  /** Called with what a thread died of. */
  readonly onFault: (error: Error) => void
}

export class RulesChecker {
  readonly #options: RulesCheckerOptions
  #thread: Worker | undefined
  #settle: ((checked: CheckedRules) => void) | undefined
  #number = 0
  #timer: TimerHandle

  constructor(options: RulesCheckerOptions) {
    this.#options = options
  }

  /** One question at a time. Never rejects: a thread that fails or hangs is an answer, too. */
  async check(order: RuleCheck): Promise<CheckedRules> {
    const { timers } = this.#options
    timers.clear(this.#timer)
    const thread = this.#thread ?? this.#start()
    const number = ++this.#number
    const checked = await new Promise<CheckedRules>((resolve) => {
      this.#settle = resolve
      this.#timer = timers.set(RULE_CHECK_TIMEOUT_MS, () => {
        void this.#fail(`the check took longer than ${RULE_CHECK_TIMEOUT_MS} ms`)
      })
      const sent: CheckOrder = { ...order, number }
      thread.postMessage(sent)
    })
    timers.clear(this.#timer)
    this.#timer = timers.set(RULE_CHECK_IDLE_MS, () => void this.close())
    return checked
  }

  /** Ends the thread. It holds nothing that must be released. */
  async close(): Promise<void> {
    this.#options.timers.clear(this.#timer)
    const thread = this.#thread
    this.#thread = undefined
    await thread?.terminate()
  }

  #start(): Worker {
    const { rulesDir, keptFolder } = this.#options
    const file = fileURLToPath(new URL('rules-check-thread.ts', import.meta.url))
    const thread = new Worker(file, {
      execArgv: typeScriptInWorkers(file),
      workerData: { rulesDir, keptFolder },
    })
    thread.unref()
    thread.on('message', ({ number, checked }: CheckAnswer) => {
      if (number === this.#number) this.#settle?.(checked)
    })
    thread.on('error', (error) => {
      this.#options.onFault(error)
      void this.#fail(`the check failed: ${error.message}`)
    })
    this.#thread = thread
    return thread
  }

  async #fail(message: string): Promise<void> {
    await this.close()
    const place = { file: this.#options.rulesDir, line: 0, column: 0 }
    const problem = { ...place, severity: 'error' as const, code: 'check_failed', message }
    this.#settle?.({ ok: false, problems: [problem] })
  }
}
