// The rules folder that a command works on, and how its problems are printed.

import { existsSync } from 'node:fs'
import path from 'node:path'
import { codeFrame, type RuleFile, type RuleProblem, readRuleFiles } from '#rules'
import { PROJECT_ROOT } from './run-tool.ts'

/** What the argument or option of a command says of itself. */
export const FOLDER_ARGUMENT =
  'a rules folder with packs/ and lists/ (default: RULES_DIR, or the shipped one)'

/** The rules folder that the switch would read. */
export function rulesFolder(named: string | undefined): string {
  return named ?? process.env.RULES_DIR ?? path.join(PROJECT_ROOT, 'rules')
}

/** The folder's files, or undefined after saying why not. */
export async function filesOf(directory: string): Promise<readonly RuleFile[] | undefined> {
  try {
    return await readRuleFiles(directory)
  } catch (error) {
    console.error(whyUnread(directory, (error as Error).message))
    return undefined
  }
}

/** `message`: what the system says where the folder looks as it should. */
function whyUnread(directory: string, message: string): string {
  if (!existsSync(directory))
    return `there is no ${directory}: name a folder with packs/ and lists/`
  if (existsSync(path.join(directory, 'packs'))) return `can't read ${directory}: ${message}`
  const above = path.join(directory, '..')
  const hint = existsSync(path.join(above, 'packs'))
    ? `the folder above it (${above})`
    : 'one that has packs/ and lists/'
  return `${directory} holds no packs/ folder: name ${hint}`
}

export function printProblem(
  directory: string,
  files: readonly RuleFile[],
  problem: RuleProblem,
): string {
  const { file, line, column, severity, code, message } = problem
  const shown = path.join(path.relative(process.cwd(), directory), file)
  const text = files.find((candidate) => candidate.name === file)?.text ?? ''
  // A frame would print the number that must not be printed.
  const frame = code === 'card_number' ? '' : codeFrame(problem, text)
  return `${shown}:${line}:${column} ${severity} ${code}: ${message}\n${frame}`
}
