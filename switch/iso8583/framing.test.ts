import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Value } from 'typebox/value'
import {
  createFraming,
  defaultFraming,
  type FramingProblem,
  type FramingSpec,
  FramingWords,
} from './framing.ts'

const specs: readonly FramingSpec[] = [
  defaultFraming,
  { encoding: 'binary', bytes: 2, countsItself: true },
  { encoding: 'binary', bytes: 4 },
  { encoding: 'binary', bytes: 4, countsItself: true },
  { encoding: 'bcd', bytes: 2 },
  { encoding: 'ascii', bytes: 4 },
  { encoding: 'ascii', bytes: 4, countsItself: true, trailer: '03' },
  { encoding: 'binary', bytes: 2, reservedBytes: 2, frameBytesMax: 2048 },
  {
    encoding: 'binary',
    bytes: 2,
    reservedBytes: 2,
    countsReserved: false,
    frameBytesMax: 2048,
  },
  { encoding: 'binary', bytes: 2, tpdu: { destination: '0004', source: '8123' } },
  { encoding: 'bcd', bytes: 2, tpdu: { destination: '0001', source: '0000' }, trailer: '03' },
]

/** Collects what a splitter says. Messages are copied: they are valid only inside the call. */
function collect(spec: FramingSpec) {
  const frames: string[] = []
  const problems: FramingProblem[] = []
  const splitter = createFraming(spec).createSplitter(
    (payload) => frames.push(Buffer.from(payload).toString('hex')),
    (problem) => problems.push(problem),
  )
  return { frames, problems, splitter }
}

function frame(spec: FramingSpec, payload: Uint8Array): Buffer {
  const framed = createFraming(spec).encode(payload)
  assert.ok(framed.ok, JSON.stringify(framed))
  return Buffer.from(framed.bytes)
}

test('a frame is what the words say', () => {
  const payload = Buffer.alloc(258, 0x41)
  const starts = [
    '0102',
    '0104',
    '00000102',
    '00000106',
    '0258',
    '30323538',
    '30323633',
    '01040000',
    '01020000',
    '01076000048123',
    '02646000010000',
  ]
  specs.forEach((spec, i) => {
    const start = starts[i] as string
    const end = spec.trailer ?? ''
    assert.equal(frame(spec, payload).toString('hex'), start + payload.toString('hex') + end)
  })
})

test('frames come out of any stream as they went in, however it is cut', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...specs),
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 600 }), { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 50 }),
      (spec, payloads, cuts) => {
        const stream = Buffer.concat(payloads.map((payload) => frame(spec, payload)))
        const { frames, problems, splitter } = collect(spec)
        for (let at = 0, i = 0; at < stream.length; i++) {
          const next = at + (cuts[i % cuts.length] as number)
          // A chunk of its own that is overwritten afterwards: nothing may point into it.
          const chunk = Buffer.from(stream.subarray(at, next))
          splitter.push(chunk)
          chunk.fill(0xff)
          at = next
        }
        assert.deepEqual(problems, [])
        assert.deepEqual(
          frames,
          payloads.map((payload) => Buffer.from(payload).toString('hex')),
        )
        assert.equal(splitter.bufferedBytes, 0)
      },
    ),
    { numRuns: 300 },
  )
})

test('frames split at every byte', () => {
  for (const spec of specs) {
    const stream = Buffer.concat([1, 300, 2].map((n) => frame(spec, Buffer.alloc(n, n & 255))))
    for (let cut = 0; cut <= stream.length; cut++) {
      const { frames, splitter } = collect(spec)
      splitter.push(stream.subarray(0, cut))
      splitter.push(stream.subarray(cut))
      assert.deepEqual(
        frames.map((hex) => hex.length / 2),
        [1, 300, 2],
      )
    }
  }
})

