// What a chaos run says at its end: what was done when, how long recovery took, what differs.

import { type Audit, DISCREPANCIES, type DiscrepancyKind } from './audit.ts'
import type { FaultName, StoreKind } from './faults.ts'
import type { RecoveryTimes } from './recoveries.ts'

export interface InjectedFault {
  readonly fault: FaultName
  /** What it was done to. */
  readonly part: string
  /** From the first message on. */
  readonly atSeconds: number
  readonly seconds: number
}

export interface StoreRun {
  readonly store: StoreKind
  readonly ratePerSecond: number
  readonly offeredSeconds: number
  readonly faults: readonly InjectedFault[]
  readonly skipped: readonly { readonly fault: FaultName; readonly why: string }[]
  readonly recoveries: Readonly<Record<string, RecoveryTimes>>
  /** How often each switch ended, by exit code; 137 is a kill. */
  readonly exits: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** Answers other than 200, by status and code. */
  readonly refusals: Readonly<Record<string, number>>
  readonly interrupted: boolean
  readonly audit: Audit
}

export interface ChaosReport {
  readonly seed: number
  /** Nothing differs, in any of the runs. */
  readonly ok: boolean
  readonly runs: readonly StoreRun[]
  /** Not judged: something did not come back. */
  readonly failedRuns: readonly { readonly store: StoreKind; readonly why: string }[]
  readonly skippedStores: readonly { readonly store: StoreKind; readonly why: string }[]
}

/** The report for a person. */
export function reportText(report: ChaosReport): string {
  const { seed, runs, failedRuns, skippedStores } = report
  const lines = [`seed ${seed}`]
  for (const run of runs) lines.push('', ...linesOf(run))
  for (const { store, why } of failedRuns) lines.push('', `${store}: NOT JUDGED, ${why}`)
  for (const { store, why } of skippedStores) lines.push('', `${store}: SKIPPED, ${why}`)
  if (runs.length === 0) lines.push('', 'nothing was run')
  else lines.push('', verdictOf(report))
  return `${lines.join('\n')}\n`
}

function verdictOf({ ok, runs }: ChaosReport): string {
  if (ok) return 'nothing lost, nothing doubled'
  return runs.every(({ audit }) => audit.isClean) ? 'NOT ALL WAS JUDGED' : 'THE BOOKS DIFFER'
}

function linesOf(run: StoreRun): string[] {
  const { store, ratePerSecond, offeredSeconds, faults, audit } = run
  return [
    `${store === 'embedded' ? 'embedded store' : 'two switches on one PostgreSQL'}: ` +
      `${ratePerSecond}/s for ${offeredSeconds} s${run.interrupted ? ', interrupted' : ''}`,
    `  ${faults.length} faults`,
    ...faults.map(
      ({ fault, part, atSeconds, seconds }) =>
        `    ${atSeconds.toFixed(1).padStart(7)} s  ${fault.padEnd(23)} ${part}, ${seconds} s`,
    ),
    ...run.skipped.map(({ fault, why }) => `    skipped  ${fault.padEnd(23)} ${why}`),
    '  recovery, ms                                              times   median      max',
    ...Object.entries(run.recoveries).map(
      ([name, { count, medianMs, maxMs, notSeen }]) =>
        `    ${name.padEnd(56)}${String(count).padStart(5)}${String(medianMs).padStart(9)}` +
        `${String(maxMs).padStart(9)}${notSeen === 0 ? '' : `   (${notSeen} not seen)`}`,
    ),
    `  ends of processes      ${countsText(Object.entries(run.exits).map(([n, e]) => [n, countsText(Object.entries(e))]))}`,
    `  answers other than 200 ${countsText(Object.entries(run.refusals))}`,
    ...auditLines(audit),
  ]
}

function auditLines(audit: Audit): string[] {
  const { asked, approved, declined, sameAnswers, transactions, waitingOut } = audit
  const { approvalsAtIssuers, liveAtIssuers, reversedAtIssuers } = audit
  const lines = [
    `  acquirer   ${asked} asked, ${approved} approved, ${declined} declined; ` +
      `${sameAnswers} retries got the same bytes`,
    `  store      ${transactions} transactions`,
    `  issuers    ${approvalsAtIssuers} approvals: ${liveAtIssuers} stand, ` +
      `${reversedAtIssuers} reversed`,
  ]
  if (waitingOut > 0) {
    lines.push(
      `             ${waitingOut} reversals of what never reached its issuer are repeated until no ` +
        'late approval can come (--until-empty waits for them)',
    )
  }
  for (const [kind, count] of Object.entries(audit.counts)) {
    lines.push(`  ${count} x ${kind}: ${DISCREPANCIES[kind as DiscrepancyKind]}`)
  }
  for (const { kind, about, detail } of audit.discrepancies) {
    lines.push(`    ${kind}  ${about}  ${detail}`)
  }
  lines.push(audit.isClean ? '  no discrepancy' : '')
  return lines.filter((line) => line !== '')
}

function countsText(counts: readonly (readonly [string, unknown])[]): string {
  const list = counts.map(([name, count]) => `${name}: ${count}`)
  return list.length === 0 ? 'none' : list.join(', ')
}
