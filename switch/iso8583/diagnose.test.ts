import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { listDialects, readDialect } from '../adapters/dialect-files.ts'
import { diagnose } from './diagnose.ts'
import { editionOf } from './edition.ts'
import { messageIn } from './edition-message.ts'
import { createFraming, type FramingSpec } from './framing.ts'
import type { Dialect, FieldValue } from './message.ts'

const dialects = listDialects().map((name) => {
  const loaded = readDialect(name)
  assert.ok(loaded.ok)
  return loaded.dialect
})

/** An authorization that every preset can say, in the words of its edition. */
function authorization(dialect: Dialect): Uint8Array {
  const fields: (FieldValue | undefined)[] = []
  fields[2] = '4761739001010119'
  fields[3] = '000000'
  fields[4] = '000000002599'
  fields[7] = '1122100000'
  fields[11] = '000123'
  fields[12] = '100000'
  fields[14] = '2912'
  fields[22] = dialect.name === 'visa-base1' ? '0510' : '051'
  fields[37] = '632610000123'
  fields[41] = 'TERM0001'
  fields[42] = 'M-1001         '
  fields[49] = '978'
  fields[52] = '0123456789ABCDEF'
  if (dialect.name === 'postilion') fields[127] = new Map([['2', 'KEY00001']])
  const sentAtMs = Date.UTC(2026, 10, 22, 10)
  const message = messageIn(editionOf(dialect), { mti: '0100', fields }, sentAtMs)
  const encoded = dialect.encode(message)
  assert.ok(encoded.ok, JSON.stringify(encoded))
  return encoded.bytes
}

for (const dialect of dialects) {
  test(`a message of ${dialect.name} is found, bare and in frames`, () => {
    const bytes = authorization(dialect)
    const [first, second] = diagnose(bytes, dialects)
    assert.deepEqual([first?.dialect, first?.framing], [dialect.name, 'none'])
    assert.ok((first?.score ?? 0) > 90 && (second?.score ?? 0) < 61, JSON.stringify(second))
    assert.ok(first?.reasons.includes('field 2 passes the Luhn check'))
    const tpdu = { destination: '0001', source: '0000' }
    const framings: readonly [FramingSpec, string][] = [
      [{ encoding: 'binary', bytes: 2 }, '2-byte length'],
      [{ encoding: 'binary', bytes: 2, countsItself: true }, '2-byte length that counts itself'],
      [{ encoding: 'binary', bytes: 2, tpdu }, '2-byte length and a TPDU'],
      [{ encoding: 'binary', bytes: 4 }, '4-byte length'],
      [{ encoding: 'bcd', bytes: 2 }, '2-byte BCD length'],
      [{ encoding: 'ascii', bytes: 4 }, '4 ASCII digits'],
      [{ encoding: 'binary', bytes: 2, trailer: '03' }, '2-byte length and a trailing 03'],
      [
        { encoding: 'binary', bytes: 2, reservedBytes: 2, countsReserved: false },
        'Visa header of 2 + 2 bytes',
      ],
    ]
    for (const [spec, name] of framings) {
      const framed = createFraming(spec).encode(bytes)
      assert.ok(framed.ok)
      const [best] = diagnose(framed.bytes, dialects)
      assert.deepEqual([best?.dialect, best?.framing], [dialect.name, name])
    }
  })

  test(`a broken message of ${dialect.name} is still taken for one, and says where`, () => {
    const bytes = authorization(dialect)
    for (const broken of [bytes.subarray(0, bytes.length - 3), Buffer.concat([bytes, bytes])]) {
      const [first] = diagnose(broken, dialects)
      assert.deepEqual([first?.dialect, first?.framing], [dialect.name, 'none'])
      assert.ok(first?.problem !== null && (first?.score ?? 100) <= 50)
      assert.match(first?.reasons.at(-1) ?? '', /^stops at byte [0-9]+ of [0-9]+, in /)
    }
  })
}

test("Visa's message header is seen and skipped", () => {
  const visa = dialects.find((dialect) => dialect.name === 'visa-base1') as Dialect
  const header = Buffer.from(`16${'00'.repeat(21)}`, 'hex')
  const [first] = diagnose(Buffer.concat([header, authorization(visa)]), dialects)
  assert.deepEqual([first?.dialect, first?.payloadAt], ['visa-base1', 22])
})

test('no reason shows a card number, and random bytes are answered', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const found = diagnose(bytes, dialects)
      assert.ok(found.length >= dialects.length)
      for (const { score } of found) assert.ok(score >= 0 && score <= 100)
    }),
    { numRuns: 200 },
  )
  const text = dialects.map((dialect) => JSON.stringify(diagnose(authorization(dialect), dialects)))
  assert.ok(!text.join('').includes('4761739001010119'))
})