test('an answer has the TPDU of its request, swapped', () => {
  const terminal = createFraming({
    encoding: 'binary',
    bytes: 2,
    tpdu: { destination: '0003', source: '0A11' },
  })
  const host = createFraming({
    encoding: 'binary',
    bytes: 2,
    tpdu: { destination: 'FFFF', source: 'FFFF' },
  })
  const request = terminal.encode(Buffer.of(1))
  assert.ok(request.ok)
  assert.equal(Buffer.from(request.bytes).toString('hex'), '00066000030a1101')
  const answers: string[] = []
  const splitter = host.createSplitter(
    (_payload, tpdu) => {
      assert.deepEqual(tpdu, { destination: 0x0003, source: 0x0a11 })
      const answer = host.encode(Buffer.of(2), tpdu)
      if (answer.ok) answers.push(Buffer.from(answer.bytes).toString('hex'))
    },
    (problem) => assert.fail(problem.message),
  )
  for (const byte of request.bytes) splitter.push(Uint8Array.of(byte))
  assert.deepEqual(answers, ['000660 0a11 0003 02'.replaceAll(' ', '')])
})

test('a framing without a TPDU hands on none', () => {
  const seen: unknown[] = []
  const splitter = createFraming(defaultFraming).createSplitter(
    (_payload, tpdu) => seen.push(tpdu),
    (problem) => assert.fail(problem.message),
  )
  splitter.push(frame(defaultFraming, Buffer.of(1)))
  assert.deepEqual(seen, [null])
})

test("a keep-alive of Visa's header has its reserved bytes too", () => {
  const visa = specs.find((spec) => spec.countsReserved === false) as FramingSpec
  const stream = Buffer.concat([Buffer.alloc(4), frame(visa, Buffer.of(0x41)), Buffer.alloc(4)])
  for (let cut = 0; cut <= stream.length; cut++) {
    const { frames, problems, splitter } = collect(visa)
    splitter.push(stream.subarray(0, cut))
    splitter.push(stream.subarray(cut))
    assert.deepEqual([frames, problems, splitter.bufferedBytes], [['41'], [], 0])
  }
})

test('the words of a framing are the schema of a configuration', () => {
  for (const spec of specs) assert.ok(Value.Check(FramingWords, spec), JSON.stringify(spec))
  assert.ok(!Value.Check(FramingWords, { encoding: 'binary', bytes: 3 }))
  assert.ok(!Value.Check(FramingWords, { encoding: 'binary', bytes: 2, tpdu: { source: '00' } }))
})

test('a keep-alive of length zero is skipped', () => {
  const { frames, splitter } = collect(defaultFraming)
  splitter.push(Buffer.from('00000000', 'hex'))
  splitter.push(frame(defaultFraming, Buffer.from('41', 'hex')))
  assert.deepEqual(frames, ['41'])
})

test('a length over the limit ends the stream before anything is kept', () => {
  const spec: FramingSpec = { encoding: 'binary', bytes: 4, frameBytesMax: 100 }
  const { frames, problems, splitter } = collect(spec)
  splitter.push(frame(spec, Buffer.alloc(100)))
  splitter.push(Buffer.from('7FFFFFFF41', 'hex'))
  assert.equal(frames.length, 1)
  assert.deepEqual([problems[0]?.code, problems[0]?.offset], ['frame_too_long', 104])
  assert.equal(splitter.bufferedBytes, 0)
  splitter.push(frame(spec, Buffer.alloc(10)))
  assert.deepEqual([frames.length, problems.length], [1, 1])
})

