// `switchyard rules`: what an analyst does with packs before the switch sees them.

import { existsSync, watch, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import {
  type Confusion,
  type Coverage,
  codeFrame,
  compileRuleSet,
  generatedFiles,
  githubReport,
  lintRuleFiles,
  type OutcomeCounts,
  RISK_OUTCOMES,
  type RuleFile,
  type RuleProblem,
  readRuleFiles,
  ringSizes,
  runPackTests,
  sarifReport,
} from '#rules'
import { RING_ATTEMPTS, TILE_ENTITIES } from '#scoring'
import { registerRuleLife } from './rule-life.ts'
import { registerRuleLists } from './rule-lists.ts'
import { registerRulesBacktest } from './rules-backtest.ts'
import { registerRulesDiff } from './rules-diff.ts'
import { registerRulesExplain } from './rules-explain.ts'
import { PROJECT_ROOT } from './run-tool.ts'

const FORMATS = ['text', 'json', 'sarif', 'github'] as const

interface LintOptions {
  readonly json?: boolean
  readonly format?: string
  readonly notes?: boolean
  readonly strict?: boolean
}

interface TestOptions {
  readonly json?: boolean
  readonly coverage?: boolean
  readonly watch?: boolean
}

export function registerRules(program: Command): void {
  const rules = program.command('rules').description('check, test, try and roll back rules')
  const folder = 'a rules folder with packs/ and lists/ (default: RULES_DIR, or the shipped one)'
  rules
    .command('lint')
    .description('say everything that is wrong, with its place')
    .argument('[dir]', folder)
    .option('--format <format>', `${FORMATS.join(', ')}`, 'text')
    .option('--json', 'the same as --format json: one object, {ok, hash, rules, problems}')
    .option('--notes', 'print notes too')
    .option('--strict', 'exit 1 on warnings and notes too')
    .addHelpText('after', example('lint rules/'))
    .action(async (dir: string | undefined, options: LintOptions) => {
      process.exitCode = await lint(directoryOf(dir), options)
    })
  rules
    .command('test')
    .description("run the packs' own tests, packs/*.test.yaml")
    .argument('[dir]', folder)
    .option('--json', 'one object: {ok, passed, failed, results, problems, coverage, confusion}')
    .option('--coverage', 'name the rules and clauses that no test reaches')
    .option('--watch', 'run again whenever a file of the folder changes, until interrupted')
    .addHelpText('after', example('test rules/ --watch'))
    .action(async (dir: string | undefined, options: TestOptions) => {
      const directory = directoryOf(dir)
      process.exitCode = await test(directory, options)
      if (options.watch === true && process.exitCode !== 2) await watchFolder(directory, options)
    })
  registerRuleLists(rules, directoryOf)
  registerRuleLife(rules)
  registerRulesBacktest(rules)
  registerRulesDiff(rules)
  registerRulesExplain(rules)
  rules
    .command('generate')
    .description("write the editors' JSON Schemas and the page of the language into rules/")
    .addHelpText('after', example('generate'))
    .action(() => {
      for (const { name, text } of generatedFiles()) {
        writeFileSync(path.join(PROJECT_ROOT, 'rules', name), text)
        console.error(`rules/${name}`)
      }
    })
}

function example(rest: string): string {
  return `\nExample:\n  $ npx switchyard rules ${rest}`
}

function directoryOf(dir: string | undefined): string {
  return dir ?? process.env.RULES_DIR ?? path.join(PROJECT_ROOT, 'rules')
}

const TEST_FILE = /\.test\.ya?ml$/

/** The folder's files, or undefined after saying why not. */
async function filesOf(directory: string): Promise<readonly RuleFile[] | undefined> {
  try {
    return await readRuleFiles(directory)
  } catch (error) {
    console.error(`can't read ${directory}: ${(error as Error).message}`)
    return undefined
  }
}

async function lint(directory: string, options: LintOptions): Promise<number> {
  const format = FORMATS.find((known) => known === (options.json ? 'json' : options.format))
  if (format === undefined) {
    console.error(`--format is one of ${FORMATS.join(', ')}`)
    return 2
  }
  const files = await filesOf(directory)
  if (files === undefined) return 2
  const problems = lintRuleFiles(files, { rings: ringSizes(RING_ATTEMPTS, TILE_ENTITIES) })
  const count = (severity: RuleProblem['severity']): number =>
    problems.filter((problem) => problem.severity === severity).length
  const compiled = compileRuleSet(files)
  const rules = compiled.ok ? compiled.ruleSet.rules.length : null
  const hash = compiled.ok ? compiled.ruleSet.hash : null
  const shown = problems.filter(({ severity }) => severity !== 'note' || options.notes === true)
  const folder = path.relative(process.cwd(), directory).split(path.sep).join('/')
  if (format === 'json') {
    console.log(JSON.stringify({ ok: count('error') === 0, hash, rules, problems }))
  } else if (format === 'sarif') console.log(sarifReport(problems, folder))
  else if (format === 'github') {
    if (shown.length > 0) console.log(githubReport(shown, folder).trimEnd())
  } else for (const problem of shown) console.log(printProblem(directory, files, problem))
  if (format === 'text') {
    const loaded = hash === null ? 'not loaded' : `${rules} rules, hash ${hash}`
    const notes = options.notes === true ? '' : ' (--notes shows them)'
    console.error(
      `${loaded}: ${count('error')} errors, ${count('warning')} warnings, ${count('note')} notes${notes}`,
    )
  }
  if (count('error') > 0) return 1
  return options.strict === true && problems.length > 0 ? 1 : 0
}

function printProblem(directory: string, files: readonly RuleFile[], problem: RuleProblem): string {
  const { file, line, column, severity, code, message } = problem
  const shown = path.join(path.relative(process.cwd(), directory), file)
  const text = files.find((candidate) => candidate.name === file)?.text ?? ''
  // A frame would print the number that must not be printed.
  const frame = code === 'card_number' ? '' : codeFrame(problem, text)
  return `${shown}:${line}:${column} ${severity} ${code}: ${message}\n${frame}`
}

async function test(directory: string, options: TestOptions): Promise<number> {
  const files = await filesOf(directory)
  if (files === undefined) return 2
  const report = runPackTests(files)
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

/** Runs the tests again after every change, until the process is interrupted. */
async function watchFolder(directory: string, options: TestOptions): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<unknown> = Promise.resolve()
  const changed = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      running = running.then(async () => {
        console.error(`\n${new Date().toISOString()}`)
        process.exitCode = await test(directory, options)
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
