import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FieldValue } from './message.ts'
import { messageFromJson, messageToJson } from './message-json.ts'

const value: fc.Arbitrary<FieldValue> = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .uniqueArray(
      fc.tuple(fc.oneof(fc.constantFrom('82', '95', '5F2A', '9F02'), fc.string()), fc.string()),
      { selector: ([key]) => key },
    )
    .map((entries) => new Map<string, FieldValue>(entries)),
)

test('a message comes back as it was, the order of its tags too', () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.uniqueArray(fc.tuple(fc.integer({ min: 2, max: 192 }), value), {
        selector: ([field]) => field,
      }),
      (mti, entries) => {
        const fields: (FieldValue | undefined)[] = []
        for (const [field, entry] of entries) fields[field] = entry
        const line = messageToJson({ mti, fields })
        assert.ok(!line.includes('\n'))
        const read = messageFromJson(line)
        assert.ok(read.ok, line)
        assert.equal(read.message.mti, mti)
        fields.forEach((before, field) => {
          const after = read.message.fields[field]
          if (typeof before === 'string') assert.equal(after, before)
          else assert.deepEqual([...(after ?? [])], [...(before ?? [])])
        })
      },
    ),
  )
})

test('the words are those of the contract', () => {
  const fields: (FieldValue | undefined)[] = []
  fields[3] = '000000'
  fields[55] = new Map([
    ['9F02', '00'],
    ['82', '01'],
  ])
  assert.equal(
    messageToJson({ mti: '0100', fields }),
    '{"mti": "0100", "fields": {"3": "000000", "55": {"9F02": "00", "82": "01"}}}',
  )
})

/** Lines that are no message, and the field that is blamed. */
const refused: readonly [string, string][] = [
  ['', 'mti'],
  ['[]', 'mti'],
  ['null', 'mti'],
  ['{"mti": "0100", "fields": {}', 'mti'],
  ['{"fields": {}}', 'mti'],
  ['{"mti": 100, "fields": {}}', 'mti'],
  ['{"mti": "0100"}', 'mti'],
  ['{"mti": "0100", "fields": [], "more": 1}', 'mti'],
  ['{"mti": "0100", "fields": {"1": "0"}}', '1'],
  ['{"mti": "0100", "fields": {"193": "0"}}', '193'],
  ['{"mti": "0100", "fields": {"02": "0"}}', '02'],
  ['{"mti": "0100", "fields": {"__proto__": "0"}}', '__proto__'],
  ['{"mti": "0100", "fields": {"4": 100}}', '4'],
  ['{"mti": "0100", "fields": {"55": {"1": {"2": {"3": {"4": {}}}}}}}', '55'],
]

test('a line that is no message says where', () => {
  for (const [line, field] of refused) {
    const read = messageFromJson(line)
    assert.ok(!read.ok, line)
    assert.equal(read.problem.field, field, line)
  }
})

test('random text never throws', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), (text) => {
      assert.doesNotThrow(() => messageFromJson(text))
    }),
  )
})
