// `switchyard rules lint`: everything that is wrong with a rules folder, with its place.

import path from 'node:path'
import type { Command } from 'commander'
import {
  compileRuleSet,
  githubReport,
  lintRuleFiles,
  type RuleProblem,
  ringSizes,
  sarifReport,
} from '#rules'
import { RING_ATTEMPTS, TILE_ENTITIES } from '#scoring'
import { FOLDER_ARGUMENT, filesOf, printProblem, rulesFolder } from './rule-folder.ts'

const FORMATS = ['text', 'json', 'sarif', 'github'] as const

interface LintOptions {
  readonly json?: boolean
  readonly format?: string
  readonly notes?: boolean
  readonly strict?: boolean
}

export function registerRulesLint(rules: Command): void {
  rules
    .command('lint')
    .description('say everything that is wrong, with its place')
    .argument('[dir]', FOLDER_ARGUMENT)
    .option('--format <format>', `${FORMATS.join(', ')}`, 'text')
    .option('--json', 'the same as --format json: one object, {ok, hash, rules, problems}')
    .option('--notes', 'print notes too')
    .option('--strict', 'exit 1 on warnings and notes too')
    .addHelpText('after', '\nExample:\n  $ npx switchyard rules lint rules/')
    .action(async (dir: string | undefined, options: LintOptions) => {
      process.exitCode = await lint(rulesFolder(dir), options)
    })
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
  const counted = (severity: RuleProblem['severity']): string =>
    `${count(severity)} ${severity}${count(severity) === 1 ? '' : 's'}`
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
      `${loaded}: ${counted('error')}, ${counted('warning')}, ${counted('note')}${notes}`,
    )
  }
  if (count('error') > 0) return 1
  return options.strict === true && problems.length > 0 ? 1 : 0
}
