// Files as real exporters write them (fixtures/make.py) load unchanged and score the same.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { calibrated } from './calibration.ts'
import { loadModel, type ModelFolder } from './load.ts'
import type { Calibration, Manifest } from './manifest.ts'
import type { ModelResult } from './model.ts'

interface Fixture {
  readonly name: string
  readonly positiveClass: string | number
  readonly calibration?: Calibration
  readonly parity: Manifest['parity']
}

const FOLDER = new URL('fixtures/', import.meta.url)
const { featureNames, fixtures } = JSON.parse(
  readFileSync(new URL('fixtures.json', FOLDER), 'utf8'),
) as { featureNames: string[]; fixtures: Fixture[] }

function manifestOf(fixture: Fixture, bytes: Uint8Array, names = featureNames): Manifest {
  return {
    format: 1,
    version: '1',
    createdAt: '2026-11-22T10:00:00Z',
    modelSha256: createHash('sha256').update(bytes).digest('hex'),
    featureNames: names,
    bands: [{ name: 'low', from: 0 }],
    training: {},
    dataSha256: '0'.repeat(64),
    testMetrics: {
      rows: 1,
      fraudRows: 0,
      rocAuc: 0.5,
      averagePrecision: 0,
      brierScore: 0,
      logLoss: 0,
      bands: [],
      kinds: [],
    },
    psiBaseline: {
      score: { name: 'score', edges: [], shares: [1], missingShare: 0 },
      features: [],
    },
    ...fixture,
  }
}

function load(fixture: Fixture, names = featureNames): Promise<ModelResult> {
  const bytes = readFileSync(new URL(`${fixture.name}.onnx`, FOLDER))
  const files: Record<string, Uint8Array> = {
    'manifest.json': Buffer.from(JSON.stringify(manifestOf(fixture, bytes, names))),
    'model.onnx': bytes,
  }
  const folder: ModelFolder = {
    path: fixture.name,
    async read(name) {
      return { ok: true, bytes: files[name] ?? new Uint8Array(0) }
    },
  }
  return loadModel(folder, { featureNames: names })
}

for (const fixture of fixtures) {
  test(`${fixture.name} loads as it was exported and scores as its exporter's runtime`, async () => {
    const loaded = await load(fixture)
    assert.ok(loaded.ok, loaded.ok ? '' : loaded.problem.message)
    const { model } = loaded
    const rows = fixture.parity.length
    const inputs = Float32Array.from(
      fixture.parity.flatMap(({ inputs }) => inputs.map((value) => value ?? Number.NaN)),
    )
    const scores = await model.score(inputs, rows)
    for (const [row, { score }] of fixture.parity.entries()) {
      const expected = calibrated(score, fixture.calibration)
      assert.ok(Math.abs((scores[row] as number) - expected) <= 1e-6, `row ${row}`)
    }
    assert.ok(new Set(scores).size > 2, 'a model that tells rows apart')
    await model.release()
  })
}

test('every exporter and form is there', () => {
  const names = fixtures.map(({ name }) => name)
  for (const part of ['lightgbm', 'xgboost', 'catboost', 'logistic', 'forest', 'columns']) {
    assert.ok(
      names.some((name) => name.includes(part)),
      part,
    )
  }
})

test('an input a column must have the name of a feature', async () => {
  const columns = fixtures.find(({ name }) => name === 'columns') as Fixture
  const renamed = await load(columns, ['amount', 'share', 'count', 'channel', 'night'])
  assert.equal(renamed.ok ? 'ok' : renamed.problem.code, 'feature_order')
  const narrower = await load({ ...columns, parity: [{ name: 'row', inputs: [1], score: 0.5 }] }, [
    'amount',
  ])
  assert.equal(narrower.ok ? 'ok' : narrower.problem.code, 'feature_order')
})

test('a column of whole numbers is not scored where its value is missing', async () => {
  const mixed = fixtures.find(({ name }) => name === 'columns-mixed') as Fixture
  const loaded = await load(mixed)
  assert.ok(loaded.ok)
  const row = Float32Array.of(1, 1, 1, Number.NaN, 0)
  await assert.rejects(loaded.model.score(row, 1), /channel takes int64/)
  await loaded.model.release()
})

test('without its calibration an isolation forest is refused: its scores are no probabilities', async () => {
  const { calibration, ...bare } = fixtures.find(
    ({ name }) => name === 'isolation-forest',
  ) as Fixture
  assert.equal(calibration?.method, 'sigmoid')
  const loaded = await load(bare)
  assert.equal(loaded.ok ? 'ok' : loaded.problem.code, 'output_refused')
})
