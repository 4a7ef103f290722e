// Changed, cut and random messages in every preset, and frames cut at every byte. A few thousand
// cases each time; FUZZ_CASES says another number. The corpus is read first.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { listDialects, readDialect } from '../adapters/dialect-files.ts'
import { createFraming, type FramingSpec } from './framing.ts'
import { messageBytesMax } from './limits.ts'
import { loadDialect } from './load-dialect.ts'
import type { Dialect } from './message.ts'

const cases = Number(process.env.FUZZ_CASES ?? 4_000)

const dialects = new Map(
  listDialects().map((name) => {
    const loaded = readDialect(name)
    assert.ok(loaded.ok)
    return [name, loaded.dialect]
  }),
)

const corpus = readFileSync(new URL('corpus/messages.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => {
    const [preset = '', hex = '', ...what] = line.split(' ')
    const dialect = dialects.get(preset)
    assert.ok(dialect !== undefined, preset)
    return { dialect, bytes: Buffer.from(hex, 'hex'), what: what.join(' ') }
  })

/** What holds for any bytes. Answers the problem's code, or `read`. */
function check(dialect: Dialect, bytes: Uint8Array): string {
  const decoded = dialect.decode(bytes)
  if (decoded.ok) {
    const encoded = dialect.encode(decoded.message)
    assert.ok(encoded.ok, JSON.stringify(encoded))
    assert.deepEqual(Buffer.from(encoded.bytes), Buffer.from(bytes))
    return 'read'
  }
  const { problem, partial } = decoded
  assert.match(problem.field, /^(mti|bitmap|end|[0-9]+(\.[0-9A-Za-z]+)*)$/)
  assert.ok(problem.offset >= 0 && problem.offset <= bytes.length, JSON.stringify(problem))
  assert.ok(problem.message.length > 0 && problem.message.length < 400, problem.message)
  assert.ok(Array.isArray(partial.fields))
  return problem.code
}

function tally(counts: Map<string, number>): string {
  const rows = [...counts].sort((a, b) => b[1] - a[1]).map(([code, count]) => `${code} ${count}`)
  return rows.join(', ')
}

test('the corpus is read or refused as any bytes are', (t) => {
  const counts = new Map<string, number>()
  for (const { dialect, bytes, what } of corpus) {
    const code = check(dialect, bytes)
    if (what === 'an authorization') assert.equal(code, 'read')
    counts.set(code, (counts.get(code) ?? 0) + 1)
  }
  t.diagnostic(`${corpus.length} cases: ${tally(counts)}`)
  assert.ok(corpus.length > 50)
})

const change = fc.record({
  at: fc.nat(1_000),
  byte: fc.nat(255),
  kind: fc.constantFrom('set', 'flip', 'cut', 'insert', 'repeat'),
})

function applied(bytes: Buffer, changes: readonly { at: number; byte: number; kind: string }[]) {
  let changed = Buffer.from(bytes)
  for (const { at, byte, kind } of changes) {
    const i = changed.length === 0 ? 0 : at % changed.length
    if (kind === 'set') changed[i] = byte
    else if (kind === 'flip') changed[i] = (changed[i] ?? 0) ^ (1 << (byte & 7))
    else if (kind === 'cut') changed = changed.subarray(0, i)
    else {
      const more = kind === 'insert' ? Buffer.of(byte) : changed.subarray(i, i + (byte & 31))
      changed = Buffer.concat([changed.subarray(0, i), more, changed.subarray(i)])
    }
  }
  return changed
}

test('changed messages', (t) => {
  const counts = new Map<string, number>()
  fc.assert(
    fc.property(
      fc.constantFrom(...corpus),
      fc.array(change, { minLength: 1, maxLength: 4 }),
      ({ dialect, bytes }, changes) => {
        const code = check(dialect, applied(bytes, changes))
        counts.set(code, (counts.get(code) ?? 0) + 1)
      },
    ),
    { numRuns: cases },
  )
  t.diagnostic(`${cases} cases: ${tally(counts)}`)
  assert.ok((counts.get('read') ?? 0) > 0 && counts.size > 6, 'the changes reach little')
})

test('random bytes, and random bytes behind a right MTI', (t) => {
  const counts = new Map<string, number>()
  fc.assert(
    fc.property(
      fc.constantFrom(...corpus.filter(({ what }) => what === 'an authorization')),
      fc.constantFrom(0, 2, 4),
      fc.uint8Array({ maxLength: 400 }),
      ({ dialect, bytes }, kept, random) => {
        const code = check(dialect, Buffer.concat([bytes.subarray(0, kept), random]))
        counts.set(code, (counts.get(code) ?? 0) + 1)
      },
    ),
    { numRuns: cases },
  )
  t.diagnostic(`${cases} cases: ${tally(counts)}`)
})

const tpdu = { destination: '0001', source: '0000' }
const framings: readonly FramingSpec[] = [
  { encoding: 'binary', bytes: 2 },
  { encoding: 'binary', bytes: 2, countsItself: true },
  { encoding: 'binary', bytes: 4 },
  { encoding: 'bcd', bytes: 2 },
  { encoding: 'ascii', bytes: 4 },
  { encoding: 'binary', bytes: 2, tpdu, trailer: '03' },
  { encoding: 'binary', bytes: 2, reservedBytes: 2, countsReserved: false, frameBytesMax: 2048 },
]

