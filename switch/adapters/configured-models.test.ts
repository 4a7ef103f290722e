import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import type { Config } from '../config/index.ts'
import type { KeptModel, ModelRecord, ModelSwaps } from '../operations/index.ts'
import { readConfigFile } from './config-files.ts'
import { modelsToTry, openConfiguredModels, readConfiguredRecord } from './configured-models.ts'
import { openConfiguredScorer } from './configured-scorer.ts'
import { readKeyFile } from './key-files.ts'
import { createSystemRandom } from './system-clock.ts'

const SHIPPED = fileURLToPath(new URL('../../scoring/models/switchyard-trees', import.meta.url))
const log = pino({ level: 'silent' })
let folder: string
let config: Config

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'switchyard-models-'))
  const environment = {
    DATA_DIR: path.join(folder, 'data'),
    MODEL_DIR: path.join(folder, 'models'),
  }
  const read = readConfigFile(environment)
  assert.ok(read.ok)
  config = { ...read.config, scoring: { ...read.config.scoring, model: 'one' } }
  for (const [name, version] of [
    ['one', '1'],
    ['two', '2'],
  ] as const) {
    await cp(SHIPPED, modelFile(name), { recursive: true })
    const file = modelFile(name, 'manifest.json')
    await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), version }))
  }
})
after(() => rm(folder, { recursive: true }))

const modelFile = (...parts: string[]) => path.join(folder, 'models', ...parts)

/** A start, as far as models go. */
async function started(
  run: (swaps: ModelSwaps) => Promise<void>,
  challengers: string[] = [],
): Promise<void> {
  const starting = { ...config, scoring: { ...config.scoring, challengers } }
  const file = path.join(folder, 'keys.json')
  const random = createSystemRandom()
  const keys = readKeyFile({ file, dataDir: config.dataDir, isProduction: false, random })
  assert.ok(keys.ok)
  const scorer = await openConfiguredScorer(starting, keys.keys, log)
  assert.ok(scorer.ok, JSON.stringify(scorer))
  try {
    const { pool, models } = scorer
    const options = { config: starting, scorer: pool, journal: { log }, models }
    const opened = await openConfiguredModels(options)
    assert.ok(opened.ok, JSON.stringify(opened))
    await run(opened.swaps)
  } finally {
    await scorer.pool.close()
  }
}

test('what was chosen decides after a restart, and a bad model never keeps one from coming back', async () => {
  // The same bytes twice in one set are one kept copy.
  await started(
    async (swaps) => {
      assert.deepEqual([swaps.status.model, swaps.status.chosenSince], ['one', null])
      assert.equal(swaps.status.challengers.length, 1)
      assert.equal((await swaps.use({ model: 'two', challengers: [] })).status, 200)
    },
    ['one'],
  )
  // Its folder is not needed any more: a copy was kept.
  await truncate(modelFile('two', 'model.onnx'), 1_000)
  await started(async (swaps) => {
    const { model, version, chosenSince, configured, previous } = swaps.status
    assert.deepEqual([model, configured, previous?.model], ['two', 'one', 'one'])
    assert.match(version, /^2\+/)
    assert.ok(chosenSince !== null && Date.parse(chosenSince) > 0)
    assert.equal((await swaps.use({ model: 'two' })).status, 422)
    assert.equal((await swaps.release()).status, 200)
  })
  // The configured model is broken now: what decided last goes on, and says so.
  await truncate(modelFile('one', 'model.onnx'), 1_000)
  await started(async (swaps) => {
    const { model, version, refusedAtStart } = swaps.status
    assert.match(swaps.line, /^1\+.*refused at the start: .*hash_mismatch/)
    assert.equal(model, 'one')
    assert.match(version, /^1\+/)
    assert.match(refusedAtStart.join(), /hash_mismatch .*one/)
  })
})

const kept = (name: string): KeptModel => ({ name, version: `${name}+1`, key: `key-of-${name}` })

function tried(record: Partial<ModelRecord>, challengers: string[] = []): readonly string[] {
  const scoring = { ...config.scoring, challengers }
  const empty: ModelRecord = { chosenSince: null, model: null, challengers: [], before: [] }
  return modelsToTry({ ...config, scoring }, { ...empty, ...record }).map((each) =>
    [each.model, ...each.challengers].map((place) => path.basename(place.folder)).join(' '),
  )
}

test('a start tries what was ordered, without shadows, the configured, what decided last', () => {
  assert.deepEqual(tried({}), ['one'])
  assert.deepEqual(tried({}, ['two']), ['one two', 'one'])
  assert.deepEqual(tried({ model: kept('last') }), ['one', 'key-of-last'])
  const chosen = { chosenSince: '2026-11-22T10:00:00Z', model: kept('a') }
  assert.deepEqual(tried({ ...chosen, challengers: [kept('b')] }, ['two']), [
    'key-of-a key-of-b',
    'key-of-a',
    'one',
  ])
})

test('a record that can not be read keeps the start from guessing', async () => {
  const models = path.join(config.dataDir, 'models')
  await mkdir(models, { recursive: true })
  for (const text of ['torn', 'null', '{}']) {
    await writeFile(path.join(models, 'record.json'), text)
    const read = await readConfiguredRecord(config)
    assert.match(read.ok ? '' : read.problems.join(), /models: .*remove it/)
  }
})
