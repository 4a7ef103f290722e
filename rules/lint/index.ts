export { codeFrame } from './code-frame.ts'
export { type RingSizes, ringSizes } from './findings.ts'
export { githubReport, sarifReport } from './formats.ts'
export { type LintOptions, lintRuleFiles } from './lint.ts'
