export * from './acquirer-api.ts'
export * from './http.ts'
export * from './operations-api.ts'
export * from './stream.ts'
