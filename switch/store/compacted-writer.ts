// Writes one compacted segment under a draft's name: in pieces, each flushed, so that no flush of
// it holds the log's own back for long.

import type { Disk, DiskFile } from '../ports.ts'
import {
  encodeCompactedHeader,
  encodeTail,
  MANY_KEYS,
  TABLE_STRIDE_BYTES,
} from './compacted-segment.ts'
import { REWRITE_PIECE_BYTES, REWRITE_PIECE_RECORDS } from './limits.ts'
import { FORMAT_VERSION, FRAME_BYTES, frameSeed, writeFrame } from './segment.ts'

/** A record with what its cards are sealed under: a key's id for each. */
export interface RewrittenRecord {
  readonly payload: Uint8Array
  readonly keyIds: readonly number[]
}

export interface CompactedWriterOptions {
  readonly disk: Disk
  readonly name: string
  readonly base: number
  readonly end: number
  readonly logId: Uint8Array
}

export class CompactedWriter {
  readonly #options: CompactedWriterOptions
  readonly #file: DiskFile
  readonly #seed: number
  readonly #table: [relativePosition: number, offset: number][] = []
  #piece = Buffer.allocUnsafe(REWRITE_PIECE_BYTES * 2)
  #pieceBytes = 0
  /** Records that were looked at since the last flush, dropped ones included. */
  #looked = 0
  #cards = 0
  #keyId = 0
  #tableAt = 0
  records = 0

  private constructor(options: CompactedWriterOptions, file: DiskFile) {
    this.#options = options
    this.#file = file
    this.#seed = frameSeed(options.logId)
  }

  /** Begins the draft; one of an earlier try is overwritten. */
  static async start(options: CompactedWriterOptions): Promise<CompactedWriter> {
    const file = await options.disk.open(options.name)
    const { logId, base, end } = options
    if (file.sizeBytes > 0) await file.truncate(0)
    await file.append(encodeCompactedHeader(logId, base, end, FORMAT_VERSION))
    return new CompactedWriter(options, file)
  }

  /** Enough was looked at since the last flush. Each asking counts one record. */
  get isDue(): boolean {
    this.#looked++
    return this.#looked >= REWRITE_PIECE_RECORDS || this.#pieceBytes >= REWRITE_PIECE_BYTES
  }

  add(position: number, { payload, keyIds }: RewrittenRecord): void {
    const bytes = FRAME_BYTES + payload.length
    if (this.#pieceBytes + bytes > this.#piece.length) {
      const larger = Buffer.allocUnsafe(this.#pieceBytes + bytes)
      this.#piece.copy(larger, 0, 0, this.#pieceBytes)
      this.#piece = larger
    }
    const relative = position - this.#options.base
    const offset = this.#file.sizeBytes + this.#pieceBytes
    if (this.records === 0 || offset - this.#tableAt >= TABLE_STRIDE_BYTES) {
      this.#table.push([relative, offset])
      this.#tableAt = offset
    }
    writeFrame(this.#piece, this.#pieceBytes, payload, relative, this.#seed)
    this.#pieceBytes += bytes
    this.records++
    for (const keyId of keyIds) {
      this.#keyId = this.#cards === 0 || this.#keyId === keyId ? keyId : MANY_KEYS
      this.#cards++
    }
  }

  async flush(): Promise<void> {
    this.#looked = 0
    if (this.#pieceBytes === 0) return
    await this.#file.append(this.#piece.subarray(0, this.#pieceBytes))
    this.#pieceBytes = 0
    await this.#file.sync()
  }

  /** Writes what is left, and makes the whole of it durable. */
  async finish(writtenBeforeMs: number): Promise<void> {
    await this.flush()
    const { records } = this
    const facts = { records, cards: this.#cards, keyId: this.#keyId, writtenBeforeMs }
    await this.#file.append(encodeTail(this.#table, facts, this.#seed))
    await this.#file.sync()
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  /** Closes and removes the draft. */
  async abandon(): Promise<void> {
    await this.#file.close()
    await this.#options.disk.remove(this.#options.name)
  }
}
