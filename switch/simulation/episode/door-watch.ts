// One connection of an acquirer over ISO 8583, as the switch's own door sees it: what came whole must
// be answered within the deadline, or the connection be closed. The line and its troubles are
// outside of it, so nothing that they do to an answer is the switch's fault.

import type { Dialect, Framing, IsoMessage } from '../../iso8583/index.ts'
import type { Timers } from '../../ports.ts'

export interface DoorWatchOptions {
  readonly dialect: Dialect
  readonly framing: Framing
  readonly timers: Timers
  readonly deadlineMs: number
  /** Called where a request is neither answered nor its connection closed. */
  readonly onLate: (message: IsoMessage) => void
}

/** Asked: 0100, 0200 and their repeats. What is told may stay unanswered, and comes again. */
const ASKED = /^0[12]0[01]$/

export class DoorWatch {
  readonly #options: DoorWatchOptions
  readonly #heard: ReturnType<Framing['createSplitter']>
  readonly #said: ReturnType<Framing['createSplitter']>
  /** Requests without an answer, by their numbers. */
  readonly #open = new Map<string, Set<() => void>>()

  constructor(options: DoorWatchOptions) {
    this.#options = options
    const { framing } = options
    const ignore = () => {}
    this.#heard = framing.createSplitter((payload) => this.#take(payload), ignore)
    this.#said = framing.createSplitter((payload) => this.#answer(payload), ignore)
  }

  heard(bytes: Uint8Array): void {
    this.#heard.push(bytes.slice())
  }

  said(bytes: Uint8Array): void {
    this.#said.push(bytes.slice())
  }

  close(): void {
    this.#heard.stop()
    this.#said.stop()
    for (const endings of this.#open.values()) for (const end of endings) end()
    this.#open.clear()
  }

  #take(payload: Uint8Array): void {
    const { dialect, timers, deadlineMs, onLate } = this.#options
    const decoded = dialect.decode(payload)
    if (!decoded.ok || !ASKED.test(decoded.message.mti)) return
    const { message } = decoded
    const key = keyOf(message)
    const endings = this.#open.get(key) ?? new Set()
    this.#open.set(key, endings)
    const timer = timers.set(deadlineMs, () => {
      if (this.#open.get(key)?.has(end) === true) onLate(message)
    })
    const end = () => timers.clear(timer)
    endings.add(end)
  }

  #answer(payload: Uint8Array): void {
    const decoded = this.#options.dialect.decode(payload)
    if (!decoded.ok) return
    const key = keyOf(decoded.message)
    for (const end of this.#open.get(key) ?? []) end()
    this.#open.delete(key)
  }
}

/** 0110 answers 0100 and 0101. */
function keyOf({ mti, fields }: IsoMessage): string {
  return `${mti.slice(0, 2)} ${fields[11]} ${fields[7]}`
}
