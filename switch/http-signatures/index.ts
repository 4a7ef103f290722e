export * from './signature-base.ts'
export * from './structured-fields.ts'
