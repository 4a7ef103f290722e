// `switchyard rules`: what an analyst does with packs before the switch sees them.

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import {
  codeFrame,
  compileRuleSet,
  generatedFiles,
  githubReport,
  lintRuleFiles,
  type RuleFile,
  type RuleProblem,
  readRuleFiles,
  ringSizes,
  runPackTests,
  sarifReport,
} from '#rules'
import { registerRuleLists } from './rule-lists.ts'
import { PROJECT_ROOT } from './run-tool.ts'

const FORMATS = ['text', 'json', 'sarif', 'github'] as const

/**
 * Attempts that a ring keeps of an entity, and the entities that are kept in tiles instead, which
 * have no such bound: RING_BYTES_MAX and IS_TILE of scoring/velocity.
 */
const RING_ATTEMPTS = 48
const TILES = ['ip', 'merchant', 'bin'] as const

interface LintOptions {
  readonly json?: boolean
  readonly format?: string
  readonly notes?: boolean
  readonly strict?: boolean
}

export function registerRules(program: Command): void {
  const rules = program.command('rules').description('check and test rule packs')
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
    .option('--json', 'one object: {ok, passed, failed, results, problems}')
    .addHelpText('after', example('test rules/'))
    .action(async (dir: string | undefined, options: { json?: boolean }) => {
      process.exitCode = await test(directoryOf(dir), options.json === true)
    })
  registerRuleLists(rules, directoryOf)
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
  return `\nExample:\n  $ switchyard rules ${rest}`
}

function directoryOf(dir: string | undefined): string {
  return dir ?? process.env.RULES_DIR ?? path.join(PROJECT_ROOT, 'rules')
}

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
  const problems = lintRuleFiles(files, { rings: ringSizes(RING_ATTEMPTS, TILES) })
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
  else if (format === 'github') process.stdout.write(githubReport(shown, folder))
  else for (const problem of shown) console.log(printProblem(directory, files, problem))
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

async function test(directory: string, asJson: boolean): Promise<number> {
  const files = await filesOf(directory)
  if (files === undefined) return 2
  const { results, problems } = runPackTests(files)
  const errors = problems.filter((problem) => problem.severity === 'error')
  const failed = results.filter((result) => !result.ok).length
  const passed = results.length - failed
  // No test at all is no success: a folder that was named wrongly must not look fine.
  const ok = failed === 0 && errors.length === 0 && results.length > 0
  if (asJson) {
    console.log(JSON.stringify({ ok, passed, failed, results, problems }))
    return ok ? 0 : 1
  }
  for (const problem of errors) console.log(printProblem(directory, files, problem))
  for (const { file, line, name, differences } of results) {
    if (differences.length === 0) continue
    const shown = path.join(path.relative(process.cwd(), directory), file)
    console.log(`${shown}:${line} ${name}`)
    for (const difference of differences) console.log(`    ${difference}`)
  }
  console.error(`${passed} passed, ${failed} failed`)
  return ok ? 0 : 1
}
