import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import {
  brokenLinks,
  checkFiles,
  checkHouse,
  type HouseProblem,
  misnumberedDecisions,
  readPages,
  type SourceFile,
  strayRows,
} from './house.ts'
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

test('catches files of the product that import each other, and lets types and tests do it', () => {
  const ringOf = (first: string, second: string) =>
    checkFiles([
      { path: 'switch/admit.ts', text: first },
      { path: 'switch/steps/index.ts', text: `export * from './take-step.ts'` },
      { path: 'switch/steps/take-step.ts', text: second },
    ]).map(({ rule, message }) => `${rule}: ${message}`)
  const back = `import {\n  admit,\n} from '../admit.ts'`
  assert.deepEqual(ringOf(`import { isTombstone } from './steps/index.ts'`, back), [
    'cycle: imports itself by switch/steps/index.ts, switch/steps/take-step.ts: ' +
      'move what is shared',
  ])
  assert.deepEqual(ringOf(`import type { Step } from './steps/index.ts'`, back), [])
  assert.deepEqual(ringOf(`const late = () => import('./steps/index.ts')`, back), [])
  const test = { path: 'switch/a.test.ts', text: `import './b.test.ts'` }
  assert.deepEqual(
    checkFiles([test, { path: 'switch/b.test.ts', text: `import './a.test.ts'` }]),
    [],
  )
})

test('refuses to check nothing', () => {
  assert.throws(() => checkFiles([]), /no source file/)
})

test('decision records have a number each, in a row', () => {
  assert.deepEqual(misnumberedDecisions(readPages(PROJECT_ROOT)), [])
})

test('catches a decision with the number of another, and one that begins with a wrong number', () => {
  const record = (name: string, text: string) => ({ path: `switch/docs/decisions/${name}`, text })
  const found = misnumberedDecisions([
    record('0001-log.md', '# 0001: A log'),
    record('0001-pool.md', '# 0001: A pool'),
    record('0003-cel.md', '# 0002: CEL'),
  ])
  assert.equal(found.length, 2)
  assert.match(found[0] ?? '', /0001-pool\.md: its number is 0002/)
  assert.match(found[1] ?? '', /0003-cel\.md: begin with "# 0003: "/)
})

test('links between pages lead somewhere, and the index of the docs names each page', () => {
  const pages = readPages(PROJECT_ROOT)
  const exists = (file: string) => existsSync(path.join(PROJECT_ROOT, file))
  assert.deepEqual(brokenLinks(pages, exists), [])
  const index = pages.find((page) => page.path === 'switch/docs/README.md')?.text ?? ''
  const unnamed = pages
    .map((page) => path.posix.relative('switch/docs', page.path))
    .filter((page) => !page.startsWith('..') && page !== 'README.md')
    // Each preset stands in the index of the dialects.
    .filter((page) => !/^dialects\/(?!README)/.test(page))
    .filter((page) => !index.includes(`](${page})`))
  assert.deepEqual(unnamed, [])
})

test('catches a link that leads nowhere, and lets addresses through', () => {
  const text = '[a](gone.md) [b](here.md#there) [c](https://example.com/x.md)'
  assert.deepEqual(
    brokenLinks([{ path: 'switch/docs/a.md', text }], (file) => file === 'switch/docs/here.md'),
    ['switch/docs/a.md: gone.md is not there'],
  )
})

test('rows of tables stand in tables', () => {
  assert.deepEqual(strayRows(readPages(PROJECT_ROOT)), [])
})

test('catches rows behind a blank line, and lets code through', () => {
  const table = '| a | b |\n|---|:-:|\n| 1 | 2 |\n'
  const text = `${table}\n| 3 | 4 |\n\n\`\`\`\n| f |\n\`\`\`\n\n${table}`
  assert.deepEqual(strayRows([{ path: 'a.md', text }]), ['a.md:5 is a row without a table'])
})

test('a release of the changelog has its three headings once, no line twice, and no gap', () => {
  const changelog = readPages(PROJECT_ROOT).find((page) => page.path === 'CHANGELOG.md')
  const releases = (changelog?.text ?? '').split(/^## /m).slice(1)
  assert.ok(releases.length > 0)
  for (const release of releases) {
    const headings = [...release.matchAll(/^### (.*)$/gm)].map(([, heading]) => heading)
    assert.deepEqual(headings, ['Correctness and safety', 'Features', 'Internals'])
    const items = release.split('\n').filter((line) => line.startsWith('- '))
    assert.equal(new Set(items).size, items.length)
    assert.doesNotMatch(release, /^(- | {2}).*\n\n- /m)
  }
})
