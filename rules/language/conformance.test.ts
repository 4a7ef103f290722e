// The conformance suite of CEL (cel-spec, tests/simple) against our checker and compiler. Every
// case of a file that has to do with our subset is run: it agrees, it is outside the subset (the
// checker refuses it, and says why), or it differs on purpose. The last two stand by case in
// conformance.txt. CONFORMANCE=write writes that file anew.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { tests } from '@bufbuild/cel-spec/testdata/conformance.js'
import type { RuleFacts } from '../rule-set.ts'
import { createConditionChecker } from './check.ts'
import { compileConditions } from './compile.ts'

interface Case {
  readonly original: {
    readonly name: string
    readonly expr: string
    readonly value?: Readonly<Record<string, unknown>>
    readonly evalError?: unknown
  }
  /** The kind of the result, by the suite's own type checker. */
  readonly type?: string
}

interface Suite {
  readonly name: string
  readonly tests?: readonly Case[]
  readonly suites?: readonly Suite[]
}

/** Files about what we left out as a whole (switch/docs/decisions/0004-cel.md says why). */
const outsideFiles: Readonly<Record<string, string>> = {
  bindings_ext: 'an extension: local variables',
  block_ext: 'an extension: common parts of an optimizer',
  dynamic: 'protocol buffer wrapper types',
  encoders_ext: 'an extension: base64',
  enums: 'protocol buffer enumerations',
  macros: 'list and map macros',
  macros2: 'list and map macros',
  math_ext: 'an extension: mathematics',
  namespace: 'names in containers',
  optionals: 'an extension: optional values',
  proto2: 'protocol buffer messages',
  proto2_ext: 'protocol buffer extensions',
  proto3: 'protocol buffer messages',
  string_ext: 'an extension: more functions on texts',
  timestamps: 'time stamps and durations',
  unknowns: 'has no cases',
  wrappers: 'protocol buffer wrapper types',
}

const checker = createConditionChecker([])
const noFacts = { card: {}, merchant: {}, terminal: {}, device: {}, customer: {}, threeDs: {} }

/** Our language has conditions only, so another result is compared with what it should be. */
function conditionOf({ original: { expr, value = {} }, type }: Case): string {
  const [kind] = Object.keys(value)
  const compared = (text: string) => `(${expr}) == ${text}`
  if (kind === 'int64Value') return compared(String(value.int64Value))
  if (kind === 'stringValue') return compared(JSON.stringify(value.stringValue))
  if (kind === 'doubleValue') {
    const text = String(value.doubleValue)
    return compared(/^-?\d+$/.test(text) ? `${text}.0` : text)
  }
  const zero = { int: '0', double: '0.0', string: '""' }[type ?? '']
  return kind === undefined && zero !== undefined ? compared(zero) : expr
}

/** `agrees`, `outside <why>` or `differs <how>`. */
function judge(one: Case): string {
  const { value, evalError } = one.original
  const checked = checker.check(conditionOf(one))
  if (!checked.ok) return `outside ${checked.problems[0]?.code}`
  const kind = Object.keys(value ?? {})[0]
  const isBool = kind === 'boolValue'
  if (evalError === undefined && !isBool && !/^(int64|double|string)Value$/.test(kind ?? '')) {
    return `outside ${kind ?? 'no value'}`
  }
  const expected = evalError !== undefined ? 'unknown' : String(isBool ? value?.boolValue : true)
  const found = {
    hits: new Uint16Array(1),
    unknown: new Uint16Array(1),
    counts: new Uint32Array(2),
  }
  const evaluate = compileConditions([checked.condition.expression], [], new Map())
  const facts = noFacts as unknown as RuleFacts
  evaluate(facts, new Float64Array(), new Uint8Array(), Number.NaN, Number.NaN, found)
  const said = found.counts[0] === 1 ? 'true' : found.counts[1] === 1 ? 'unknown' : 'false'
  return said === expected ? 'agrees' : `differs ${said}, not ${expected}`
}

function casesOf(suite: Suite, path: string): { path: string; one: Case }[] {
  const own = (suite.tests ?? []).map((one) => ({ path: `${path}/${one.original.name}`, one }))
  const inner = (suite.suites ?? []).flatMap((each) => casesOf(each, `${path}/${each.name}`))
  return [...own, ...inner]
}

const listing = join(dirname(fileURLToPath(import.meta.url)), 'conformance.txt')

test('the conformance suite agrees where it is about our subset', () => {
  const lines: string[] = []
  let agreed = 0
  for (const file of (tests as unknown as Suite).suites ?? []) {
    const cases = casesOf(file, file.name)
    const why = outsideFiles[file.name]
    const verdicts = cases.map(({ path, one }) => ({ path, verdict: judge(one) }))
    if (why !== undefined) {
      assert.ok(
        verdicts.every(({ verdict }) => verdict !== 'agrees'),
        file.name,
      )
      lines.push(`${file.name}: outside, ${cases.length} cases: ${why}`)
      continue
    }
    agreed += verdicts.filter(({ verdict }) => verdict === 'agrees').length
    for (const { path, verdict } of verdicts) {
      if (verdict !== 'agrees') lines.push(`${path}: ${verdict}`)
    }
  }
  const text = `${agreed} cases agree; the others:\n\n${lines.join('\n')}\n`
  if (process.env.CONFORMANCE === 'write') writeFileSync(listing, text)
  assert.equal(readFileSync(listing, 'utf8'), text)
  assert.ok(agreed >= 250, `${agreed}`)
})
