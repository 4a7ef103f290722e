import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { checkRuleSet, ruleChanges } from './check-rule-set.ts'
import { FilesRead } from './files-read.ts'
import { compileRuleSet, compileRuleSetInSlices } from './load.ts'
import type { RuleFile } from './problem.ts'
import { bundleRuleFiles, filesOfBundle } from './rule-bundle.ts'
import { sampleFacts, sampleInput } from './sample-facts.ts'

const pack = (typology: string, id: string, when: string, outcome: string) => `typology: ${typology}
rules:
  - { id: ${id}, title: One, mode: live, outcome: ${outcome}, reason: one, when: '${when}' }
`
const tests = (outcome: string) => `cases:
  - { name: a case, given: { merchant: { id: M-1 } }, expect: { outcome: ${outcome} } }
`
/** Each file in the versions that it may have; the last of some is wrong, undefined is absent. */
const versions: Readonly<Record<string, readonly (string | undefined)[]>> = {
  'packs/a.yaml': [
    pack('a', 'a.one', 'amount > 5', 'review'),
    pack('a', 'a.one', 'inList(merchant.id, "watched")', 'decline'),
    pack('a', 'a.one', 'amuont > 5', 'review'),
  ],
  'packs/b.yaml': [
    undefined,
    pack('b', 'b.one', 'amount > 7', 'review'),
    pack('b', 'a.one', 'true', 'review'),
  ],
  'packs/a.test.yaml': [undefined, tests('review'), tests('decline')],
  'lists/watched.csv': [undefined, 'value\nM-1\n', 'value\nM-2\n', 'value\nM-1\nM-1\n'],
  'lists/fx.csv': [undefined, 'currency,from,rate\n'],
}

const folders = fc
  .record(
    Object.fromEntries(
      Object.entries(versions).map(([name, texts]) => [name, fc.constantFrom(...texts)]),
    ),
  )
  .map((folder): readonly RuleFile[] =>
    Object.entries(folder).flatMap(([name, text]) => (text === undefined ? [] : { name, text })),
  )

test('what was read before changes nothing but the work', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(folders, { minLength: 2, maxLength: 8 }), async (history) => {
      const [ofTrial, ofWorker] = [new FilesRead(), new FilesRead()]
      let last = history[0] as readonly RuleFile[]
      for (const folder of history) {
        const [fresh, again] = [checkRuleSet(folder), checkRuleSet(folder, ofTrial)]
        if (!fresh.ok || !again.ok) assert.deepEqual(again, fresh)
        else {
          assert.equal(again.ruleSet.hash, fresh.ruleSet.hash)
          assert.equal(again.testsPassed, fresh.testsPassed)
          assert.deepEqual(ruleChanges(last, folder, ofTrial), ruleChanges(last, folder))
          last = folder
          const { hash } = fresh.ruleSet
          const files = filesOfBundle(bundleRuleFiles(folder, hash))
          const inWorker = await compileRuleSetInSlices(files, hash, () => undefined, ofWorker)
          assert.ok(inWorker.ok)
          for (const id of ['M-1', 'M-2']) {
            const merchant = { ...sampleFacts.merchant, id }
            const facts = { ...sampleFacts, amount: 6, merchant }
            const input = sampleInput(fresh.ruleSet, 0, { facts })
            assert.deepEqual(inWorker.ruleSet.evaluate(input), fresh.ruleSet.evaluate(input))
          }
          ofWorker.forgetUnused()
        }
        ofTrial.forgetUnused()
      }
    }),
    { numRuns: 60 },
  )
})

test('only what changed is read: the rest is the same object', () => {
  const before = new FilesRead()
  const files = [
    { name: 'packs/a.yaml', text: versions['packs/a.yaml']?.[1] ?? '' },
    { name: 'lists/watched.csv', text: 'value\nM-1\n' },
  ]
  const listOf = () => {
    const compiled = compileRuleSet(files, before)
    before.forgetUnused()
    assert.ok(compiled.ok)
    return compiled.lists.named.get('watched')
  }
  const first = listOf()
  assert.equal(listOf(), first)
  files[1] = { name: 'lists/watched.csv', text: 'value\nM-2\n' }
  const second = listOf()
  assert.notEqual(second, first)
  files[1] = { name: 'lists/watched.csv', text: 'value\nM-1\n' }
  // It was not asked for once, so it is not held any more.
  assert.notEqual(listOf(), first)
})
