export * from './read-config.ts'
export * from './schema.ts'
