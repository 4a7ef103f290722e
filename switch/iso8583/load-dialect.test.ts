import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dialectTextMax } from './limits.ts'
import { loadDialect, printDialectProblem } from './load-dialect.ts'

const head = 'mti: ascii\nbitmap: binary\nfields:\n'

test('a dialect has its own name, or that of its file', () => {
  const unnamed = loadDialect(`${head}  2: { encoding: ascii, length: 3 }`, 'partner.yaml')
  assert.ok(unnamed.ok)
  assert.deepEqual([unnamed.dialect.name, unnamed.dialect.version], ['partner.yaml', 1987])
  const named = loadDialect(
    `name: acme\nversion: 1993\n${head}  2: { name: Account, encoding: ascii, length: 3 }`,
    'partner.yaml',
  )
  assert.ok(named.ok)
  assert.deepEqual([named.dialect.name, named.dialect.version], ['acme', 1993])
  assert.deepEqual([named.dialect.fieldName(2), named.dialect.fieldName(3)], ['Account', 'field 3'])
})

/** What is wrong, the line and path that are blamed, and the reason. */
const refused: readonly [string, string][] = [
  ['', 'x.yaml: must be object'],
  ['3', 'x.yaml:1: must be object'],
  ['mti: [', 'x.yaml:1: Flow sequence'],
  ['mti: ascii\nmti: bcd\n', 'x.yaml:2: Map keys must be unique'],
  ['mti: ascii\nbitmap: hex\nfields: {}', 'x.yaml:2: bitmap: must be one of binary, asciihex'],
  [
    `${head}  2: { encoding: asci, length: 3 }`,
    'x.yaml:4: fields.2.encoding: must be one of ascii',
  ],
  [`${head}  2: { encoding: ascii, lenght: 3 }`, 'x.yaml:4: fields.2.lenght: unknown word; known'],
  [`bitmapz: 2\n${head}  2: { encoding: ascii, length: 3 }`, 'x.yaml:1: bitmapz: unknown word'],
  [
    `${head}  1: { encoding: ascii, length: 3 }`,
    "x.yaml:4: fields.1: a field's number is 2 to 128",
  ],
  [`${head}  129: { encoding: ascii, length: 3 }`, 'fields.129: a field'],
  [`${head}  x: { encoding: ascii, length: 3 }`, 'fields.x: a field'],
  [`tertiaryBitmap: true\n${head}  65: { encoding: ascii, length: 3 }`, 'fields.65: bit 65'],
  [
    `bitmaps: 3\n${head}  2: { encoding: ascii, length: 3 }`,
    'x.yaml:1: bitmaps: three bitmaps need',
  ],
  [`${head}  2: { encoding: ascii }`, 'fields.2: needs `length` or `lengthPrefix`'],
  [`${head}  2: { encoding: ascii, length: 0 }`, 'fields.2.length: must be >= 1'],
  [`${head}  2: { encoding: ascii, length: 3, maxLength: 4 }`, 'fields.2.maxLength: belongs to'],
  [
    `${head}  2: { encoding: ascii, length: 3, lengthPrefix: { encoding: ascii, digits: 2 } }`,
    'fields.2.length: has `lengthPrefix` too',
  ],
  [
    `${head}  2: { encoding: ascii, lengthPrefix: { encoding: ascii, digits: 2 }, maxLength: 100 }`,
    'fields.2.maxLength: the prefix can say 99 at most',
  ],
  [
    `${head}  2: { encoding: ascii, lengthPrefix: { encoding: binary, digits: 2 } }`,
    'fields.2.lengthPrefix: binary is measured in `bytes`',
  ],
  [`${head}  2: { encoding: ascii, length: 3, padding: left }`, 'fields.2.padding: an ascii field'],
  [`${head}  2: { encoding: binary, length: 3, fill: F }`, 'fields.2.fill: an binary field'],
  [`${head}  2: { encoding: amount-bcd, length: 1 }`, 'fields.2.length: counts the sign'],
  [
    `header: [{ bytes: 2, value: '60' }]\n${head}  2: { encoding: ascii, length: 3 }`,
    'header.0.value',
  ],
  [
    `header: [{ bytes: 2, value: 6001 }]\n${head}  2: { encoding: ascii, length: 3 }`,
    'header.0.value',
  ],
]

refused.forEach(([text, expected], i) => {
  test(`refused ${i}: ${expected}`, () => {
    const loaded = loadDialect(text, 'x.yaml')
    assert.ok(!loaded.ok)
    const printed = loaded.problems.map(printDialectProblem)
    assert.ok(
      printed.some((line) => line.includes(expected)),
      printed.join('\n'),
    )
  })
})

test('every problem is reported, not the first only', () => {
  const loaded = loadDialect(
    `${head}  1: { encoding: ascii, length: 3 }\n  2: { encoding: ascii }\n`,
    'x.yaml',
  )
  assert.ok(!loaded.ok)
  assert.deepEqual(
    loaded.problems.map((problem) => problem.path),
    ['fields.1', 'fields.2'],
  )
})

test('a file that is too long, or whose aliases multiply, is refused', () => {
  assert.equal(loadDialect(' '.repeat(dialectTextMax + 1), 'x').ok, false)
  const bomb = ['a: &a [x, x, x, x, x, x, x, x, x, x]']
  for (let i = 0; i < 8; i++) {
    const [from, to] = ['abcdefghi'[i], 'abcdefghi'[i + 1]]
    bomb.push(`${to}: &${to} [${Array.from({ length: 10 }, () => `*${from}`).join(', ')}]`)
  }
  assert.equal(loadDialect(bomb.join('\n'), 'x').ok, false)
})
