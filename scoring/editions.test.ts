import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { bundleRuleFiles, checkRuleSet, FilesRead, type RuleFile, readRuleFiles } from '#rules'
import { Editions } from './editions.ts'
import { readModelSnapshot } from './pool.ts'
import { createEmbeddedVelocity } from './velocity/index.ts'

const RULES = new URL('../rules', import.meta.url).pathname
const MODEL = new URL('models/switchyard-trees', import.meta.url).pathname

const pack = (number: number): RuleFile => ({
  name: 'packs/reloaded.yaml',
  text: `typology: reloaded
rules:
  - id: reloaded.one
    title: Changes with every reload
    mode: live
    when: merchant.id == "M-reloaded-${number}"
    outcome: review
    reason: reloaded
`,
})

// What a reload leaves would be 0.1 MB, 6 in all.
test('after many reloads as much memory is in use as after a few', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const megabytes = () => {
    collect()
    return process.memoryUsage().heapUsed / 1e6
  }
  const shipped = await readRuleFiles(RULES)
  const model = await readModelSnapshot(MODEL)
  const editions = new Editions({
    velocity: createEmbeddedVelocity(),
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    entityKey: new Uint8Array(32),
    turn: () => new Promise((resolve) => setImmediate(resolve)),
  })
  // What the trial's thread does, and what a worker does, one after the other.
  const filesRead = new FilesRead()
  let number = 0
  const reload = async () => {
    const files = [...shipped, pack(++number)]
    const checked = checkRuleSet(files, filesRead)
    assert.ok(checked.ok)
    const rules = bundleRuleFiles(files, checked.ruleSet.hash, filesRead)
    filesRead.forgetUnused()
    const prepared = await editions.prepare({ number, rules, model, challengers: [] })
    assert.ok(prepared.ok)
    if (number > 1) await editions.retire(number - 1)
  }
  for (let n = 0; n < 10; n++) await reload()
  const before = megabytes()
  for (let n = 0; n < 60; n++) await reload()
  const grown = megabytes() - before
  await editions.close()
  assert.ok(grown < 2.5, `${grown.toFixed(1)} MB more after 60 reloads`)
})
