import assert from 'node:assert/strict'
import test from 'node:test'
import {
  anything,
  either,
  exactly,
  integer,
  list,
  number,
  optional,
  pair,
  record,
  text,
} from './shape.ts'

const shape = record({
  name: text(/^[a-z]+$/),
  count: integer(1),
  share: number(0, 1),
  kind: either(exactly('a'), exactly(2)),
  points: optional(list(pair(number(), text()), 1, 2)),
  rest: anything,
})
const fitting = { name: 'abc', count: 1, share: 0.5, kind: 2, rest: { x: null } }

test('what fits is taken, with and without what is optional', () => {
  assert.equal(shape.check(fitting, ''), undefined)
  assert.equal(shape.check({ ...fitting, points: [[1, 'a']] }, ''), undefined)
})

const misfits: readonly [change: object, problem: RegExp][] = [
  [{ name: 'A' }, /^\/name must be a text like/],
  [{ name: 1 }, /^\/name must be a text$/],
  [{ count: 1.5 }, /^\/count must be a whole number from 1$/],
  [{ count: 0 }, /^\/count/],
  [{ share: 1.01 }, /^\/share must be from 0 to 1$/],
  [{ share: Number.NaN }, /^\/share/],
  [{ share: '1' }, /^\/share must be a number$/],
  [{ kind: 'b' }, /^\/kind must be exactly 2$/],
  [{ points: [] }, /^\/points must be of 1 to 2 entries$/],
  [{ points: [[1, 'a'], [2]] }, /^\/points\/1 must be a list of two$/],
  [{ points: [['1', 'a']] }, /^\/points\/0\/0 must be a number$/],
  [{ points: undefined }, /^\/points must be a list$/],
  [{ rest: [] }, /^\/rest must be an object$/],
  [{ more: 1 }, /^\/more is not known here$/],
]

test('what does not fit is refused with its place', () => {
  for (const [change, problem] of misfits) {
    assert.match(shape.check({ ...fitting, ...change }, '') ?? 'taken', problem)
  }
  for (const name of Object.keys(fitting)) {
    const { [name as 'name']: _, ...without } = fitting
    assert.equal(shape.check(without, ''), `/${name} is missing`)
  }
  for (const value of [null, 1, 'text', [], undefined]) {
    assert.equal(shape.check(value, ''), '/ must be an object')
  }
})
