// `switchyard rules test`: runs the packs' own tests, once or after every change.

import { existsSync, watch } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import {
  type Confusion,
  type Coverage,
  FilesRead,
  type OutcomeCounts,
  RISK_OUTCOMES,
  runPackTests,
} from '#rules'
import { FOLDER_ARGUMENT, filesOf, printProblem, rulesFolder } from './rule-folder.ts'

const TEST_FILE = /\.test\.ya?ml$/

interface TestOptions {
  readonly json?: boolean
  readonly coverage?: boolean
  readonly watch?: boolean
}

export function registerRulesTest(rules: Command): void {
  rules
    .command('test')
    .description("run the packs' own tests, packs/*.test.yaml")
    .argument('[dir]', FOLDER_ARGUMENT)
    .option('--json', 'one object: {ok, passed, failed, results, problems, coverage, confusion}')
    .option('--coverage', 'name the rules and clauses that no test reaches')
    .option('--watch', 'run again whenever a file of the folder changes, until interrupted')
    .addHelpText('after', '\nExample:\n  $ npx switchyard rules test rules/ --watch')
    .action(async (dir: string | undefined, options: TestOptions) => {
      const directory = rulesFolder(dir)
      const filesRead = new FilesRead()
      process.exitCode = await test(directory, options, filesRead)
      if (options.watch === true && process.exitCode !== 2)
        await watchFolder(directory, options, filesRead)
    })
}

async function test(
  directory: string,
  options: TestOptions,
  filesRead = new FilesRead(),
): Promise<number> {
  const files = await filesOf(directory)
  if (files === undefined) return 2
  const report = runPackTests(files, filesRead)
  filesRead.forgetUnused()
  const { results, problems, coverage, confusion } = report
  const errors = problems.filter((problem) => problem.severity === 'error')
  const failed = results.filter((result) => !result.ok).length
  const passed = results.length - failed
  // No test at all is no success: a folder that was named wrongly must not look fine.
  const ok = failed === 0 && errors.length === 0 && results.length > 0
  if (options.json === true) {
    console.log(JSON.stringify({ ok, passed, failed, results, problems, coverage, confusion }))
    return ok ? 0 : 1
  }
  for (const problem of errors) console.log(printProblem(directory, files, problem))
  for (const { file, line, name, differences } of results) {
    if (differences.length === 0) continue
    const shown = path.join(path.relative(process.cwd(), directory), file)
    console.log(`${shown}:${line} ${name}`)
    for (const difference of differences) console.log(`    ${difference}`)
  }
  if (confusion !== undefined) console.log(printConfusion(confusion))
  printCoverage(directory, coverage, options.coverage === true)
  const unread = new Set(errors.map(({ file }) => file).filter((file) => TEST_FILE.test(file))).size
  const rest = unread === 0 ? '' : `, ${unread} ${unread === 1 ? 'file' : 'files'} not read`
  console.error(`${passed} passed, ${failed} failed${rest}`)
  return ok ? 0 : 1
}

function printCoverage(directory: string, coverage: Coverage, named: boolean): void {
  const { rules, rulesReached, clauses, clausesReached, unreached } = coverage
  const hint = named || unreached.length === 0 ? '' : ' (--coverage names the others)'
  console.error(
    `${rulesReached} of ${rules} rules fire in a test, ${clausesReached} of ${clauses} clauses are seen true and false${hint}`,
  )
  if (!named) return
  for (const { file, line, column, rule, clause, never } of unreached) {
    const shown = path.join(path.relative(process.cwd(), directory), file)
    const what = clause === undefined ? 'never fires' : `never ${never}: ${clause}`
    console.log(`${shown}:${line}:${column} ${rule} ${what}`)
  }
}

function printConfusion({ fraud, genuine, precision, recall }: Confusion): string {
  const row = (name: string, counts: OutcomeCounts): string =>
    name.padEnd(9) + RISK_OUTCOMES.map((outcome) => String(counts[outcome]).padStart(11)).join('')
  const head = ' '.repeat(9) + RISK_OUTCOMES.map((outcome) => outcome.padStart(11)).join('')
  const percent = (ratio: number | null) => (ratio === null ? '-' : `${(100 * ratio).toFixed(1)}%`)
  const stopped = `stopped (challenge or decline): precision ${percent(precision)}, recall ${percent(recall)}`
  return [head, row('fraud', fraud), row('genuine', genuine), stopped].join('\n')
}

/** An editor writes a file in several steps: the tests run when nothing came for this long. */
const SETTLE_MS = 100

/** Runs the tests of what changed again after every change, until the process is interrupted. */
async function watchFolder(
  directory: string,
  options: TestOptions,
  filesRead: FilesRead,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<unknown> = Promise.resolve()
  const changed = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      running = running.then(async () => {
        console.error(`\n${new Date().toISOString()}`)
        process.exitCode = await test(directory, options, filesRead)
      })
    }, SETTLE_MS)
  }
  const folders = ['packs', 'lists'].map((name) => path.join(directory, name)).filter(existsSync)
  const watchers = folders.map((folder) => watch(folder, changed))
  console.error(`watching ${folders.join(', ')}`)
  await new Promise<void>((resolve) => process.once('SIGINT', () => resolve()))
  for (const watcher of watchers) watcher.close()
  clearTimeout(timer)
  await running
}
