import assert from 'node:assert/strict'
import test from 'node:test'
import { checkFiles, checkHouse, type HouseProblem, type SourceFile } from './house.ts'
import { PROJECT_ROOT } from './run-tool.ts'

const rulesFound = (path: string, text: string): HouseProblem['rule'][] =>
  checkFiles([{ path, text } satisfies SourceFile]).map((problem) => problem.rule)

test('the tree keeps the rules of the house', () => {
  const problems = checkHouse(PROJECT_ROOT).map(
    ({ file, line, message }) => `${file}:${line} ${message}`,
  )
  assert.ok(problems.length === 0, problems.join('\n'))
})

// The canaries: each must be caught, or the check above proves nothing.
const canaries: readonly [string, string, HouseProblem['rule']][] = [
  ['rules/pack.ts', `import { Scorer } from '#scoring'`, 'layer'],
  ['scoring/score.ts', `import { Pan } from '#switch'`, 'layer'],
  ['scoring/score.ts', `import { Pan } from '../switch/card-data/index.ts'`, 'layer'],
  ['switch/main.ts', `import { run } from '../load-tests/main.ts'`, 'layer'],
  ['switch/route.ts', `import { Ring } from '#bench'`, 'layer'],
  ['switch/claim.ts', `import { frame } from './store/segment-log.ts'`, 'door'],
  ['switch/issuers/link.ts', `import { x } from '../iso8583/compile.ts'`, 'door'],
  ['load-tests/driver.ts', `import { x } from '../switch/card-data/pan.ts'`, 'door'],
  ['switch/claim.ts', `const now = Date.now()`, 'world'],
  ['scoring/decide.ts', `setTimeout(() => {}, 5)`, 'world'],
  ['switch/admit.ts', `import { readFileSync } from 'node:fs'`, 'world'],
  ['switch/admit.ts', `const level = process.env.LOG_LEVEL`, 'world'],
  ['switch/utils.ts', ``, 'name'],
  ['switch/route.ts', `// ${'TO'}DO: later`, 'leftover'],
  ['switch/route.ts', `/** ${'CON'}TRACT: 64 KiB. */`, 'citation'],
  ['switch/route.test.ts', `test('as ${'SEM'}ANTICS says', () => {`, 'citation'],
  ['switch/route.ts', `// ${'long '.repeat(30)}`, 'width'],
]

for (const [path, text, rule] of canaries) {
  test(`catches ${rule} in ${path}: ${text.slice(0, 50)}`, () => {
    assert.deepEqual(rulesFound(path, text), [rule])
  })
}

test('lets the right imports through', () => {
  assert.deepEqual(rulesFound('switch/claim.ts', `import { X } from '#scoring'`), [])
  assert.deepEqual(rulesFound('switch/claim.ts', `import { X } from './store/index.ts'`), [])
  assert.deepEqual(rulesFound('switch/store/log.ts', `import { X } from '../ports.ts'`), [])
  assert.deepEqual(rulesFound('load-tests/driver.ts', `import { X } from '#switch'`), [])
  assert.deepEqual(
    rulesFound('scoring/pool.test.ts', `import { X } from '../load-tests/processes/redis.ts'`),
    [],
  )
})

test('refuses to check nothing', () => {
  assert.throws(() => checkFiles([]), /no source file/)
})
