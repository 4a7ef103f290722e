// The door of the load driver.

export { type ApprovedAnswer, type Books, balanceBooks, type IssuerLedger } from './books.ts'
export { cpuMicrosOf, threadDifference, threadMicrosOf } from './cpu.ts'
export { loadTest } from './load-test.ts'
export { jsonBodyOf, type MixOptions, mixedRequest, panOf } from './mix.ts'
export {
  type AcquirerPayment,
  balancePayments,
  type PaymentBooks,
  type PaymentDiscrepancy,
} from './payment-books.ts'
