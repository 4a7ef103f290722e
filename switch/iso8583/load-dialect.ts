// From the text of a dialect file to compiled code, or to every reason why not.

import { isNode, LineCounter, parseDocument } from 'yaml'
import { compileDialect } from './compile-dialect.ts'
import type { DialectProblem, WordProblem } from './dialect-words.ts'
import { dialectTextMax } from './limits.ts'
import type { Dialect } from './message.ts'
import { readDialectWords } from './read-dialect-words.ts'

export type LoadDialectResult =
  | { readonly ok: true; readonly dialect: Dialect }
  | { readonly ok: false; readonly problems: readonly DialectProblem[] }

/**
 * Reads a dialect written in YAML (or JSON, which is YAML too), checks every word and compiles it.
 * `sourceName` names the file in problems, and the dialect where it has no `name`.
 */
export function loadDialect(text: string, sourceName: string): LoadDialectResult {
  if (text.length > dialectTextMax) {
    const reason = `is longer than ${dialectTextMax} characters`
    return { ok: false, problems: [{ source: sourceName, path: '', line: null, reason }] }
  }
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => ({
      source: sourceName,
      path: '',
      line: lines.linePos(error.pos[0]).line,
      reason: error.message,
    }))
    return { ok: false, problems }
  }
  const place = ({ path, reason }: WordProblem): DialectProblem => {
    const node = path.length === 0 ? document.contents : findNode(document, path)
    const line = isNode(node) && node.range ? lines.linePos(node.range[0]).line : null
    return { source: sourceName, path: path.join('.'), line, reason }
  }
  let words: unknown
  try {
    words = document.toJS()
  } catch (error) {
    // Aliases that multiply: the parser gives up on them by throwing.
    return { ok: false, problems: [place({ path: [], reason: (error as Error).message })] }
  }
  const result = readDialectWords(words, sourceName)
  return 'spec' in result
    ? { ok: true, dialect: compileDialect(result.spec) }
    : { ok: false, problems: result.problems.map(place) }
}

/** One line a problem, for people. */
export function printDialectProblem(problem: DialectProblem): string {
  const place = problem.line === null ? problem.source : `${problem.source}:${problem.line}`
  return problem.path === ''
    ? `${place}: ${problem.reason}`
    : `${place}: ${problem.path}: ${problem.reason}`
}

/** The node at a path; a YAML key may be the number 55 where the path has the text. */
function findNode(document: ReturnType<typeof parseDocument>, path: readonly string[]): unknown {
  const asNumbers = path.map((key) => (/^[0-9]+$/.test(key) ? Number(key) : key))
  return document.getIn(asNumbers, true) ?? document.getIn(path, true)
}
