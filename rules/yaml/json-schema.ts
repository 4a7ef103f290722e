import type { Shape } from './shape.ts'

/** The JSON Schema (draft 7, what editors read) of a shape. */
export function jsonSchema(shape: Shape): Record<string, unknown> {
  switch (shape.kind) {
    case 'text':
      return {
        type: 'string',
        maxLength: shape.lengthMax,
        ...(shape.pattern === undefined ? {} : { pattern: shape.pattern.source }),
      }
    case 'word':
      return { enum: [...shape.words] }
    case 'flag':
      return { type: 'boolean' }
    case 'number':
      return {
        type: shape.integer ? 'integer' : 'number',
        minimum: shape.min,
        maximum: shape.max,
      }
    case 'list':
      return { type: 'array', items: jsonSchema(shape.of), maxItems: shape.lengthMax }
    case 'map':
      return {
        type: 'object',
        additionalProperties: jsonSchema(shape.of),
        maxProperties: shape.sizeMax,
      }
    case 'record': {
      const fields = Object.entries(shape.fields)
      return {
        type: 'object',
        properties: Object.fromEntries(
          fields.map(([name, field]) => [
            name,
            { description: field.description, ...jsonSchema(field.shape) },
          ]),
        ),
        required: fields.filter(([, field]) => field.required).map(([name]) => name),
        additionalProperties: false,
      }
    }
  }
}
