// Bytes of a data file to its lines, some thousand at a time. A quoted field of CSV may hold line
// breaks (RFC 4180), so a line with an open quote goes on in the next.

import { lineCharactersMax } from './limits.ts'

export interface Line {
  /** Counts from 1; where the line starts. */
  readonly number: number
  /** Without its end. */
  readonly text: string
}

/**
 * Yields the lines of UTF-8 text; empty ones are left out. `quotes`: a quoted field may go on. Of a
 * line that is too long its beginning comes, too long still; the rest of it is not kept.
 */
export async function* linesOf(
  bytes: AsyncIterable<Uint8Array>,
  quotes: boolean,
): AsyncGenerator<readonly Line[], void, undefined> {
  const decoder = new TextDecoder('utf-8')
  let rest = ''
  let number = 1
  let isSkipping = false
  for await (const chunk of bytes) {
    let text = decoder.decode(chunk, { stream: true })
    if (isSkipping) {
      const end = text.indexOf('\n')
      if (end === -1) continue
      isSkipping = false
      text = text.slice(end + 1)
    }
    const taken = takeLines(rest + text, number, quotes)
    rest = taken.rest
    number = taken.next
    if (rest.length <= lineCharactersMax) {
      yield taken.lines
      continue
    }
    isSkipping = true
    yield [...taken.lines, { number: number++, text: rest.slice(0, lineCharactersMax + 1) }]
    rest = ''
  }
  rest += decoder.decode()
  if (rest !== '') yield takeLines(`${rest}\n`, number, false).lines
}

interface TakenLines {
  readonly lines: readonly Line[]
  /** What is left of the text, and the number of the line that it starts. */
  readonly rest: string
  readonly next: number
}

function takeLines(text: string, first: number, quotes: boolean): TakenLines {
  const lines: Line[] = []
  let number = first
  let start = 0
  for (;;) {
    let end = text.indexOf('\n', start)
    let breaks = 1
    while (quotes && end !== -1 && end - start <= lineCharactersMax && isOpen(text, start, end)) {
      end = text.indexOf('\n', end + 1)
      breaks++
    }
    if (end === -1) return { lines, rest: text.slice(start), next: number }
    const last = text.charCodeAt(end - 1) === 13 && end > start ? end - 1 : end
    if (last > start) lines.push({ number, text: text.slice(start, last) })
    number += breaks
    start = end + 1
  }
}

/** Whether the text between has an odd number of quotes. */
function isOpen(text: string, start: number, end: number): boolean {
  let open = false
  for (let at = text.indexOf('"', start); at !== -1 && at < end; at = text.indexOf('"', at + 1)) {
    open = !open
  }
  return open
}

/** The fields of a line; undefined where a quote is left open or something stands behind one. */
export function fieldsOf(text: string, delimiter: string): readonly string[] | undefined {
  if (!text.includes('"')) return text.split(delimiter)
  const fields: string[] = []
  let at = 0
  for (;;) {
    if (text[at] !== '"') {
      const end = text.indexOf(delimiter, at)
      fields.push(end === -1 ? text.slice(at) : text.slice(at, end))
      if (end === -1) return fields
      at = end + 1
      continue
    }
    let field = ''
    let from = at + 1
    let end = text.indexOf('"', from)
    while (end !== -1 && text[end + 1] === '"') {
      field += text.slice(from, end + 1)
      from = end + 2
      end = text.indexOf('"', from)
    }
    if (end === -1) return undefined
    fields.push(field + text.slice(from, end))
    if (end + 1 === text.length) return fields
    if (text[end + 1] !== delimiter) return undefined
    at = end + 2
  }
}
