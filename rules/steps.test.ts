import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readRuleFiles } from './adapters/index.ts'
import { compileFallback, compileRuleSet, compileRuleSetInSlices } from './load.ts'
import { bundleRuleFiles, filesOfBundle } from './rule-bundle.ts'
import { atOnce, inSlices, type Steps } from './steps.ts'

function* counting(to: number): Steps<number> {
  let sum = 0
  for (let i = 1; i <= to; i++) {
    sum += i
    yield
  }
  return sum
}

test('work in slices gives what it gives at once, whenever it pauses', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(50), fc.array(fc.boolean()), async (to, pauses) => {
      let asked = 0
      const pause = () => (pauses[asked++ % pauses.length] ? Promise.resolve() : undefined)
      assert.equal(await inSlices(counting(to), pause), atOnce(counting(to)))
      assert.equal(asked, to)
    }),
  )
})

test('others get their turn between the steps of a rule set, and it decides the same', async () => {
  const files = await readRuleFiles(new URL('.', import.meta.url).pathname)
  const whole = compileRuleSet(files)
  assert.ok(whole.ok)
  let turns = 0
  const ticking = setInterval(() => turns++, 0)
  const sliced = await compileRuleSetInSlices(
    filesOfBundle(bundleRuleFiles(files, whole.ruleSet.hash)),
    whole.ruleSet.hash,
    () => new Promise((resolve) => setTimeout(resolve, 1)),
  )
  clearInterval(ticking)
  assert.ok(sliced.ok)
  assert.ok(turns >= whole.ruleSet.rules.length, `${turns} turns`)
  assert.equal(sliced.ruleSet.hash, whole.ruleSet.hash)
  assert.deepEqual(sliced.ruleSet.rules, whole.ruleSet.rules)
  assert.deepEqual(sliced.ruleSet.aggregates, whole.ruleSet.aggregates)
  assert.deepEqual([...sliced.lists.named.keys()], [...whole.lists.named.keys()])
})

test('a bundle holds the texts as they are, without the tests of the packs', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string({ unit: 'grapheme' })), (texts) => {
      const files = texts.map((text, i) => ({ name: `lists/${i}.csv`, text }))
      const tests = { name: 'packs/a.test.yaml', text: 'cases: []' }
      const found = filesOfBundle(bundleRuleFiles([tests, ...files], 'abc'))
      assert.deepEqual(
        found.map(({ name, text }) => ({ name, text })),
        files,
      )
    }),
  )
})

test('the fallback decides as the whole set does where parts are missing', async () => {
  const files = await readRuleFiles(new URL('.', import.meta.url).pathname)
  const whole = compileRuleSet(files)
  assert.ok(whole.ok)
  const bundle = bundleRuleFiles(files, whole.ruleSet.hash)
  const fallback = await compileFallback(bundle, () => undefined)
  assert.equal(fallback.hash, whole.ruleSet.hash)
  const atMs = Date.UTC(2026, 10, 22)
  for (const currency of ['EUR', 'USD', 'JPY', 'XXX']) {
    const amount = fallback.baseAmount(2599, currency, atMs)
    assert.equal(amount, whole.lists.baseAmount(2599, currency, atMs))
    for (const velocity of [true, false]) {
      const missing = { velocity, model: !velocity }
      assert.deepEqual(
        fallback.outcomeWhenMissing(missing, 'ecommerce', amount),
        whole.ruleSet.outcomeWhenMissing(missing, 'ecommerce', amount),
      )
    }
  }
})
