export { addToList, type ListEdit, type ListEntry, newList, removeFromList } from './edit.ts'
export { type WrittenEntry, type WrittenList, writtenList } from './entries.ts'
export { BASE_CURRENCY } from './exchange-rates.ts'
export { createLists, isReservedList, type Lists, listNamePattern } from './lists.ts'
export {
  ENTRY_COLUMNS,
  LIST_KEYS,
  type ListKind,
  type NamedList,
} from './named-list.ts'
