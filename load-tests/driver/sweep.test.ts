import assert from 'node:assert/strict'
import test from 'node:test'
import { compileRuleSet } from '#rules'
import { medianOf, spreadOf } from './against.ts'
import { issuerPlan } from './issuer-plan.ts'
import { readLoadOptions } from './options.ts'
import { packOf, readSweep } from './sweep.ts'

test('a sweep names one thing and two or more sizes', () => {
  assert.deepEqual(readSweep('rules=10,1000'), { of: 'rules', values: [10, 1_000] })
  assert.match(String(readSweep('rule=10,1000')), /not rule: did you mean rules\?/)
  for (const wrong of ['cards', 'cards=5', 'cards=1,x', 'issuers=1,51', 'connections=0,5']) {
    assert.match(String(readSweep(wrong)), /takes two or more whole numbers/, wrong)
  }
})

test('the packs of a sweep are rules that load', () => {
  for (const count of [1, 10, 200]) {
    const compiled = compileRuleSet([{ name: 'packs/swept.yaml', text: packOf(count) }])
    assert.ok(compiled.ok, JSON.stringify(compiled).slice(0, 500))
    assert.equal(compiled.ruleSet.rules.length, count)
  }
})

test('issuers of a sweep share all BINs of eight digits, each has its own', () => {
  const running = [
    { name: 'demo-a', port: 1 },
    { name: 'demo-b', port: 2 },
  ] as unknown as Parameters<typeof issuerPlan>[1]
  const { config, ledgerOf } = issuerPlan(50, running)
  const routes = config.routes as readonly { readonly bins: readonly string[]; issuer: string }[]
  assert.equal(routes.length, 51)
  const bins = routes.flatMap((route) => route.bins)
  assert.equal(new Set(bins).size, 101)
  assert.ok(routes.every((route) => route.bins.length > 0))
  assert.equal(ledgerOf('demo-a-17'), 'demo-a')
  assert.equal(ledgerOf('demo-b'), 'demo-b')
  assert.deepEqual(issuerPlan(undefined, running).config, {})
})

test('ratios are those of medians, the spread that of turns in pairs', () => {
  const one = (value: number) => value
  assert.equal(medianOf([3, 1, 2]), 2)
  assert.equal(medianOf([4, 1, 2, 3]), 2.5)
  assert.deepEqual(spreadOf([40, 60, 50], [1, 2, 1], one), { median: 50, least: 30, most: 50 })
})

for (const [args, message] of [
  [['--against', 'nobody'], /takes echo, plain or an http/],
  [['--against', 'http://192.0.2.1/'], /--i-own-this-target/],
  [['--against', 'plain', '--sweep', 'rules=1,2'], /one of them/],
  [['--against', 'plain', '--target', 'http://127.0.0.1:1'], /start the switch themselves/],
  [['--sweep', 'rulez=1,2'], /did you mean rules/],
  [['--turns', '0'], /--turns/],
  [['--compare', 'one'], /takes two reports/],
] as const) {
  test(`refuses ${args.join(' ')}`, () => {
    const read = readLoadOptions(args)
    assert.ok(read.kind === 'wrong')
    assert.match(read.message, message)
  })
}
