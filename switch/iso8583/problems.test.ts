import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { framingProblemCodes } from './framing.ts'
import { isoProblemCodes } from './message.ts'

test('the page has a row for every problem code, and no other', () => {
  const page = readFileSync(new URL('../docs/iso8583.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| `([a-z_]+)` +\|/gm)].map((match) => match[1])
  assert.deepEqual(rows, [...isoProblemCodes, ...framingProblemCodes])
})

test('every problem code of a message is produced by a test', () => {
  const tests = ['compile-dialect.test.ts', 'subfields.test.ts', 'framing.test.ts']
  const text = tests.map((file) => readFileSync(new URL(file, import.meta.url), 'utf8')).join('')
  for (const code of [...isoProblemCodes, ...framingProblemCodes]) {
    assert.ok(text.includes(`'${code}'`), code)
  }
})
