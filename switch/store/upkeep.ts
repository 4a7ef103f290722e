// Keeps the log from growing for ever, beside the traffic: drops what is past its retention, erases
// cards that are, brings cards under the newest key, and watches the room on the disk.
//
//   look ──> a run of segments is due ──> rewrite it, piece by piece ──> index forgets what goes
//    ^                                                                          │
//    └───────────── the new segment has their place <── one rename <────────────┘
//
// Nothing here can end writing: what fails is tried again at a later look. A crash at any point
// leaves the old segments or the new one, whole (`segment-log.ts`).

import type { Clock, TimerHandle, Timers } from '../ports.ts'
import { MANY_KEYS, SPAN_BYTES_MAX } from './compacted-segment.ts'
import type { Directory } from './directory.ts'
import { decodeRecord, timeOfRecord } from './log-record.ts'
import { type CardKeys, RecordKeeper, type Retention } from './retention.ts'
import { endOf, type Segment, type SegmentLog } from './segment-log.ts'

export interface UpkeepOptions {
  /** Transactions are kept for so long. */
  readonly retentionMs: number
  /** And never for less, however little room there is. */
  readonly retentionMinMs: number
  /** Sealed cards are kept for so long. */
  readonly panRetentionMs: number
  /** The oldest records go before their time where the log has more bytes. */
  readonly bytesKeptMax: number
  /** Less room than this on the disk is too little to take traffic. */
  readonly freeBytesMin: number
  /** The newest segment is closed at this age, so that what it holds can be rewritten one day. */
  readonly segmentMsMax: number
  /** Between two looks. */
  readonly everyMs: number
  /** Between two pieces of a rewriting. */
  readonly pauseMs: number
  readonly keys?: CardKeys
  /** Room that is left where the log is; absent where nobody can say. */
  readonly freeBytes?: () => Promise<number>
  readonly onEvent?: (event: UpkeepEvent) => void
}

export type UpkeepEvent =
  | {
      readonly kind: 'compacted'
      readonly segments: number
      readonly bytesBefore: number
      readonly bytesAfter: number
      readonly droppedTransactions: number
      readonly erasedCards: number
      readonly resealedCards: number
    }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'room_low' | 'room_enough'; readonly freeBytes: number }

export interface UpkeepParts {
  readonly log: SegmentLog
  readonly directory: Directory
  readonly clock: Clock
  readonly timers: Timers
  readonly segmentBytes: number
  /** Does something to the log's end while nothing is appended. */
  readonly between: (work: () => Promise<void>) => Promise<void>
  /** Resolves when the index has forgotten what the directory has. */
  readonly forgotten: () => Promise<void>
  readonly isWritable: () => boolean
}

/** What a rewriting could not help (a card that is still needed) is looked at again a day later. */
const AGAIN_MS = 24 * 60 * 60 * 1000
/** Segments' worth of room that a rewriting leaves: it writes one at most. */
const ROOM = 3
/** Room must be a quarter above its least before it counts as enough again. */
const ENOUGH = 1.25

export class Upkeep {
  readonly #options: UpkeepOptions
  readonly #parts: UpkeepParts
  /** Cards in segments before this were sealed by earlier processes, maybe under older keys. */
  readonly #olderKeysBefore: number
  /** By base: when the first record behind a segment was written. */
  readonly #writtenBefore = new Map<number, number>()
  /** By base: not before this time again. */
  readonly #notBefore = new Map<number, number>()
  #timer: TimerHandle | undefined
  #running: Promise<void> | null = null
  #isStopped = false
  #freeBytes: number | null = null
  #isRoomLow = false

  constructor(options: UpkeepOptions, parts: UpkeepParts) {
    this.#options = options
    this.#parts = parts
    this.#olderKeysBefore = options.keys?.isRotating === true ? parts.log.endPosition : 0
  }

  get freeBytes(): number | null {
    return this.#freeBytes
  }

  get isRoomLow(): boolean {
    return this.#isRoomLow
  }

