import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { type InnerList, readDictionary, writeInnerList } from './structured-fields.ts'

const text = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((n) => String.fromCharCode(n)),
})
const key = fc.stringMatching(/^[a-z*][a-z0-9_.*-]{0,8}$/)
const parameters = fc
  .array(fc.tuple(key, fc.oneof(text, fc.integer(), fc.constant(true as const))), { maxLength: 4 })
  .map((entries) => new Map(entries))
const innerList: fc.Arbitrary<InnerList> = fc
  .tuple(
    fc.array(fc.record({ value: text, parameters }, { noNullPrototype: true }), { maxLength: 6 }),
    parameters,
  )
  .map(([items, rest]) => ({ kind: 'list', items, parameters: rest }))

test('an inner list is read as it was written, and written to the same bytes', () => {
  fc.assert(
    fc.property(innerList, (list) => {
      const written = writeInnerList(list)
      const read = readDictionary(`sig1=${written}`)?.get('sig1')
      assert.deepEqual(read, list)
      assert.equal(writeInnerList(read as InnerList), written)
    }),
  )
})

test('byte sequences, several members, and space around the commas', () => {
  const read = readDictionary('a=:AQI=: ,\tb=("x");n=1, c=::')
  assert.deepEqual(read?.get('a'), { kind: 'bytes', bytes: Buffer.from([1, 2]) })
  assert.equal(read?.get('b')?.kind, 'list')
  assert.deepEqual(read?.get('c'), { kind: 'bytes', bytes: Buffer.alloc(0) })
})

test('what is not a dictionary of ours is none, and nothing throws', () => {
  for (const wrong of [
    '',
    'a',
    'a=',
    'a=1',
    'A=:AQI=:',
    'a=:AQI=:,',
    'a=:AQI=:, a=:AQI=:',
    'a=("x" "y"',
    'a=("x""y")',
    'a=("x\\n")',
    'a=("x");n',
    'a=:%%:',
    'a=("x");n=1.5',
    'a=("é")',
  ]) {
    if (wrong === 'a=("x");n') assert.ok(readDictionary(wrong), 'a parameter may have no value')
    else assert.equal(readDictionary(wrong), undefined, wrong)
  }
  fc.assert(fc.property(fc.string(), (any) => void readDictionary(any)))
})
