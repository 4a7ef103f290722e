import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { documentedExamples, generatedFiles } from './generated.ts'
import { createConditionChecker } from './language/index.ts'

const folder = dirname(fileURLToPath(import.meta.url))

for (const { name, text } of generatedFiles()) {
  test(`${name} is current (switchyard rules generate writes it)`, () => {
    assert.equal(readFileSync(join(folder, name), 'utf8'), text)
  })
}

test('every documented example is a condition', () => {
  const checker = createConditionChecker(['stolen-cards', 'open-proxies', 'watched-merchants'])
  for (const example of documentedExamples()) {
    const result = checker.check(example)
    assert.ok(result.ok, `${example}: ${result.ok ? '' : result.problems[0]?.message}`)
  }
})
