import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { documentedExamples, documentedList, documentedPack, generatedFiles } from './generated.ts'
import { createConditionChecker } from './language/index.ts'
import { compileRuleSet } from './load.ts'
import { packShape, ruleShape } from './rule-file.ts'

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

test('the documented pack and list load', () => {
  const result = compileRuleSet([
    { name: 'packs/example.yaml', text: documentedPack },
    { name: 'lists/stolen-cards.csv', text: documentedList },
    { name: 'lists/trusted-merchants.csv', text: 'value\nM-1001\n' },
  ])
  assert.ok(result.ok, JSON.stringify(result.problems))
  assert.equal(result.lists.named.get('stolen-cards')?.size, 2)
})

test('the documented pack has every field that decides something', () => {
  for (const shape of [packShape, ruleShape]) {
    assert.ok(shape.kind === 'record')
    const prose = ['description', 'sources', 'falsePositives']
    for (const field of Object.keys(shape.fields).filter((name) => !prose.includes(name))) {
      assert.match(documentedPack, new RegExp(`\\b${field}: ?`), field)
    }
  }
})
