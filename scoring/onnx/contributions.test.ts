import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import onnxProto, { type onnx } from 'onnx-proto'
import { createExplainer, type Explainer } from './contributions.ts'
import { readGraph } from './graph.ts'

const { AttributeProto, ModelProto, TensorProto } = onnxProto.onnx
const { FLOATS, INTS, STRING, STRINGS } = AttributeProto.AttributeType
const WIDTH = 3

type Tree = number | Split
interface Split {
  readonly feature: number
  readonly threshold: number
  readonly mode: 'BRANCH_LEQ' | 'BRANCH_LT' | 'BRANCH_GTE' | 'BRANCH_GT'
  readonly missingYes: boolean
  readonly hits: number
  readonly yes: Tree
  readonly no: Tree
}

const weight = fc.integer({ min: -40, max: 40 }).map((eighths) => eighths / 8)

const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    weight,
    fc.record({
      feature: fc.nat({ max: WIDTH - 1 }),
      threshold: fc.integer({ min: -3, max: 3 }),
      mode: fc.constantFrom('BRANCH_LEQ', 'BRANCH_LT', 'BRANCH_GTE', 'BRANCH_GT'),
      missingYes: fc.boolean(),
      hits: fc.integer({ min: 0, max: 9 }),
      yes: tie('tree'),
      no: tie('tree'),
    }),
  ),
}))

/** What a tree says of a row, without any explanation. */
function leafOf(of: Tree, row: Float32Array): number {
  if (typeof of === 'number') return of
  const value = row[of.feature] as number
  const goesYes = Number.isNaN(value)
    ? of.missingYes
    : {
        BRANCH_LEQ: value <= of.threshold,
        BRANCH_LT: value < of.threshold,
        BRANCH_GTE: value >= of.threshold,
        BRANCH_GT: value > of.threshold,
      }[of.mode]
  return leafOf(goesYes ? of.yes : of.no, row)
}

interface Columns {
  readonly tree: number[]
  readonly node: number[]
  readonly feature: number[]
  readonly value: number[]
  readonly mode: string[]
  readonly yes: number[]
  readonly no: number[]
  readonly missing: number[]
  readonly hits: number[]
  readonly leaves: { readonly tree: number; readonly node: number; readonly weight: number }[]
}

function addTree(columns: Columns, number: number, root: Tree): void {
  let next = 0
  const add = (of: Tree): number => {
    const id = next++
    const at = columns.tree.length
    const split = typeof of === 'number' ? undefined : of
    columns.tree.push(number)
    columns.node.push(id)
    columns.feature.push(split?.feature ?? 0)
    columns.value.push(split?.threshold ?? 0)
    columns.mode.push(split?.mode ?? 'LEAF')
    columns.missing.push(split?.missingYes ? 1 : 0)
    columns.hits.push(split?.hits ?? 1)
    columns.yes.push(0)
    columns.no.push(0)
    if (split === undefined) columns.leaves.push({ tree: number, node: id, weight: of as number })
    else {
      columns.yes[at] = add(split.yes)
      columns.no[at] = add(split.no)
    }
    return id
  }
  add(root)
}

function modelOf(trees: readonly Tree[], base: number, changes: Record<string, string> = {}) {
  const columns: Columns = {
    ...{ tree: [], node: [], feature: [], value: [], mode: [] },
    ...{ yes: [], no: [], missing: [], hits: [], leaves: [] },
  }
  trees.forEach((root, number) => {
    addTree(columns, number, root)
  })
  const { leaves } = columns
  const text = (value: string) => new TextEncoder().encode(value)
  const ints = (name: string, values: number[]) => ({ name, type: INTS, ints: values })
  const floats = (name: string, values: number[]) => ({ name, type: FLOATS, floats: values })
  const attribute: onnx.IAttributeProto[] = [
    ints('nodes_treeids', columns.tree),
    ints('nodes_nodeids', columns.node),
    ints('nodes_featureids', columns.feature),
    floats('nodes_values', columns.value),
    floats('nodes_hitrates', columns.hits),
    { name: 'nodes_modes', type: STRINGS, strings: columns.mode.map(text) },
    ints('nodes_truenodeids', columns.yes),
    ints('nodes_falsenodeids', columns.no),
    ints('nodes_missing_value_tracks_true', columns.missing),
    ints(
      'target_treeids',
      leaves.map((leaf) => leaf.tree),
    ),
    ints(
      'target_nodeids',
      leaves.map((leaf) => leaf.node),
    ),
    ints(
      'target_ids',
      leaves.map(() => 0),
    ),
    floats(
      'target_weights',
      leaves.map((leaf) => leaf.weight),
    ),
    floats('base_values', [base]),
    ...Object.entries(changes).map(([name, value]) => ({ name, type: STRING, s: text(value) })),
  ]
  const shape = { dim: [{ dimParam: 'N' }, { dimValue: WIDTH }] }
  const tensor = (name: string) => ({
    name,
    type: { tensorType: { elemType: TensorProto.DataType.FLOAT, shape } },
  })
  return ModelProto.encode({
    irVersion: 8,
    opsetImport: [{ domain: 'ai.onnx.ml', version: 3 }],
    graph: {
      name: 'trees',
      node: [
        { opType: 'TreeEnsembleRegressor', input: ['x'], output: ['score'], attribute },
      ] as onnx.INodeProto[],
      input: [tensor('x')],
      output: [tensor('score')],
    },
  }).finish()
}

