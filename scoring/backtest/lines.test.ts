import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { lineCharactersMax } from './limits.ts'
import { fieldsOf, type Line, linesOf } from './lines.ts'

/** The bytes in pieces of any size, also in the middle of a character. */
async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function allLines(text: string, size: number, quotes = true): Promise<Line[]> {
  const lines: Line[] = []
  for await (const some of linesOf(pieces(Buffer.from(text), size), quotes)) lines.push(...some)
  return lines
}

const cell = fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => text.replaceAll('\r', ''))
const field = fc.oneof(cell, fc.constantFrom('', '"', 'a,b', 'two\nlines', '""', ',', ' x '))

test('whatever is written as CSV is read again, however its bytes arrive', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(field, { minLength: 2, maxLength: 5 }), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 40 }),
      fc.constantFrom('\n', '\r\n'),
      async (rows, size, end) => {
        const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`
        const text = rows.map((row) => row.map(quoted).join(',') + end).join('')
        const lines = await allLines(text, size)
        assert.deepEqual(
          lines.map((line) => fieldsOf(line.text, ',')),
          rows,
        )
      },
    ),
    { numRuns: 200 },
  )
})

test('a line keeps its number, empty ones and line breaks in quotes counted', async () => {
  const text = 'a,b\n\n1,"two\nlines"\r\n2,x'
  for (const size of [1, 3, 100]) {
    const lines = await allLines(text, size)
    assert.deepEqual(lines, [
      { number: 1, text: 'a,b' },
      { number: 3, text: '1,"two\nlines"' },
      { number: 5, text: '2,x' },
    ])
  }
})

test('an open quote does not swallow a file', async () => {
  const rest = 'x,y\n'.repeat(40_000)
  const lines = await allLines(`a,b\n"open,1\n${rest}`, 65_536)
  assert.ok(lines.length > 10_000)
  assert.equal(fieldsOf('"open', ','), undefined)
  assert.equal(fieldsOf('"a"b,c', ','), undefined)
})

test('a line without an end is not kept: what follows it is read, in little time', async () => {
  const piece = new Uint8Array(1 << 18).fill(0x78)
  async function* bytes() {
    yield Buffer.from('a,b\n1,2\n')
    // Kept and searched again with each piece, these 256 MB took minutes.
    for (let i = 0; i < 1_024; i++) yield piece
    yield Buffer.from('x\n3,4')
  }
  const lines: Line[] = []
  for await (const some of linesOf(bytes(), true)) lines.push(...some)
  assert.deepEqual(
    lines.map(({ number, text }) => [number, text.length]),
    [
      [1, 3],
      [2, 3],
      [3, lineCharactersMax + 1],
      [4, 3],
    ],
  )
})
