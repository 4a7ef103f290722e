// `switchyard load-test`: sets up, runs, balances the books, reports.

import { againstText, isBalanced, runAgainst } from './against.ts'
import { compareCommand } from './compare.ts'
import { measure, measureWhere } from './measure.ts'
import { type LoadOptions, readLoadOptions } from './options.ts'
import { ProgressLine } from './progress-line.ts'
import { makeReport, measuredTally, reportText } from './report.ts'
import { describeRun, writeReport } from './report-files.ts'
import { runSweep, sweepText } from './sweep.ts'
import { whereText } from './where.ts'

/** Runs the command; the exit code: 0 fine, 1 void, 2 wrong use. */
export async function loadTest(args: readonly string[]): Promise<number> {
  const read = readLoadOptions(args)
  if (read.kind === 'help') {
    process.stdout.write(read.text)
    return 0
  }
  if (read.kind === 'wrong') {
    process.stderr.write(`${read.message}\n(--help says what there is)\n`)
    return 2
  }
  if (read.kind === 'compare') return compareCommand(read.one, read.other, read.json)
  const stop = new AbortController()
  // The first Ctrl-C ends the load and still reports; the second ends at once.
  const onSignal = () => (stop.signal.aborted ? process.exit(130) : stop.abort())
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  try {
    return await runOnce(read.options, args, stop.signal)
  } finally {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}

async function runOnce(
  options: LoadOptions,
  args: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const progress = new ProgressLine(options)
  const { against, sweep, turns, json } = options
  try {
    if (against !== undefined) {
      const result = await runAgainst(against, turns, options, signal, progress)
      progress.end()
      process.stdout.write(json ? `${JSON.stringify(result)}\n` : againstText(result))
      return isBalanced(result) ? 0 : 1
    }
    if (sweep !== undefined) {
      const rows = await runSweep(sweep, turns, options, signal, progress)
      progress.end()
      const { of } = sweep
      process.stdout.write(json ? `${JSON.stringify({ of, rows })}\n` : sweepText(of, rows))
      return rows.every((row) => row.void.length === 0) ? 0 : 1
    }
    if (options.where) {
      const where = await measureWhere(options, signal, progress)
      progress.end()
      process.stdout.write(json ? `${JSON.stringify(where)}\n` : whereText(where))
      return 0
    }
    const measured = await measure(options, signal, progress)
    const report = await makeReport(measured)
    if (options.reportFolder !== undefined) {
      progress.say('writing the report')
      const latency = measuredTally(measured.result).latencyMicros
      const made = await describeRun(args)
      const { notes } = await writeReport(options.reportFolder, report, latency, made)
      for (const note of notes) progress.say(note)
    }
    progress.end()
    process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : reportText(report))
    return report.void.length > 0 ? 1 : 0
  } finally {
    progress.end()
  }
}
