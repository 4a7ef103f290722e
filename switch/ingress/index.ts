export * from './acquirer-api.ts'
export { readContent, writeContent } from './content.ts'
export * from './exchanged-keys.ts'
export * from './http.ts'
export * from './iso-door.ts'
export {
  assertIngressRelations,
  ISO_BUFFERED_BYTES_MAX,
  ISO_CONNECTIONS_MAX,
} from './limits.ts'
export * from './operations-api.ts'
export * from './stream.ts'
