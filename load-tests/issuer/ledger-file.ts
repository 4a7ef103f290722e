// The ledger's file: lines gathered by the turn, appended in one write.

import { closeSync, mkdirSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

export class LedgerFile {
  readonly #descriptor: number
  #lines = ''

  private constructor(descriptor: number) {
    this.#descriptor = descriptor
  }

  /** Opens for appending, mode 0600; makes its folder where absent. */
  static open(path: string): LedgerFile {
    mkdirSync(dirname(path), { recursive: true })
    return new LedgerFile(openSync(path, 'a', 0o600))
  }

  /** The whole text so far; empty where there is no file. */
  static read(path: string): string {
    try {
      return readFileSync(path, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
      throw error
    }
  }

  /** Cuts a torn last line off. */
  static cut(path: string, sizeBytes: number): void {
    truncateSync(path, sizeBytes)
  }

  append(line: string): void {
    this.#lines += line
  }

  /**
   * Hands the lines to the system, which keeps them when this process is killed. Not synced: a
   * simulator need not survive the machine.
   */
  flush(): void {
    if (this.#lines === '') return
    let bytes: Uint8Array = Buffer.from(this.#lines)
    this.#lines = ''
    while (bytes.length > 0) bytes = bytes.subarray(writeSync(this.#descriptor, bytes))
  }

  close(): void {
    this.flush()
    closeSync(this.#descriptor)
  }
}
