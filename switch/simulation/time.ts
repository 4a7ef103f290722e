// Virtual time: a clock that moves only when told, and timers that fire in its order.
//
// Between two timers the code under simulation must come to rest, and a program can't see its own
// microtask queue; so whoever runs the simulation hands in `settle`, which in Node.js is a promise
// of setImmediate: it resolves after every promise that was ready has run.

import type { Clock, Timers } from '../ports.ts'

export interface VirtualTime {
  readonly clock: Clock
  readonly timers: Timers
  /** Timers set and neither fired nor cleared. */
  readonly pendingTimers: number
  /** Lets `durationMs` pass: every timer due in it fires, in order of time, then of setting. */
  advance(durationMs: number): Promise<void>
  /** Moves on to the next timer. False: there was none. */
  step(): Promise<boolean>
  /** Moves the wall clock alone, forward or back, as an operator or NTP would. */
  stepWallClock(byMs: number): void
}

export interface VirtualTimeOptions {
  /** Wall-clock time at the start, milliseconds since 1970. */
  readonly startMs: number
  /** Resolves when all that can run without a timer has run. */
  readonly settle: () => Promise<void>
}

interface VirtualTimer {
  readonly atMs: number
  readonly order: number
  readonly callback: () => void
  /** Position in the heap; -1: fired or cleared. */
  heapIndex: number
}

export function createVirtualTime(options: VirtualTimeOptions): VirtualTime {
  const heap: VirtualTimer[] = []
  let elapsedMs = 0
  let wallOffsetMs = options.startMs
  let nextOrder = 0

  const fireNext = async () => {
    const timer = heap[0] as VirtualTimer
    removeAt(heap, 0)
    if (timer.atMs > elapsedMs) elapsedMs = timer.atMs
    timer.callback()
    await options.settle()
  }

  return {
    clock: {
      now: () => Math.floor(wallOffsetMs + elapsedMs),
      monotonic: () => elapsedMs,
    },
    timers: {
      set(delayMs, callback) {
        const atMs = elapsedMs + Math.max(0, delayMs)
        const timer: VirtualTimer = { atMs, order: nextOrder++, callback, heapIndex: heap.length }
        heap.push(timer)
        siftUp(heap, timer.heapIndex)
        return timer
      },
      clear(handle) {
        const timer = handle as VirtualTimer
        if (timer.heapIndex >= 0) removeAt(heap, timer.heapIndex)
      },
    },
    get pendingTimers() {
      return heap.length
    },
    async advance(durationMs) {
      const untilMs = elapsedMs + durationMs
      await options.settle()
      while (heap[0] !== undefined && heap[0].atMs <= untilMs) await fireNext()
      elapsedMs = untilMs
    },
    async step() {
      await options.settle()
      if (heap.length === 0) return false
      await fireNext()
      return true
    },
    stepWallClock(byMs) {
      wallOffsetMs += byMs
    },
  }
}

function isBefore(a: VirtualTimer, b: VirtualTimer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

function place(heap: VirtualTimer[], timer: VirtualTimer, index: number): void {
  heap[index] = timer
  timer.heapIndex = index
}

function siftUp(heap: VirtualTimer[], from: number): void {
  const timer = heap[from] as VirtualTimer
  let index = from
  while (index > 0) {
    const parentIndex = (index - 1) >> 1
    const parent = heap[parentIndex] as VirtualTimer
    if (!isBefore(timer, parent)) break
    place(heap, parent, index)
    index = parentIndex
  }
  place(heap, timer, index)
}

function siftDown(heap: VirtualTimer[], from: number): void {
  const timer = heap[from] as VirtualTimer
  let index = from
  for (;;) {
    const left = 2 * index + 1
    if (left >= heap.length) break
    const right = left + 1
    const leftTimer = heap[left] as VirtualTimer
    const rightTimer = heap[right]
    const useRight = rightTimer !== undefined && isBefore(rightTimer, leftTimer)
    const child = useRight ? rightTimer : leftTimer
    if (!isBefore(child, timer)) break
    place(heap, child, index)
    index = useRight ? right : left
  }
  place(heap, timer, index)
}

function removeAt(heap: VirtualTimer[], index: number): void {
  const removed = heap[index] as VirtualTimer
  const last = heap.pop() as VirtualTimer
  removed.heapIndex = -1
  if (last === removed) return
  place(heap, last, index)
  siftUp(heap, index)
  siftDown(heap, last.heapIndex)
}
