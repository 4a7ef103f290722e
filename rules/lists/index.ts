export { BASE_CURRENCY } from './exchange-rates.ts'
export { createLists, type Lists } from './lists.ts'