function explainerOf(trees: readonly Tree[], base = 0): Extract<Explainer, { ok: true }> {
  const explainer = createExplainer(modelOf(trees, base), 1, [], WIDTH)
  assert.ok(explainer.ok, explainer.ok ? '' : explainer.reason)
  return explainer
}

const cell = fc.oneof(fc.integer({ min: -4, max: 4 }), fc.constant(Number.NaN))
const row = fc.tuple(cell, cell, cell).map((cells) => Float32Array.from(cells))

test('base and contributions sum to the raw score, whatever the trees', () => {
  fc.assert(
    fc.property(
      fc.array(tree, { minLength: 1, maxLength: 6 }),
      weight,
      row,
      (trees, base, cells) => {
        const explainer = explainerOf(trees, base)
        const into = new Float64Array(WIDTH)
        const raw = explainer.explain(cells, 0, into)
        const expected = trees.reduce<number>((sum, each) => sum + leafOf(each, cells), base)
        assert.ok(Math.abs(raw - expected) < 1e-9)
        const sum = into.reduce((total, amount) => total + amount, explainer.base)
        assert.ok(Math.abs(sum - raw) < 1e-9, `${sum} is not ${raw}`)
      },
    ),
    { numRuns: 500 },
  )
})

test('a feature that no split on the way asked has no part in it', () => {
  fc.assert(
    fc.property(tree, row, (root, cells) => {
      const asked = new Set<number>()
      const walk = (of: Tree): void => {
        if (typeof of === 'number') return
        asked.add(of.feature)
        walk(of.yes)
        walk(of.no)
      }
      walk(root)
      const into = new Float64Array(WIDTH)
      explainerOf([root]).explain(cells, 0, into)
      into.forEach((amount, feature) => {
        if (!asked.has(feature)) assert.equal(amount, 0)
      })
    }),
  )
})

test('the rows of training that went each way weigh what a split expects', () => {
  const split = { feature: 1, threshold: 0, mode: 'BRANCH_LEQ', missingYes: true, hits: 4 } as const
  const common: Split = { ...split, feature: 0, hits: 3, yes: 0, no: 0 }
  const rare: Split = { ...split, feature: 0, hits: 1, yes: 8, no: 8 }
  const explainer = explainerOf([{ ...split, yes: common, no: rare }])
  assert.equal(explainer.base, 2)
  const into = new Float64Array(WIDTH)
  assert.equal(explainer.explain(Float32Array.of(0, 5, 0), 0, into), 8)
  assert.deepEqual([...into], [0, 6, 0])
})

test('what is no sum of trees over the features says why it is not explained', () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ post_transform: 'SOFTMAX' }, /by SOFTMAX/],
    [{ aggregate_function: 'MAX' }, /not summed/],
  ]
  for (const [changes, reason] of cases) {
    const explainer = createExplainer(modelOf([1], 0, changes), 1, [], WIDTH)
    assert.match(explainer.ok ? '' : explainer.reason, reason)
  }
})

const FIXTURES = new URL('fixtures/', import.meta.url)

test('files of real exporters are explained, or say why not', () => {
  const { featureNames, fixtures } = JSON.parse(
    readFileSync(new URL('fixtures.json', FIXTURES), 'utf8'),
  ) as {
    featureNames: string[]
    fixtures: {
      name: string
      positiveClass: string | number
      parity: { inputs: (number | null)[]; score: number }[]
    }[]
  }
  const explained: string[] = []
  for (const { name, positiveClass, parity } of fixtures) {
    const read = readGraph(readFileSync(new URL(`${name}.onnx`, FIXTURES)), positiveClass)
    assert.ok(read.ok)
    const { bytes, classes } = read.graph
    const explainer = createExplainer(bytes, positiveClass, classes, featureNames.length)
    if (!explainer.ok) continue
    const into = new Float64Array(featureNames.length)
    const agrees = parity.every(({ inputs, score }) => {
      const cells = Float32Array.from(inputs, (value) => value ?? Number.NaN)
      const raw = explainer.explain(cells, 0, into)
      const sum = into.reduce((total, amount) => total + amount, explainer.base)
      assert.ok(Math.abs(sum - raw) < 1e-9)
      return Math.abs(explainer.output(raw) - score) < 1e-4
    })
    if (agrees) explained.push(name)
  }
  for (const name of ['lightgbm', 'xgboost', 'catboost', 'catboost-text', 'forest-text', 'tree']) {
    assert.ok(explained.includes(name), `${name}: ${explained.join(', ')}`)
  }
  assert.ok(!explained.some((name) => /logistic|columns|isolation/.test(name)))
})
