// Under which keys the sealed cards of a log are, read from the log alone, also beside a running
// switch. A compacted segment says it at its end; any other is read.

import type { Disk } from '../ports.ts'
import { openForReading } from './audit.ts'
import { MANY_KEYS } from './compacted-segment.ts'
import { changeCards, decodeRecord } from './log-record.ts'
import { endOf, type LogProblem } from './segment-log.ts'

export type CardUse =
  | {
      readonly ok: true
      /** Sealed cards by the id of their key; keys without any are absent. */
      readonly cards: ReadonlyMap<number, number>
    }
  | { readonly ok: false; readonly problem: LogProblem }

/** Counts every sealed card. Rejects with the disk's error. */
export async function countCards(
  disk: Disk,
  onProgress: (bytesRead: number, bytesInAll: number) => void = () => {},
): Promise<CardUse> {
  const opened = await openForReading(disk)
  if (!opened.ok) return opened
  const { log } = opened
  const cards = new Map<number, number>()
  const count = (keyId: number, more: number) => {
    if (more > 0) cards.set(keyId, (cards.get(keyId) ?? 0) + more)
  }
  const segments = log.all
  let bytesInAll = 0
  for (const { sizeBytes } of segments) bytesInAll += sizeBytes
  let bytesRead = 0
  try {
    for (const segment of segments) {
      const { compacted, base, sizeBytes } = segment
      if (compacted !== null && compacted.keyId !== MANY_KEYS) {
        count(compacted.keyId, compacted.cards)
      } else {
        const visit = (_: number, payload: Uint8Array) => {
          changeCards(decodeRecord(payload), (card) => {
            count(card.keyId, 1)
            return card
          })
          return undefined
        }
        const problem = await log.scan(base, visit, endOf(segment))
        if (problem !== undefined) return { ok: false, problem }
      }
      bytesRead += sizeBytes
      onProgress(bytesRead, bytesInAll)
    }
    return { ok: true, cards }
  } finally {
    await log.close()
  }
}
