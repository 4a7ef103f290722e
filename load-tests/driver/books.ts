// Do the books balance? The acquirer's answers are held against the issuers' own ledgers:
//
// every approval that stands at an issuer is known to the acquirer by exactly one approved answer;
//
//   every other approval was undone by exactly one reversal;
//   every approved answer has its approval, of the same card, terminal and amount, and it stands.

import { isLive, type LedgerEntry } from '../issuer/index.ts'
import type { BookedEntry } from './ledger-lines.ts'
import { discrepanciesNamedMax } from './limits.ts'

/** An approved answer as the acquirer got it, with what it had asked for. */
export interface ApprovedAnswer {
  readonly idempotencyKey: string
  readonly issuer: string
  readonly approvalCode: string
  /** Minor units: what the answer says was approved. */
  readonly amount: number
  readonly terminalId: string
  readonly maskedPan: string
  /** Approved by the switch for the issuer: no approval of the issuer's is expected. */
  readonly standIn: boolean
}

export type DiscrepancyKind =
  /** The acquirer was told approved; the issuer has no such approval. */
  | 'approved_without_approval'
  /** The acquirer was told approved; the issuer's approval was reversed. */
  | 'approved_but_reversed'
  /** Two approved answers rest on one approval. */
  | 'approval_answered_twice'
  /** The approval is of another card, terminal or amount: an answer crossed. */
  | 'answer_crossed'
  /** Stands at the issuer; no acquirer knows. */
  | 'approval_unknown_to_acquirer'
  /** Several reversals, with different numbers, of one approval. */
  | 'reversed_more_than_once'

export interface Discrepancy {
  readonly kind: DiscrepancyKind
  readonly issuer: string
  readonly approvalCode: string
  /** Absent where only the issuer knows of it. */
  readonly idempotencyKey?: string
}

export interface Books {
  readonly balanced: boolean
  readonly approvedAnswers: number
  readonly approvals: number
  readonly liveApprovals: number
  readonly reversedApprovals: number
  readonly counts: Readonly<Partial<Record<DiscrepancyKind, number>>>
  /** The first of them, by name. */
  readonly discrepancies: readonly Discrepancy[]
}

/** One issuer's ledger, of the time of the run. */
export interface IssuerLedger<Entry = LedgerEntry> {
  readonly issuer: string
  readonly entries: readonly Entry[]
}

/**
 * Compares both sides. Amount 0 (inquiries) holds no money and is left out at the issuer. `namedMax`
 * discrepancies are named, the rest is counted.
 */
export function balanceBooks(
  answers: Iterable<ApprovedAnswer>,
  ledgers: readonly IssuerLedger<BookedEntry>[],
  namedMax = discrepanciesNamedMax,
): Books {
  const counts: Partial<Record<DiscrepancyKind, number>> = {}
  const discrepancies: Discrepancy[] = []
  const found = (kind: DiscrepancyKind, issuer: string, code: string, key?: string) => {
    counts[kind] = (counts[kind] ?? 0) + 1
    if (discrepancies.length >= namedMax) return
    const named = { kind, issuer, approvalCode: code }
    discrepancies.push(key === undefined ? named : { ...named, idempotencyKey: key })
  }

  const approvals = new Map<string, BookedEntry>()
  for (const { issuer, entries } of ledgers) {
    for (const entry of entries) {
      if (entry.approvalCode !== null) approvals.set(`${issuer} ${entry.approvalCode}`, entry)
    }
  }

  const known = new Set<string>()
  let approvedAnswers = 0
  for (const answer of answers) {
    approvedAnswers++
    const key = `${answer.issuer} ${answer.approvalCode}`
    // Approved in the issuer's place: its advice may still be on its way.
    if (answer.standIn && !approvals.has(key)) continue
    const kind = judgeAnswer(answer, approvals.get(key), known.has(key))
    if (kind !== undefined) {
      found(kind, answer.issuer, answer.approvalCode, answer.idempotencyKey)
    }
    known.add(key)
  }

  let live = 0
  let reversed = 0
  for (const [key, entry] of approvals) {
    if (entry.approvedAmount === 0) continue
    const issuer = key.slice(0, key.lastIndexOf(' '))
    const code = entry.approvalCode as string
    if (isLive(entry)) {
      live++
      if (!known.has(key)) found('approval_unknown_to_acquirer', issuer, code)
    } else {
      reversed++
    }
    const whole = entry.reversals.filter(({ releasedAmount }) => releasedAmount === undefined)
    if (whole.length > 1) found('reversed_more_than_once', issuer, code)
  }

  return {
    balanced: Object.keys(counts).length === 0,
    approvedAnswers,
    approvals: live + reversed,
    liveApprovals: live,
    reversedApprovals: reversed,
    counts,
    discrepancies,
  }
}

function judgeAnswer(
  answer: ApprovedAnswer,
  approval: BookedEntry | undefined,
  isKnown: boolean,
): DiscrepancyKind | undefined {
  if (approval === undefined) return 'approved_without_approval'
  if (isKnown) return 'approval_answered_twice'
  const isSame =
    approval.maskedPan === answer.maskedPan &&
    approval.terminalId === answer.terminalId &&
    approval.approvedAmount === answer.amount
  if (!isSame) return 'answer_crossed'
  return approval.approvedAmount === 0 || isLive(approval) ? undefined : 'approved_but_reversed'
}
