// Port: where the positions of older records are kept, so that a start need not read the whole log.
// A cache in every sense: the log can rebuild it, so nothing in it is ever flushed on the way.

export interface IndexPut {
  readonly key: string
  /** Null removes the key. */
  readonly value: Uint8Array | null
}

export interface IndexEntry {
  readonly key: string
  readonly value: Uint8Array
}

export interface RecordIndex {
  /** Synchronous; the bytes are the caller's to keep. */
  get(key: string): Uint8Array | undefined
  /** Entries whose key begins with `prefix`, by key; at most `limit`. */
  list(prefix: string, limit: number, order: 'ascending' | 'descending'): readonly IndexEntry[]
  /**
   * Resolves when all of the puts are seen by `get`; never a part of them, not even after the
   * process was killed. One caller at a time.
   */
  write(puts: readonly IndexPut[]): Promise<void>
  /** Forgets everything. */
  clear(): Promise<void>
  /** Makes what was written outlive a restart of the machine, and closes. */
  close(): Promise<void>
}

/** The index of a simulation or a test: as fast, and gone with the process. */
export class MemoryRecordIndex implements RecordIndex {
  readonly #values = new Map<string, Uint8Array>()

  get size(): number {
    return this.#values.size
  }

  get(key: string): Uint8Array | undefined {
    return this.#values.get(key)
  }

  list(prefix: string, limit: number, order: 'ascending' | 'descending'): readonly IndexEntry[] {
    const keys = [...this.#values.keys()].filter((key) => key.startsWith(prefix)).sort()
    if (order === 'descending') keys.reverse()
    return keys.slice(0, limit).map((key) => ({ key, value: this.#values.get(key) as Uint8Array }))
  }

  async write(puts: readonly IndexPut[]): Promise<void> {
    for (const { key, value } of puts) {
      if (value === null) this.#values.delete(key)
      else this.#values.set(key, value)
    }
  }

  async clear(): Promise<void> {
    this.#values.clear()
  }

  async close(): Promise<void> {
    // Kept: a test opens the same index again, as after a restart of the process.
  }
}
