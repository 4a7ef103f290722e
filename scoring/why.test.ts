import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { openModelFolder } from './adapters/index.ts'
import { FEATURE_NAMES, FEATURES } from './features.ts'
import { CONTRIBUTIONS_MAX } from './limits.ts'
import { loadModel, type Model } from './onnx/index.ts'
import { whyOf } from './why.ts'

const SHIPPED = fileURLToPath(new URL('models/switchyard-trees', import.meta.url))

let model: Model
before(async () => {
  const loaded = await loadModel(openModelFolder(SHIPPED), { featureNames: FEATURE_NAMES })
  assert.ok(loaded.ok)
  model = loaded.model
})
after(() => model.release())

const cell = fc.oneof(
  fc.integer({ min: 0, max: 12 }),
  fc.double({ min: 0, max: 1e6, noNaN: true }),
  fc.constant(Number.NaN),
)
const row = fc
  .array(cell, { minLength: FEATURES.length, maxLength: FEATURES.length })
  .map((cells) => Float32Array.from(cells))

test('base, contributions and others make the raw score, and the raw score the probability', async () => {
  await fc.assert(
    fc.asyncProperty(row, async (cells) => {
      const why = whyOf(model, cells, 0)
      assert.equal(why.unexplained, null)
      const { raw, base, contributions, others } = why
      const named = contributions.reduce((sum, { amount }) => sum + amount, 0)
      assert.ok(Math.abs((base ?? Number.NaN) + named + others - (raw ?? Number.NaN)) < 1e-9)
      const [score] = await model.score(cells, 1)
      assert.ok(Math.abs(1 / (1 + Math.exp(-(raw ?? Number.NaN))) - (score ?? Number.NaN)) < 1e-4)
    }),
    { numRuns: 200 },
  )
})

test('the largest come first, in the words of the feature table', () => {
  fc.assert(
    fc.property(row, fc.nat({ max: 3 }), (cells, rowsBefore) => {
      const offset = rowsBefore * FEATURES.length
      const batch = new Float32Array(offset + FEATURES.length).fill(Number.NaN)
      batch.set(cells, offset)
      const { contributions, others } = whyOf(model, batch, offset)
      assert.ok(contributions.length <= CONTRIBUTIONS_MAX)
      const sizes = contributions.map(({ amount }) => Math.abs(amount))
      assert.deepEqual(
        sizes,
        sizes.toSorted((one, other) => other - one),
      )
      assert.ok(contributions.length === CONTRIBUTIONS_MAX || others === 0)
      for (const { feature, meaning, value } of contributions) {
        const column = FEATURE_NAMES.indexOf(feature)
        assert.equal(meaning, FEATURES[column]?.meaning)
        const seen = cells[column] as number
        assert.equal(value, Number.isNaN(seen) ? null : seen)
      }
    }),
    { numRuns: 200 },
  )
})

test('a model that cannot be explained says so', () => {
  const { raw, contributions, unexplained } = whyOf(
    { ...model, explainer: { ok: false, reason: 'it is no tree ensemble' } },
    new Float32Array(FEATURES.length),
    0,
  )
  assert.deepEqual([raw, contributions, unexplained], [null, [], 'it is no tree ensemble'])
})
