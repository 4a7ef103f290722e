export { Histogram, Tally } from './histogram.ts'
export * from './journal.ts'
