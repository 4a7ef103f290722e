// What a worker starts with and changes to: a bad model is refused by its name, the old one stays.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import onnxProto, { type onnx } from 'onnx-proto'
import { bundleRuleFiles, compileRuleSet, type RuleFile, readRuleFiles } from '#rules'
import { Editions } from './editions.ts'
import type { Manifest, ModelProblemCode } from './onnx/index.ts'
import { readModelSnapshot } from './pool.ts'
import type { ScoringRequest } from './request.ts'
import type { ModelSnapshot } from './start.ts'
import { createEmbeddedVelocity } from './velocity/index.ts'

const { ModelProto, TensorProto } = onnxProto.onnx
const folder = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const shipped = await readModelSnapshot(folder('models/switchyard-trees'))
const lists = (await readRuleFiles(folder('../rules'))).filter(({ name }) =>
  name.startsWith('lists/'),
)
const PACK =
  'typology: all\nrules:\n  - id: all.all\n    title: All\n    mode: live\n    when: amount > 0\n' +
  '    outcome: review\n    reason: all\n'
const files: readonly RuleFile[] = [...lists, { name: 'packs/all.yaml', text: PACK }]
const compiled = compileRuleSet(files)
assert.ok(compiled.ok)
const rules = bundleRuleFiles(files, compiled.ruleSet.hash)

function bytesOf(name: string): Uint8Array {
  const file = shipped.files[name]
  assert.ok(file?.ok)
  return Uint8Array.from(file.bytes)
}

const manifest = JSON.parse(Buffer.from(bytesOf('manifest.json')).toString()) as Manifest

/** The shipped model, changed. The manifest names the new file's hash unless it says another. */
function changed(bytes: Uint8Array, changes: Partial<Manifest> = {}): ModelSnapshot {
  const modelSha256 = createHash('sha256').update(bytes).digest('hex')
  const text = JSON.stringify({ ...manifest, modelSha256, ...changes })
  return {
    path: 'models/bad',
    revision: 2,
    files: {
      'manifest.json': { ok: true, bytes: Buffer.from(text) },
      'model.onnx': { ok: true, bytes },
    },
  }
}

/** The file with its graph changed in place. */
function withGraph(change: (graph: onnx.IGraphProto) => void): Uint8Array {
  const model = ModelProto.decode(bytesOf('model.onnx'))
  change(model.graph as onnx.IGraphProto)
  return ModelProto.encode(model).finish()
}

const whole = bytesOf('model.onnx')
const [first, second, ...rest] = manifest.featureNames as [string, string, ...string[]]

const BAD: readonly (readonly [string, ModelProblemCode, ModelSnapshot])[] = [
  ['a truncated file', 'model_unreadable', changed(whole.subarray(0, whole.length / 2))],
  ['a wrong hash', 'hash_mismatch', changed(whole, { modelSha256: '0'.repeat(64) })],
  [
    'an unknown operator',
    'operator_refused',
    changed(
      withGraph(({ node }) => {
        ;(node?.[0] as onnx.INodeProto).opType = 'Loop'
      }),
    ),
  ],
  [
    'external data',
    'external_data',
    changed(
      withGraph((graph) => {
        const dataLocation = TensorProto.DataLocation.EXTERNAL
        const externalData = [{ key: 'location', value: '/etc/hostname' }]
        graph.initializer = [
          { name: 'outside', dataType: 1, dims: [1], dataLocation, externalData },
        ]
      }),
    ),
  ],
  [
    'features in another order',
    'feature_order',
    changed(whole, { featureNames: [second, first, ...rest] }),
  ],
  [
    'an output that is no number',
    'not_finite',
    changed(
      withGraph(({ node }) => {
        for (const { attribute } of node ?? []) {
          for (const each of attribute ?? []) {
            if (!each.name?.endsWith('_weights')) continue
            each.floats = (each.floats ?? []).map(() => Number.NaN)
          }
        }
      }),
    ),
  ],
  [
    'a parity vector that is off by more than 1e-6',
    'parity',
    changed(whole, {
      parity: manifest.parity.map((vector, i) =>
        i === 0 ? { ...vector, score: vector.score + (vector.score > 0.5 ? -2e-6 : 2e-6) } : vector,
      ),
    }),
  ],
]

function openEditions(): Editions {
  return new Editions({
    velocity: createEmbeddedVelocity(),
    clock: { now: () => 1_800_000_000_000, monotonic: () => performance.now() },
    entityKey: new Uint8Array(32).fill(3),
    turn: () => new Promise((resolve) => setImmediate(resolve)),
  })
}

const edition = (number: number, model: ModelSnapshot, challengers: ModelSnapshot[] = []) => ({
  ...{ number, rules, model, challengers },
})

const request: ScoringRequest = {
  id: 'auth_1',
  eventHash: '9e3779b97f4a7c15',
  arrivedAtMs: 1_800_000_000_000,
  acquirer: 'demo',
  type: 'authorization',
  amount: 199,
  currency: 'EUR',
  channel: 'pos',
  card: { token: 'tok_1', bin: '47617390' },
  merchant: { id: 'M-1', mcc: '5411' },
}

async function codeOf(
  prepared: ReturnType<Editions['prepare']>,
): Promise<ModelProblemCode | 'taken'> {
  const result = await prepared
  if (result.ok) return 'taken'
  const [problem] = result.problems
  assert.ok(problem?.kind === 'model' && result.problems.length === 1)
  assert.match(problem.problem.message, /^models\/bad: /)
  return problem.problem.code
}

test('each bad model keeps a start from deciding by it, and says which and why', async () => {
  for (const [what, code, model] of BAD) {
    const editions = openEditions()
    assert.equal(await codeOf(editions.prepare(edition(1, model))), code, what)
    assert.equal(editions.hasAny, false)
    await editions.close()
  }
})

test('each bad model, as champion or in shadow, leaves a running edition as it was', async () => {
  const editions = openEditions()
  assert.ok((await editions.prepare(edition(1, shipped))).ok)
  const scoreOf = async () => {
    const [decision] = (await editions.scoring(1)?.score([request], 10_000))?.decisions ?? []
    return [decision?.model, typeof decision?.score]
  }
  const before = await scoreOf()
  assert.deepEqual(before, [`${manifest.version}+${manifest.modelSha256.slice(0, 8)}`, 'number'])
  let number = 1
  for (const [what, code, model] of BAD) {
    assert.equal(await codeOf(editions.prepare(edition(++number, model))), code, what)
    assert.equal(await codeOf(editions.prepare(edition(++number, shipped, [model]))), code, what)
    assert.equal(editions.scoring(number), undefined)
    assert.deepEqual(await scoreOf(), before, what)
  }
  await editions.close()
})
