// Problems for machines: SARIF for code scanning, workflow commands for a pull request on GitHub.

import type { RuleProblem } from '../rule-set.ts'

/**
 * SARIF 2.1.0 (OASIS). `folder` is the rules folder as a relative path with forward slashes, in
 * front of each file.
 */
export function sarifReport(problems: readonly RuleProblem[], folder: string): string {
  const codes = [...new Set(problems.map((problem) => problem.code))].sort()
  const results = problems.map(({ file, line, column, severity, code, message }) => ({
    ruleId: code,
    ruleIndex: codes.indexOf(code),
    level: severity,
    message: { text: message },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: encodeURI(pathOf(folder, file)) },
          region: { startLine: line, startColumn: column },
        },
      },
    ],
  }))
  const report = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'switchyard rules lint', rules: codes.map((id) => ({ id })) } },
        results,
      },
    ],
  }
  return JSON.stringify(report, null, 2)
}

/** One workflow command a problem. Source: GitHub, Workflow commands for GitHub Actions. */
export function githubReport(problems: readonly RuleProblem[], folder: string): string {
  const lines = problems.map(({ file, line, column, severity, code, message }) => {
    const command = severity === 'note' ? 'notice' : severity
    const place = `file=${property(pathOf(folder, file))},line=${line},col=${column}`
    return `::${command} ${place},title=${property(code)}::${data(message)}\n`
  })
  return lines.join('')
}

function pathOf(folder: string, file: string): string {
  return folder === '' ? file : `${folder}/${file}`
}

function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
}

function property(text: string): string {
  return data(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
}
