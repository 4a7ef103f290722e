export { codeFrame } from './code-frame.ts'
export { lintRuleFiles } from './lint.ts'
