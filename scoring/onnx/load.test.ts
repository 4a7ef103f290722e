import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, test } from 'node:test'
import fc from 'fast-check'
import onnxProto, { type onnx } from 'onnx-proto'
import { loadModel, type ModelFolder } from './load.ts'
import type { Manifest } from './manifest.ts'
import type { Model, ModelProblem } from './model.ts'

const { AttributeProto, ModelProto, TensorProto } = onnxProto.onnx
const { FLOATS, INTS, STRING, STRINGS } = AttributeProto.AttributeType
const { FLOAT, INT64 } = TensorProto.DataType

const NAMES = ['amount', 'count']

/** One tree: amount <= 10 (or missing) gives the first leaf, above it the second. */
function treeAttributes(leaves: readonly [number, number]): onnx.IAttributeProto[] {
  const text = (value: string) => new TextEncoder().encode(value)
  const ints = (name: string, values: number[]) => ({ name, type: INTS, ints: values })
  return [
    ints('nodes_treeids', [0, 0, 0]),
    ints('nodes_nodeids', [0, 1, 2]),
    ints('nodes_featureids', [0, 0, 0]),
    { name: 'nodes_values', type: FLOATS, floats: [10, 0, 0] },
    { name: 'nodes_modes', type: STRINGS, strings: ['BRANCH_LEQ', 'LEAF', 'LEAF'].map(text) },
    ints('nodes_truenodeids', [1, 0, 0]),
    ints('nodes_falsenodeids', [2, 0, 0]),
    ints('nodes_missing_value_tracks_true', [1, 0, 0]),
    ints('class_treeids', [0, 0]),
    ints('class_nodeids', [1, 2]),
    ints('class_ids', [0, 0]),
    { name: 'class_weights', type: FLOATS, floats: [...leaves] },
    ints('classlabels_int64s', [0, 1]),
    { name: 'post_transform', type: STRING, s: text('LOGISTIC') },
  ]
}

function tensor(name: string, elemType: number, dims: onnx.TensorShapeProto.IDimension[]) {
  return { name, type: { tensorType: { elemType, shape: { dim: dims } } } }
}

interface Changes {
  readonly nodes?: readonly onnx.INodeProto[]
  readonly initializer?: readonly onnx.ITensorProto[]
  readonly zipMap?: boolean
  readonly columns?: number
  readonly leaves?: readonly [number, number]
}

/** A classifier as exporters write it: label and probabilities, with ZipMap where asked for. */
function modelBytes(changes: Changes = {}): Uint8Array {
  const rows = { dimParam: 'N' }
  const classifier: onnx.INodeProto = {
    opType: 'TreeEnsembleClassifier',
    domain: 'ai.onnx.ml',
    input: ['x'],
    output: ['label', changes.zipMap ? 'raw_probabilities' : 'probabilities'],
    attribute: treeAttributes(changes.leaves ?? [-2, 2]),
  }
  const zipMap: onnx.INodeProto = {
    opType: 'ZipMap',
    domain: 'ai.onnx.ml',
    input: ['raw_probabilities'],
    output: ['probabilities'],
    attribute: [{ name: 'classlabels_int64s', type: INTS, ints: [0, 1] }],
  }
  const maps: onnx.IValueInfoProto = {
    name: 'probabilities',
    type: {
      sequenceType: {
        elemType: {
          mapType: { keyType: INT64, valueType: { tensorType: { elemType: FLOAT } } },
        },
      },
    },
  }
  const model = ModelProto.create({
    irVersion: 8,
    opsetImport: [
      { domain: '', version: 15 },
      { domain: 'ai.onnx.ml', version: 3 },
    ],
    graph: {
      name: 'tiny',
      node: [classifier, ...(changes.zipMap ? [zipMap] : []), ...(changes.nodes ?? [])],
      initializer: [...(changes.initializer ?? [])],
      input: [tensor('x', FLOAT, [rows, { dimValue: changes.columns ?? NAMES.length }])],
      output: [
        tensor('label', INT64, [rows]),
        changes.zipMap ? maps : tensor('probabilities', FLOAT, [rows, { dimValue: 2 }]),
      ],
    },
  })
  return ModelProto.encode(model).finish()
}

const logistic = (raw: number) => 1 / (1 + Math.exp(-raw))

function manifestOf(bytes: Uint8Array, changes: Partial<Manifest> = {}): Manifest {
  return {
    format: 1,
    name: 'tiny',
    version: '3',
    createdAt: '2026-11-22T10:00:00Z',
    modelSha256: createHash('sha256').update(bytes).digest('hex'),
    featureNames: NAMES,
    positiveClass: 1,
    bands: [
      { name: 'approve', from: 0 },
      { name: 'decline', from: 0.8 },
    ],
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
    parity: [
      { name: 'small', inputs: [1, 1], score: logistic(-2) },
      { name: 'large', inputs: [11, null], score: logistic(2) },
      { name: 'missing', inputs: [null, null], score: logistic(-2) },
    ],
    psiBaseline: {
      score: { name: 'score', edges: [], shares: [1], missingShare: 0 },
      features: [],
    },
    ...changes,
  }
}

