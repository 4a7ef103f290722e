// `switchyard bench`: runs the suites of bench/, each in a process of its own.

import { readdirSync } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import { PROJECT_ROOT, runNode } from './run-tool.ts'

const BENCH = path.join(PROJECT_ROOT, 'bench')

export function registerBench(program: Command): void {
  program
    .command('bench')
    .description('measure the hot functions, one process a suite')
    .argument('[filter...]', 'only suites whose path contains one of these')
    .option('--json', 'a line a case: {name, opsPerSecond, p50Micros, p99Micros, samples}')
    .addHelpText(
      'after',
      '\nExample:\n  $ npx switchyard bench velocity\n  $ npx switchyard bench --json',
    )
    .action(async (filters: string[], options: { json?: boolean }) => {
      process.exitCode = await runBenches(filters, options.json === true)
    })
}

async function runBenches(filters: readonly string[], asJson: boolean): Promise<number> {
  const suites = readdirSync(BENCH, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.bench.ts'))
    .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
    .sort()
  if (suites.length === 0) {
    console.error('no suite matches: nothing was measured')
    return 2
  }
  let worst = 0
  for (const suite of suites) {
    console.error(`bench/${suite}`)
    const file = path.join(BENCH, suite)
    const args = ['--import', import.meta.resolve('tsx'), '--expose-gc', file]
    worst = Math.max(worst, await runNode(asJson ? [...args, '--json'] : args))
  }
  return worst === 0 ? 0 : 1
}
