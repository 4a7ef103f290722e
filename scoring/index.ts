export * from './ports.ts'
export * from './request.ts'