function folderOf(files: Readonly<Record<string, Uint8Array | string>>): ModelFolder {
  return {
    path: 'models/tiny',
    async read(name, sizeBytesMax) {
      const content = files[name]
      if (content === undefined) return { ok: false, cause: 'missing', message: `no ${name}` }
      const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
      return bytes.length > sizeBytesMax
        ? { ok: false, cause: 'too_large', message: `${name} has ${bytes.length} bytes` }
        : { ok: true, bytes }
    },
  }
}

function load(bytes: Uint8Array, changes: Partial<Manifest> = {}, names = NAMES) {
  const manifest = JSON.stringify(manifestOf(bytes, changes))
  const folder = folderOf({ 'manifest.json': manifest, 'model.onnx': bytes })
  return loadModel(folder, { featureNames: names })
}

const opened: Model[] = []
after(async () => {
  for (const model of opened) await model.release()
})

async function accepted(bytes: Uint8Array, changes: Partial<Manifest> = {}): Promise<Model> {
  const result = await load(bytes, changes)
  assert.ok(result.ok, result.ok ? '' : result.problem.message)
  opened.push(result.model)
  return result.model
}

async function refused(
  bytes: Uint8Array,
  changes: Partial<Manifest> = {},
  names = NAMES,
): Promise<ModelProblem> {
  const result = await load(bytes, changes, names)
  assert.ok(!result.ok, 'the model must be refused')
  assert.match(result.problem.message, /^models\/tiny: /)
  return result.problem
}

test('a classifier answers with the probability of the positive class', async () => {
  const bytes = modelBytes()
  const model = await accepted(bytes)
  assert.equal(model.name, 'tiny')
  assert.equal(model.version, `3+${createHash('sha256').update(bytes).digest('hex').slice(0, 8)}`)
  const scores = await model.score(Float32Array.of(11, 0, 9, 0, Number.NaN, 0, -1, -1), 3)
  assert.deepEqual(
    [...scores].map((score) => score.toFixed(5)),
    ['0.88080', '0.11920', '0.11920'],
  )
  const other = await accepted(bytes, { positiveClass: 0, parity: [complement(11)] })
  assert.ok(((await other.score(Float32Array.of(11, 0), 1))[0] as number) < 0.2)
})

function complement(amount: number) {
  return { name: 'other', inputs: [amount, 0], score: 1 - logistic(2) }
}

test('a ZipMap node is taken out', async () => {
  const model = await accepted(modelBytes({ zipMap: true }))
  const scores = await model.score(Float32Array.of(11, 0), 1)
  assert.ok(Math.abs((scores[0] as number) - logistic(2)) < 1e-6)
})

test('batches of any size give each row its own score', async () => {
  const model = await accepted(modelBytes())
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.float({ noNaN: false }), { minLength: 1, maxLength: 100 }),
      async (amounts) => {
        const features = Float32Array.from(amounts.flatMap((amount) => [amount, 0]))
        const scores = await model.score(features, amounts.length)
        assert.equal(scores.length, amounts.length)
        amounts.forEach((amount, row) => {
          const expected = amount > 10 ? logistic(2) : logistic(-2)
          assert.ok(Math.abs((scores[row] as number) - expected) < 1e-6, `${amount}`)
        })
      },
    ),
    { numRuns: 50 },
  )
})

test('a call with too few values or too many rows rejects', async () => {
  const model = await accepted(modelBytes())
  await assert.rejects(model.score(new Float32Array(3), 2), RangeError)
  await assert.rejects(model.score(new Float32Array(3), 0), RangeError)
  await assert.rejects(model.score(new Float32Array(20_000), 10_000), RangeError)
})

test('absent and unreadable files are refused', async () => {
  const expected = { featureNames: NAMES }
  const manifest = JSON.stringify(manifestOf(modelBytes()))
  const cases: ReadonlyArray<readonly [Readonly<Record<string, Uint8Array | string>>, string]> = [
    [{}, 'manifest_missing'],
    [{ 'manifest.json': '{' }, 'manifest_unreadable'],
    [{ 'manifest.json': ' '.repeat(5_000_000) }, 'manifest_unreadable'],
    [{ 'manifest.json': '{}' }, 'manifest_invalid'],
    [{ 'manifest.json': manifest }, 'model_missing'],
    [{ 'manifest.json': manifest, 'model.onnx': new Uint8Array(20_000_000) }, 'model_too_large'],
  ]
  for (const [files, code] of cases) {
    const result = await loadModel(folderOf(files), expected)
    assert.equal(result.ok ? 'ok' : result.problem.code, code)
  }
})

test('a file that is not the one of the manifest is refused', async () => {
  const bytes = modelBytes()
  const { modelSha256 } = manifestOf(bytes)
  const truncated = bytes.slice(0, bytes.length - 20)
  assert.equal((await refused(truncated, { modelSha256 })).code, 'hash_mismatch')
})

