// `switchyard load-test`: sets up, runs, balances the books, reports.

import { measure } from './measure.ts'
import { type LoadOptions, readLoadOptions } from './options.ts'
import { ProgressLine } from './progress-line.ts'
import { makeReport, reportText } from './report.ts'

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
  const stop = new AbortController()
  // The first Ctrl-C ends the load and still reports; the second ends at once.
  const onSignal = () => (stop.signal.aborted ? process.exit(130) : stop.abort())
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  try {
    return await runOnce(read.options, stop.signal)
  } finally {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}

async function runOnce(options: LoadOptions, signal: AbortSignal): Promise<number> {
  const progress = new ProgressLine(options)
  try {
    const measured = await measure(options, signal, progress)
    const report = await makeReport(measured)
    progress.end()
    process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : reportText(report))
    return report.void.length > 0 ? 1 : 0
  } finally {
    progress.end()
  }
}
