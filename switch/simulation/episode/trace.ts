// What happened, as lines; and a hash of them, by which two runs are the same or not.

export interface TraceOptions {
  readonly clock: { monotonic(): number }
  /** Keep the lines; otherwise only their hash. */
  readonly keepsLines: boolean
}

export class Trace {
  readonly lines: string[] = []
  readonly #options: TraceOptions
  #first = 0x811c9dc5
  #second = 0x1b873593

  constructor(options: TraceOptions) {
    this.#options = options
  }

  /** 64 bits in hex over every line so far (two FNV-1a of unlike starts). */
  get hash(): string {
    const hex = (word: number) => (word >>> 0).toString(16).padStart(8, '0')
    return hex(this.#first) + hex(this.#second)
  }

  add(text: string): void {
    const atMs = Math.round(this.#options.clock.monotonic() * 1000) / 1000
    const line = `${atMs} ${text}`
    for (let i = 0; i < line.length; i++) {
      const code = line.charCodeAt(i)
      this.#first = Math.imul(this.#first ^ code, 0x01000193)
      this.#second = Math.imul(this.#second ^ code, 0x5bd1e995)
    }
    if (this.#options.keepsLines) this.lines.push(line)
  }
}