test('a truncated file is refused even with the right hash', async () => {
  const bytes = modelBytes()
  assert.equal((await refused(bytes.slice(0, bytes.length - 20))).code, 'model_unreadable')
  assert.equal((await refused(new Uint8Array(0))).code, 'model_unreadable')
})

test('random bytes are refused and never throw', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      await refused(bytes)
    }),
    { numRuns: 100 },
  )
})

test('an operator outside the allow-list is refused', async () => {
  const custom = { opType: 'Shell', domain: 'com.example', input: ['x'], output: ['y'] }
  const problem = await refused(modelBytes({ nodes: [custom] }))
  assert.equal(problem.code, 'operator_refused')
  assert.match(problem.message, /com\.example\.Shell/)
  const loop = { opType: 'Loop', input: ['x'], output: ['y'] }
  assert.equal((await refused(modelBytes({ nodes: [loop] }))).code, 'operator_refused')
})

test('a subgraph hidden in an allowed operator is refused', async () => {
  const attribute = [{ name: 'body', type: 5, g: { name: 'hidden', node: [{ opType: 'If' }] } }]
  const node = { opType: 'Identity', input: ['x'], output: ['y'], attribute }
  assert.equal((await refused(modelBytes({ nodes: [node] }))).code, 'operator_refused')
})

test('external data is refused', async () => {
  const external: onnx.ITensorProto = {
    name: 'weights',
    dataType: FLOAT,
    dims: [1],
    dataLocation: TensorProto.DataLocation.EXTERNAL,
    externalData: [{ key: 'location', value: '../../etc/hostname' }],
  }
  const problem = await refused(modelBytes({ initializer: [external] }))
  assert.equal(problem.code, 'external_data')
  assert.match(problem.message, /weights/)
  const constant: onnx.INodeProto = {
    opType: 'Constant',
    output: ['y'],
    attribute: [{ name: 'value', type: 4, t: { ...external, dataLocation: 0 } }],
  }
  assert.equal((await refused(modelBytes({ nodes: [constant] }))).code, 'external_data')
})

test('features in another order are refused and named', async () => {
  const problem = await refused(modelBytes(), {}, ['count', 'amount'])
  assert.equal(problem.code, 'feature_order')
  assert.match(problem.message, /column 0 is amount .* count/)
  assert.equal((await refused(modelBytes(), {}, ['amount'])).code, 'feature_order')
  assert.equal((await refused(modelBytes(), {}, [...NAMES, 'more'])).code, 'feature_order')
})

test('an input of another width is refused', async () => {
  assert.equal((await refused(modelBytes({ columns: 3 }))).code, 'input_refused')
})

test('an output without the positive class is refused', async () => {
  const problem = await refused(modelBytes(), { positiveClass: 'fraud' })
  assert.equal(problem.code, 'output_refused')
})

test('what the runtime refuses is refused', async () => {
  const unknownInput = { opType: 'Identity', input: ['nowhere'], output: ['y'] }
  const problem = await refused(modelBytes({ nodes: [unknownInput] }))
  assert.equal(problem.code, 'runtime_refused')
})

test('a vector that scores NaN is refused by name', async () => {
  const bytes = modelBytes({ leaves: [-2, Number.NaN] })
  const problem = await refused(bytes)
  assert.equal(problem.code, 'not_finite')
  assert.match(problem.message, /parity vector large/)
})

test('a NaN at run time rejects the call', async () => {
  const bytes = modelBytes({ leaves: [-2, Number.NaN] })
  const model = await accepted(bytes, {
    parity: [{ name: 'small', inputs: [1, 1], score: logistic(-2) }],
  })
  await assert.rejects(model.score(Float32Array.of(1, 0, 11, 0), 2), /row 1 scores NaN/)
})

test('parity within 1e-6 passes, beyond it the vector is named', async () => {
  const bytes = modelBytes()
  const vector = (difference: number) => [
    { name: 'edge', inputs: [1, 1], score: logistic(-2) + difference },
  ]
  await accepted(bytes, { parity: vector(8e-7) })
  for (const difference of [1.3e-6, -1.3e-6, 0.5]) {
    const problem = await refused(bytes, { parity: vector(difference) })
    assert.equal(problem.code, 'parity')
    assert.match(problem.message, /parity vector edge scores 0\.1192/)
  }
})

test('inconsistent manifests are refused', async () => {
  const bytes = modelBytes()
  const cases: ReadonlyArray<Partial<Manifest>> = [
    { parity: [] },
    { parity: [{ name: 'short', inputs: [1], score: 0.5 }] },
    { featureNames: ['amount', 'amount'] },
    { bands: [{ name: 'high', from: 0.5 }] },
    { bands: ['a', 'b'].map((name) => ({ name, from: 0 })) },
    { modelSha256: 'abc' },
    { psiBaseline: { score: { name: 's', edges: [], shares: [], missingShare: 0 }, features: [] } },
  ]
  for (const changes of cases) {
    assert.equal((await refused(bytes, changes)).code, 'manifest_invalid', JSON.stringify(changes))
  }
})