/** Streams that can not be split, and why. */
const broken: readonly [FramingSpec, string, FramingProblem['code']][] = [
  [{ encoding: 'ascii', bytes: 4 }, '3030314130', 'bad_frame_length'],
  [{ encoding: 'bcd', bytes: 2 }, '00A041', 'bad_frame_length'],
  [{ encoding: 'binary', bytes: 2, countsItself: true }, '000141', 'frame_too_short'],
  [{ encoding: 'binary', bytes: 2, reservedBytes: 2 }, '00020000', 'frame_too_short'],
  [{ encoding: 'binary', bytes: 2, trailer: '03' }, '00024104', 'bad_trailer'],
  [{ encoding: 'binary', bytes: 2, countsItself: true }, '000041', 'frame_too_short'],
  [
    { encoding: 'binary', bytes: 2, tpdu: { destination: '0001', source: '0000' } },
    '0006680001000041',
    'bad_tpdu',
  ],
  [
    { encoding: 'binary', bytes: 2, tpdu: { destination: '0001', source: '0000' } },
    '00056000010000',
    'frame_too_short',
  ],
]

test('a stream that can not be split says why, once, in one piece or byte by byte', () => {
  for (const [spec, hex, code] of broken) {
    const whole = collect(spec)
    whole.splitter.push(Buffer.from(hex, 'hex'))
    const parts = collect(spec)
    for (const byte of Buffer.from(hex, 'hex')) parts.splitter.push(Uint8Array.of(byte))
    for (const { problems, frames } of [whole, parts]) {
      assert.deepEqual([problems.map((problem) => problem.code), frames], [[code], []])
    }
  }
})

test('a payload that the length can not say is refused', () => {
  const ascii = createFraming({ encoding: 'ascii', bytes: 4, frameBytesMax: 20_000 })
  assert.equal(ascii.encode(new Uint8Array(9_999)).ok, true)
  const refused = ascii.encode(new Uint8Array(10_000))
  assert.equal(!refused.ok && refused.problem.code, 'frame_too_long')
  const visa = createFraming({ encoding: 'binary', bytes: 2, frameBytesMax: 2048 })
  assert.equal(visa.encode(new Uint8Array(2049)).ok, false)
})

test('stop in the middle of a chunk: no further frame of it is handed on', () => {
  const two = Buffer.concat([
    frame(defaultFraming, Buffer.of(1)),
    frame(defaultFraming, Buffer.of(2)),
  ])
  let count = 0
  const splitter = createFraming(defaultFraming).createSplitter(
    () => {
      count++
      splitter.stop()
    },
    () => assert.fail('no problem is expected'),
  )
  splitter.push(two)
  assert.equal(count, 1)
})

test('who announces much and sends little costs little', () => {
  const before = process.memoryUsage().arrayBuffers
  const splitters = Array.from({ length: 2_000 }, () => collect(defaultFraming).splitter)
  for (const splitter of splitters) splitter.push(Buffer.from('2000414141', 'hex'))
  // 2,000 frames of 8,192 bytes reserved at once would be 16 MB.
  assert.ok(process.memoryUsage().arrayBuffers - before < 4_000_000)
  assert.ok(splitters.every((splitter) => splitter.bufferedBytes === 5))
})

test('a frame in many small parts is copied a bounded number of times', (t) => {
  const spec: FramingSpec = { encoding: 'binary', bytes: 4, frameBytesMax: 65_535 }
  const stream = frame(spec, Buffer.alloc(65_535))
  const { frames, splitter } = collect(spec)
  const { mock } = t.mock.method(Buffer, 'allocUnsafe')
  for (const byte of stream) splitter.push(Uint8Array.of(byte))
  assert.equal(frames.length, 1)
  // What is copied fits into what was reserved, twice as much each time. Copying at every byte
  // would reserve 2 GiB.
  const { length } = stream
  const reserved = mock.calls.reduce((sum, { arguments: [bytes] }) => sum + bytes, 0)
  assert.ok(reserved >= length && reserved <= 3 * length, `${reserved} bytes`)
})

test('random bytes never throw and never hold more than the limit', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...specs),
      fc.array(fc.uint8Array({ maxLength: 50 })),
      (spec, chunks) => {
        const { problems, splitter } = collect(spec)
        for (const chunk of chunks) splitter.push(chunk)
        assert.ok(problems.length <= 1)
        assert.ok(splitter.bufferedBytes <= 8_200)
      },
    ),
  )
})
