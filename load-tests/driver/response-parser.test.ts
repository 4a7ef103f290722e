import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { bodyBytesMax, headerBytesMax } from './limits.ts'
import { type HttpAnswer, ResponseParser } from './response-parser.ts'

interface Seen extends Omit<HttpAnswer, 'body'> {
  readonly body: string
}

function parse(chunks: readonly Buffer[]): { answers: Seen[]; problem: string | undefined } {
  const answers: Seen[] = []
  const parser = new ResponseParser((answer) =>
    answers.push({ ...answer, body: answer.body.toString('utf8') }),
  )
  for (const chunk of chunks) {
    const problem = parser.push(chunk)
    if (problem !== undefined) return { answers, problem }
  }
  return { answers, problem: undefined }
}

const two = Buffer.from(
  'HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 14\r\nIdempotent-Replayed: true\r\n\r\n{"a":"\u00e4\r\n\r\n"}' +
    'HTTP/1.1 503 Service Unavailable\r\ncontent-length:0\r\nConnection: close\r\n\r\n',
)
const expected: readonly Seen[] = [
  { status: 200, body: '{"a":"\u00e4\r\n\r\n"}', keepAlive: true, replayed: true },
  { status: 503, body: '', keepAlive: false, replayed: false },
]

test('answers are read whole whatever byte they are cut at', () => {
  assert.deepEqual(parse([two]).answers, expected)
  for (let cut = 0; cut <= two.length; cut++) {
    const { answers, problem } = parse([two.subarray(0, cut), two.subarray(cut)])
    assert.equal(problem, undefined)
    assert.deepEqual(answers, expected, `cut at ${cut}`)
  }
})

test('answers are read whole byte by byte and in any cuts', () => {
  assert.deepEqual(parse([...two].map((byte) => Buffer.from([byte]))).answers, expected)
  fc.assert(
    fc.property(fc.array(fc.nat(two.length), { maxLength: 12 }), (cuts) => {
      const ends = [...cuts.sort((a, b) => a - b), two.length]
      const chunks = ends.map((end, i) => two.subarray(ends[i - 1] ?? 0, end))
      assert.deepEqual(parse(chunks).answers, expected)
    }),
  )
})

test('204 has no body and needs no length', () => {
  const { answers } = parse([Buffer.from('HTTP/1.1 204 No Content\r\n\r\n')])
  assert.deepEqual(answers, [{ status: 204, body: '', keepAlive: true, replayed: false }])
})

const broken: readonly (readonly [string, string])[] = [
  ['HTTP/2 200\r\n\r\n', 'bad_status_line'],
  ['garbage\r\n\r\n', 'bad_status_line'],
  ['HTTP/1.1 200 OK\r\n\r\n', 'bad_length'],
  ['HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n', 'bad_length'],
  ['HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n', 'bad_length'],
  ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 'chunked'],
  [`HTTP/1.1 200 OK\r\nContent-Length: ${bodyBytesMax + 1}\r\n\r\n`, 'too_large'],
  [`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(headerBytesMax)}`, 'too_large'],
]

for (const [text, problem] of broken) {
  test(`refuses ${JSON.stringify(text.slice(0, 50))} as ${problem}`, () => {
    assert.deepEqual(parse([Buffer.from(text)]), { answers: [], problem })
  })
}

test('arbitrary bytes never throw', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 }), (chunks) => {
      parse(chunks.map((chunk) => Buffer.from(chunk)))
    }),
  )
})

test('tells whether it is inside an answer', () => {
  const parser = new ResponseParser(() => undefined)
  assert.equal(parser.isInside, false)
  parser.push(two.subarray(0, 5))
  assert.equal(parser.isInside, true)
  parser.push(two.subarray(5))
  assert.equal(parser.isInside, false)
})
