export type { DialectProblem } from './dialect-words.ts'
export type { LoadDialectResult } from './load-dialect.ts'
export { loadDialect, printDialectProblem } from './load-dialect.ts'
export * from './message.ts'
