export { jsonSchema } from './json-schema.ts'
export { type DataPath, type Place, readYaml, type YamlData } from './read.ts'
export * from './shape.ts'