/** What a splitter makes of chunks: the frames, then the problem. */
function split(spec: FramingSpec, chunks: readonly Uint8Array[]): string[] {
  const seen: string[] = []
  const splitter = createFraming(spec).createSplitter(
    (payload, from) => seen.push(`${from?.source ?? ''}:${Buffer.from(payload).toString('hex')}`),
    (problem) => seen.push(`${problem.code} at ${problem.offset}`),
  )
  for (const chunk of chunks) {
    splitter.push(chunk)
    assert.ok(splitter.bufferedBytes <= 8_300)
  }
  return seen
}

test('changed frames are the same frames and the same problem wherever the stream is cut', (t) => {
  let cuts = 0
  fc.assert(
    fc.property(
      fc.constantFrom(...framings),
      fc.array(fc.constantFrom(...corpus), { minLength: 1, maxLength: 3 }),
      fc.array(change, { maxLength: 2 }),
      (spec, messages, changes) => {
        const frames = messages.map(({ bytes }) => {
          const framed = createFraming(spec).encode(bytes.length === 0 ? Buffer.of(1) : bytes)
          assert.ok(framed.ok)
          return framed.bytes
        })
        const stream = applied(Buffer.concat(frames), changes)
        const whole = split(spec, [stream])
        const bytes = Array.from(stream, (byte) => Uint8Array.of(byte))
        assert.deepEqual(split(spec, bytes), whole)
        for (let cut = 0; cut <= stream.length; cut++, cuts++) {
          const halves = [stream.subarray(0, cut), stream.subarray(cut)]
          assert.deepEqual(split(spec, halves), whole)
        }
      },
    ),
    { numRuns: Math.ceil(cases / 100) },
  )
  t.diagnostic(`${cuts} cuts`)
})

/** The worst messages that we know: as many values as fit, as short as they can be. */
function worstMessages(): readonly (readonly [string, Dialect, Buffer])[] {
  const long = { encoding: 'binary', bytes: 2 }
  const words = (fields: object): Dialect => {
    const text = JSON.stringify({ mti: 'bcd', bitmap: 'binary', fields })
    const loaded = loadDialect(text, 'worst')
    assert.ok(loaded.ok, JSON.stringify(loaded))
    return loaded.dialect
  }
  const every = (spec: object): object =>
    Object.fromEntries(Array.from({ length: 127 }, (_, i) => [i + 2, spec]))
  const start = Buffer.from(`0100${'ff'.repeat(16)}`, 'hex')
  const room = messageBytesMax - start.length
  const share = Math.floor(room / 127)
  const filled = (makeField: (bytes: number) => Buffer): Buffer =>
    Buffer.concat([start, ...Array.from({ length: 127 }, () => makeField(share - 2))])
  const sized = (content: Buffer): Buffer => {
    const prefix = Buffer.alloc(2)
    prefix.writeUInt16BE(content.length)
    return Buffer.concat([prefix, content])
  }
  /** Different tags with nothing in them: 4 bytes each. */
  const tags = (bytes: number): Buffer => {
    const list = Array.from({ length: Math.min(510, Math.floor(bytes / 4)) }, (_, i) =>
      Buffer.of(0x9f, 0x80 | (i >> 6), i & 0x3f, 0),
    )
    return sized(Buffer.concat(list))
  }
  const letters = (bytes: number): Buffer => sized(Buffer.alloc(bytes, 0x41))
  const lists = { encoding: 'bcd', digits: 4, lengthPrefix: { encoding: 'binary', bytes: 1 } }
  const numbered = (bytes: number): Buffer => {
    const list = Array.from({ length: Math.floor(bytes / 3) }, (_, i) =>
      Buffer.from(`${String(i).padStart(4, '0')}00`, 'hex'),
    )
    return sized(Buffer.concat(list))
  }
  const listWords = { encoding: 'ascii', lengthPrefix: long, subfieldTags: lists, subfields: {} }
  return [
    ['BER-TLV', words(every({ encoding: 'ber-tlv', lengthPrefix: long })), filled(tags)],
    ['tag lists', words(every(listWords)), filled(numbered)],
    [
      'text',
      words(every({ encoding: 'utf8', lengthPrefix: long, lengthCounts: 'bytes' })),
      filled(letters),
    ],
    ['EBCDIC', words(every({ encoding: 'ebcdic', lengthPrefix: long })), filled(letters)],
  ]
}

test('a decode keeps and takes a small multiple of the message', (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const used = (): number => {
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  for (const [name, dialect, bytes] of worstMessages()) {
    assert.ok(bytes.length > 60_000 && bytes.length <= messageBytesMax)
    const first = dialect.decode(bytes)
    assert.ok(first.ok, JSON.stringify(first.ok ? '' : first.problem))
    const kept: unknown[] = []
    const before = used()
    for (let i = 0; i < 20; i++) kept.push(dialect.decode(bytes))
    const times = (used() - before) / 20 / bytes.length
    assert.equal(kept.length, 20)
    t.diagnostic(`${name}: ${times.toFixed(1)} times the message`)
    assert.ok(times < 32, `${name}: ${times}`)
  }
})
