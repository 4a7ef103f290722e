// A ledger as its issuer wrote it, read line by line: what a run is judged by that was longer than
// the issuer remembers. Only what the books need is kept of each entry.

import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { LedgerEntry, LedgerReversal } from '../issuer/index.ts'

/** What the books read of an entry. */
export type BookedEntry = Pick<
  LedgerEntry,
  'approvalCode' | 'approvedAmount' | 'maskedPan' | 'terminalId' | 'reversals'
>

interface RequestLine {
  readonly event: 'request'
  readonly sequence: number
  readonly key: string
  readonly approvalCode: string | null
  readonly approvedAmount: number
  readonly maskedPan: string
  readonly terminalId: string
}

interface ReversalLine extends Omit<LedgerReversal, 'repeats'> {
  readonly event: 'reversal'
  readonly original: string
}

/** One object for all entries that nobody reversed. */
const none: LedgerReversal[] = []

/**
 * The approvals after a sequence number; declines have nothing to balance. A reversal that came
 * before its request made the issuer decline it, so it needs no entry.
 */
export async function readLedgerLines(file: string, after: number): Promise<BookedEntry[]> {
  const entries: BookedEntry[] = []
  const byKey = new Map<string, number>()
  const texts = new Map<string, string>()
  // Millions of lines name few cards' masks and terminals: each text is kept once.
  const once = (text: string) => {
    const known = texts.get(text)
    if (known !== undefined) return known
    texts.set(text, text)
    return text
  }
  const lines = createInterface({ input: createReadStream(file, 'utf8') })
  for await (const text of lines) {
    const line = JSON.parse(text) as RequestLine | ReversalLine | { readonly event: 'other' }
    if (line.event === 'request' && line.approvalCode !== null && line.sequence > after) {
      byKey.set(line.key, entries.length)
      entries.push({
        approvalCode: line.approvalCode,
        approvedAmount: line.approvedAmount,
        maskedPan: once(line.maskedPan),
        terminalId: once(line.terminalId),
        reversals: none,
      })
    }
    if (line.event !== 'reversal') continue
    const at = byKey.get(line.original)
    const entry = at === undefined ? undefined : entries[at]
    if (entry === undefined) continue
    const { event: _, original: __, ...reversal } = line
    const reversals = entry.reversals === none ? [] : [...entry.reversals]
    reversals.push({ ...reversal, repeats: 0 })
    entries[at as number] = { ...entry, reversals }
  }
  return entries
}
