// Processes that come back: a switch under a supervisor, an issuer and a Redis that are started
// again where they were.

import path from 'node:path'
import {
  pause,
  type RunningIssuer,
  type RunningRedis,
  type RunningSwitch,
  startIssuer,
  startRedis,
} from '../processes/index.ts'
import { restartPauseMs } from './limits.ts'

export interface SupervisedSwitchOptions {
  readonly name: string
  readonly port: number
  readonly isoPort: number
  /** Starts it and returns once it listens. */
  readonly start: () => Promise<RunningSwitch>
  /** Milliseconds from the start of the process to its readiness. */
  readonly onReady: (tookMs: number) => void
  readonly say: (line: string) => void
}

/** A switch that is started again whenever it ends, as a service manager does. */
export class SupervisedSwitch {
  readonly name: string
  readonly port: number
  readonly isoPort: number
  readonly #options: SupervisedSwitchOptions
  #running: RunningSwitch | undefined
  #isReady = false
  #isOver = false
  #starts = 0
  #problem = 'its last start did not fail'
  #kept: Promise<void> | undefined
  readonly #exits: Record<string, number> = {}

  constructor(options: SupervisedSwitchOptions) {
    this.#options = options
    this.name = options.name
    this.port = options.port
    this.isoPort = options.isoPort
  }

  /** How often it ended, by exit code: 137 is a kill. */
  get exits(): Readonly<Record<string, number>> {
    return this.#exits
  }

  get starts(): number {
    return this.#starts
  }

  get running(): RunningSwitch | undefined {
    return this.#running
  }

  keep(): void {
    this.#kept = this.#keep()
  }

  /** Throws where it is not ready within the time. */
  async waitReady(timeoutMs: number): Promise<void> {
    await this.waitThere({ isReady: true, timeoutMs })
    if (this.#isReady) return
    throw new Error(`${this.name} was not ready within ${timeoutMs / 1_000} s; ${this.#problem}`)
  }

  /** Until it listens, or is ready, or the time is up. */
  async waitThere(until: { readonly isReady: boolean; readonly timeoutMs: number }): Promise<void> {
    const untilMs = performance.now() + until.timeoutMs
    const isThere = () => (until.isReady ? this.#isReady : this.#running !== undefined)
    while (!isThere() && performance.now() < untilMs) await pause(10)
  }

  /** False: it is not there at this moment. */
  signal(signal: NodeJS.Signals): boolean {
    this.#running?.signal(signal)
    return this.#running !== undefined
  }

  /** In order; never started again. */
  async end(): Promise<void> {
    this.#isOver = true
    await this.#running?.stop()
    await this.#kept
  }

  async #keep(): Promise<void> {
    while (!this.#isOver) {
      const startedMs = performance.now()
      this.#starts++
      try {
        const running = await this.#options.start()
        this.#running = running
        if (this.#isOver) await running.stop()
        await running.waitReady()
        this.#isReady = true
        this.#options.onReady(performance.now() - startedMs)
        const code = String(await running.exited)
        this.#exits[code] = (this.#exits[code] ?? 0) + 1
      } catch (error) {
        // Refused at its start, or ended before it was ready: the next try.
        const { message } = error as Error
        const [line = ''] = message.split('\n')
        this.#problem = `its last failed start: ${message}`
        this.#exits['at the start'] = (this.#exits['at the start'] ?? 0) + 1
        if (!this.#isOver) this.#options.say(`${this.name}: ${line}`)
      }
      this.#isReady = false
      this.#running = undefined
      await pause(restartPauseMs)
    }
  }
}

/** An issuer that keeps its port and its ledger over kills. */
export class RevivableIssuer {
  readonly name: string
  readonly port: number
  readonly #ledgerFile: string
  #running: RunningIssuer

  private constructor(running: RunningIssuer, ledgerFile: string) {
    this.name = running.name
    this.port = running.port
    this.#running = running
    this.#ledgerFile = ledgerFile
  }

  static async start(name: string, folder: string): Promise<RevivableIssuer> {
    const ledgerFile = path.join(folder, `${name}.ndjson`)
    return new RevivableIssuer(await startIssuer({ name, ledgerFile }), ledgerFile)
  }

  get running(): RunningIssuer {
    return this.#running
  }

  async revive(): Promise<void> {
    const { name, port } = this
    this.#running = await startIssuer({ name, port, ledgerFile: this.#ledgerFile })
  }
}

/** A Redis that comes back on its port, empty. */
export class RevivableRedis {
  readonly port: number
  #running: RunningRedis

  private constructor(running: RunningRedis) {
    this.port = running.port
    this.#running = running
  }

  static async start(): Promise<RevivableRedis> {
    return new RevivableRedis(await startRedis())
  }

  get running(): RunningRedis {
    return this.#running
  }

  async revive(): Promise<void> {
    this.#running = await startRedis({ port: this.port })
  }
}
