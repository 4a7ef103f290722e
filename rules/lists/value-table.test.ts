import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createValueTable } from './value-table.ts'

test('a table holds what a Map holds', () => {
  const text = fc.oneof(
    fc.string({ maxLength: 8 }),
    fc.string({ maxLength: 4, unit: 'binary' }),
    fc.constantFrom('a', 'b', 'ab', 'é', '\u{1f4b3}'),
  )
  fc.assert(
    fc.property(
      fc.array(fc.tuple(text, fc.double({ noNaN: true }))),
      fc.array(text),
      (all, asked) => {
        const table = createValueTable()
        const map = new Map<string, number>()
        for (const [value, number] of all) {
          assert.equal(table.add(value, number), value !== '' && !map.has(value))
          if (value !== '' && !map.has(value)) map.set(value, number)
          assert.equal(table.size, map.size)
        }
        for (const value of [...asked, ...map.keys()]) {
          assert.equal(table.get(value), map.get(value), value)
        }
      },
    ),
  )
})

test('it grows, and every text keeps its number', () => {
  const table = createValueTable()
  const names = Array.from({ length: 20_000 }, (_, n) => `name-${n}`)
  for (const [n, name] of names.entries()) assert.ok(table.add(name, n))
  for (const [n, name] of names.entries()) assert.equal(table.get(name), n)
  assert.equal(table.get('name-20000'), undefined)
  assert.equal(table.size, 20_000)
})