  /** Looks now and then from now on; the first look at the room is had when this resolves. */
  async start(): Promise<void> {
    try {
      await this.#look()
    } catch (error) {
      this.#say(error)
    }
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isStopped) return
    this.#timer = this.#parts.timers.set(this.#options.everyMs, () => {
      void this.tend().then(() => this.#schedule())
    })
  }

  /** Does all that is due. Never rejects: what fails is said by an event. */
  tend(): Promise<void> {
    this.#running ??= this.#tend().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  /** Ends what is under way at its next pause. */
  async stop(): Promise<void> {
    this.#isStopped = true
    if (this.#timer !== undefined) this.#parts.timers.clear(this.#timer)
    await this.#running
  }

  async #tend(): Promise<void> {
    try {
      await this.#look()
      await this.#sealWhereOld()
      for (;;) {
        if (this.#isStopped || !this.#parts.isWritable()) return
        const run = await this.#nextRun()
        if (run === undefined) return
        // A rewriting must not take the last room from the log itself.
        if ((this.#freeBytes ?? Number.POSITIVE_INFINITY) < this.#parts.segmentBytes * ROOM) return
        await this.#rewrite(run)
      }
    } catch (error) {
      this.#say(error)
    }
  }

  #say(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    this.#options.onEvent?.({ kind: 'failed', reason })
  }

  async #look(): Promise<void> {
    const { freeBytes: ask, freeBytesMin, onEvent } = this.#options
    if (ask === undefined) return
    const freeBytes = await ask()
    this.#freeBytes = freeBytes
    const isLow = freeBytes < (this.#isRoomLow ? freeBytesMin * ENOUGH : freeBytesMin)
    if (isLow === this.#isRoomLow) return
    this.#isRoomLow = isLow
    onEvent?.({ kind: isLow ? 'room_low' : 'room_enough', freeBytes })
  }

  async #sealWhereOld(): Promise<void> {
    const { log, clock, between } = this.#parts
    const base = log.newestBase
    const begunAtMs = await this.#firstTime(base)
    const isOld = clock.now() - begunAtMs > this.#options.segmentMsMax
    if (isOld || (begunAtMs !== Number.POSITIVE_INFINITY && base < this.#olderKeysBefore)) {
      await between(() => log.seal())
    }
  }

  /** The oldest segments that are due, as many as fit into one. */
  async #nextRun(): Promise<readonly Segment[] | undefined> {
    const { sealed } = this.#parts.log
    const cuts = await this.#cuts()
    const run: Segment[] = []
    for (const segment of sealed) {
      const begunAtMs = await this.#firstTime(segment.base)
      if (this.#areRestYoung(begunAtMs, cuts)) break
      const isDue = this.#isDue(segment, begunAtMs, await this.#timeBehind(segment), cuts)
      if (!isDue && run.length === 0) {
        if (this.#canMerge(segment, sealed)) return [segment, nextOf(segment, sealed) as Segment]
        continue
      }
      if (!isDue || !this.#fits(run, segment)) break
      run.push(segment)
    }
    return run.length === 0 ? undefined : run
  }

  /** From a segment on nothing is due: all is too young, and under the only key there is. */
  #areRestYoung(begunAtMs: number, { expireBeforeMs, eraseBeforeMs }: Cuts): boolean {
    if (begunAtMs === Number.POSITIVE_INFINITY || this.#options.keys?.isRotating === true) {
      return false
    }
    return begunAtMs > Math.max(expireBeforeMs, eraseBeforeMs)
  }

  /**
   * All of it is past its time; or its first record has been for as long as a segment is written,
   * as where the switch stood still meanwhile.
   */
  #isDue(segment: Segment, begunAtMs: number, writtenBeforeMs: number, cuts: Cuts): boolean {
    const { compacted, base } = segment
    if ((this.#notBefore.get(base) ?? 0) > this.#parts.clock.now()) return false
    if (compacted !== null && compacted.records === 0) return false
    const dueFromMs = Math.min(writtenBeforeMs, begunAtMs + this.#options.segmentMsMax)
    if (dueFromMs <= cuts.expireBeforeMs) return true
    const holdsCards = compacted === null || compacted.cards > 0
    if (dueFromMs <= cuts.eraseBeforeMs && holdsCards) return true
    const { keys } = this.#options
    if (keys === undefined || !holdsCards) return false
    if (compacted === null) return base < this.#olderKeysBefore
    return compacted.keyId === MANY_KEYS || compacted.keyId !== keys.currentKeyId
  }

  /** Two small ones that follow each other become one: few files, whatever is kept how long. */
  #canMerge(segment: Segment, sealed: readonly Segment[]): boolean {
    const next = nextOf(segment, sealed)
    if (segment.compacted === null || next === undefined || next.compacted === null) return false
    if ((this.#notBefore.get(segment.base) ?? 0) > this.#parts.clock.now()) return false
    const isSmall = segment.sizeBytes + next.sizeBytes <= this.#parts.segmentBytes / 2
    return isSmall && endOf(next) - segment.base <= SPAN_BYTES_MAX
  }

  #fits(run: readonly Segment[], segment: Segment): boolean {
    const [first] = run
    if (first === undefined) return true
    let bytes = segment.sizeBytes
    for (const { sizeBytes } of run) bytes += sizeBytes
    return bytes <= this.#parts.segmentBytes && endOf(segment) - first.base <= SPAN_BYTES_MAX
  }

  async #cuts(): Promise<Cuts> {
    const { retentionMs, retentionMinMs, panRetentionMs, bytesKeptMax } = this.#options
    const { log, clock } = this.#parts
    const nowMs = clock.now()
    let expireBeforeMs = nowMs - retentionMs
    let bytes = log.bytes
    for (const segment of log.sealed) {
      if (bytes <= bytesKeptMax) break
      bytes -= segment.sizeBytes
      const behindMs = await this.#timeBehind(segment)
      if (behindMs > nowMs - retentionMinMs) break
      expireBeforeMs = Math.max(expireBeforeMs, behindMs + 1)
    }
    return { expireBeforeMs, eraseBeforeMs: nowMs - panRetentionMs }
  }

  /** Everything in the segment was written before; infinite where nothing behind it says when. */
  async #timeBehind(segment: Segment): Promise<number> {
    return segment.compacted?.writtenBeforeMs ?? (await this.#firstTime(endOf(segment)))
  }

  /** When the first record from a position on was written. */
  async #firstTime(position: number): Promise<number> {
    const known = this.#writtenBefore.get(position)
    if (known !== undefined) return known
    let timeMs = Number.POSITIVE_INFINITY
    const { log } = this.#parts
    for (const bytes of [FIRST_BYTES, FURTHER_BYTES]) {
      const to = Math.min(log.endPosition, position + bytes)
      await log.scan(
        position,
        (_, payload) => {
          if (timeMs === Number.POSITIVE_INFINITY) {
            timeMs = timeOfRecord(decodeRecord(payload)) ?? timeMs
          }
          return undefined
        },
        to,
      )
      if (timeMs !== Number.POSITIVE_INFINITY) break
    }
    if (timeMs !== Number.POSITIVE_INFINITY) this.#writtenBefore.set(position, timeMs)
    return timeMs
  }

  async #rewrite(run: readonly Segment[]): Promise<void> {
    const { log, directory, clock, forgotten } = this.#parts
    const first = run[0] as Segment
    const cuts = await this.#cuts()
    let writtenBeforeMs = 0
    let bytesBefore = 0
    for (const segment of run) {
      writtenBeforeMs = Math.max(writtenBeforeMs, await this.#timeBehind(segment))
      bytesBefore += segment.sizeBytes
    }
    const keeper = new RecordKeeper(this.#retention(cuts))
    if (writtenBeforeMs === Number.POSITIVE_INFINITY) writtenBeforeMs = clock.now()
    const logBytes = log.bytes
    const isDone = await log.rewrite({
      run,
      writtenBeforeMs,
      rewrite: (_, payload) => keeper.keep(payload),
      pause: () => this.#pause(),
      beforeSwap: () => {
        directory.forget(keeper.dropped)
        return forgotten()
      },
    })
    if (!isDone) return
    for (const segment of run) {
      this.#notBefore.delete(segment.base)
      this.#writtenBefore.delete(segment.base)
    }
    const made = log.sealed.find(({ base }) => base === first.base)
    const begunAtMs = await this.#firstTime(first.base)
    if (made !== undefined && this.#isDue(made, begunAtMs, writtenBeforeMs, cuts)) {
      this.#notBefore.set(first.base, clock.now() + AGAIN_MS)
    }
    const { dropped, erasedCards, resealedCards } = keeper
    this.#options.onEvent?.({
      kind: 'compacted',
      segments: run.length,
      bytesBefore,
      bytesAfter: Math.max(0, log.bytes - (logBytes - bytesBefore)),
      droppedTransactions: dropped.length,
      erasedCards,
      resealedCards,
    })
  }

  #retention(cuts: Cuts): Retention {
    const { directory } = this.#parts
    return {
      ...cuts,
      leaseEpoch: directory.leaseEpoch,
      keys: this.#options.keys ?? null,
      waiting: directory.awaited('waiting'),
      waitingOrDead: directory.awaited('waiting or dead'),
      claimedAtMs: (id) => directory.peek(id)?.createdAtMs,
    }
  }

  /** Lets the traffic go first. */
  #pause(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#parts.timers.set(this.#options.pauseMs, () => resolve(!this.#isStopped))
    })
  }
}

interface Cuts {
  readonly expireBeforeMs: number
  readonly eraseBeforeMs: number
}

/** Nearly every record says when it was written: the first of these usually does. */
const FIRST_BYTES = 4 * 1024
const FURTHER_BYTES = 2 * 1024 * 1024

function nextOf(segment: Segment, sealed: readonly Segment[]): Segment | undefined {
  return sealed[sealed.indexOf(segment) + 1]
}
