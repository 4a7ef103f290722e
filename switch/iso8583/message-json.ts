// A message as one line of JSON, `{"mti": ..., "fields": {"2": ..., "55": {"9F02": ...}}}`, and back.
// JSON.parse and JSON.stringify move keys that look like array indices (tag 82 before 5F2A), which
// would change the bytes of field 55, so the order of keys is kept here.

import { subfieldDepthMax } from './limits.ts'
import type { FieldValue, IsoMessage, IsoProblem } from './message.ts'

/** One line, keys in wire order. */
export function messageToJson(message: IsoMessage): string {
  const fields: string[] = []
  message.fields.forEach((value, field) => {
    if (value !== undefined) fields.push(`"${field}": ${valueToJson(value)}`)
  })
  return `{"mti": ${JSON.stringify(message.mti)}, "fields": {${fields.join(', ')}}}`
}

function valueToJson(value: FieldValue): string {
  if (typeof value === 'string') return JSON.stringify(value)
  const parts = [...value].map(([key, part]) => `${JSON.stringify(key)}: ${valueToJson(part)}`)
  return `{${parts.join(', ')}}`
}

export type MessageFromJson =
  | { readonly ok: true; readonly message: IsoMessage }
  | { readonly ok: false; readonly problem: IsoProblem }

/** Reads such a line. Never throws; a field's value is checked when it is encoded. */
export function messageFromJson(text: string): MessageFromJson {
  let parsed: unknown
  try {
    parsed = JSON.parse(markKeys(text))
  } catch {
    return refuse('mti', 'the line is not JSON')
  }
  if (!isObject(parsed)) return refuse('mti', 'the line is not a JSON object')
  for (const key of Object.keys(parsed)) {
    if (key !== '=mti' && key !== '=fields') {
      return refuse('mti', `unknown key ${key.slice(1, 41)}; a message has mti and fields`)
    }
  }
  const { '=mti': mti, '=fields': entries } = parsed
  if (typeof mti !== 'string') return refuse('mti', 'mti must be a string of four digits')
  if (!isObject(entries)) return refuse('mti', 'fields must be an object')
  const fields: (FieldValue | undefined)[] = []
  for (const [marked, raw] of Object.entries(entries)) {
    const key = marked.slice(1)
    if (!/^([2-9]|[1-9][0-9]|1[0-9]{2})$/.test(key) || Number(key) > 192) {
      const problem = { offset: 0, field: key.slice(0, 20), message: 'a field is 2 to 192' }
      return { ok: false, problem: { code: 'unknown_field', ...problem } }
    }
    const value = toFieldValue(raw)
    if (value === undefined)
      return refuse(key, `field ${key} must be a string, or an object of them`)
    fields[Number(key)] = value
  }
  return { ok: true, message: { mti, fields } }
}

/** Puts `=` before every key, so that none looks like an array index and all keep their order. */
function markKeys(text: string): string {
  return text.replace(/"((?:[^"\\]|\\.)*)"(\s*:)?/gs, (string, inner, colon) =>
    colon === undefined ? string : `"=${inner}"${colon}`,
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** As deep as subfields go, so that a line of nested objects is not walked without bound. */
function toFieldValue(raw: unknown, depth = 0): FieldValue | undefined {
  if (typeof raw === 'string') return raw
  if (!isObject(raw) || depth >= subfieldDepthMax) return undefined
  const parts = new Map<string, FieldValue>()
  for (const [marked, part] of Object.entries(raw)) {
    const value = toFieldValue(part, depth + 1)
    if (value === undefined) return undefined
    parts.set(marked.slice(1), value)
  }
  return parts
}

function refuse(field: string, message: string): MessageFromJson {
  return { ok: false, problem: { code: 'bad_value', offset: 0, field, message } }
}
