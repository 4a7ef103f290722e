// Why a tree ensemble scored as it did: path attribution (Saabas, 2014). Every node of a tree has
// an expected value; on the way from the root to a leaf each split moves it, and that move is put
// down to the feature that was asked.
//
//         root 0.1 -- amount > 10 --> 0.4 -- count > 3 --> leaf 0.9
//         base 0.1     amount +0.3           count +0.5    raw 0.9
//
// Summed over the trees: base + contributions = raw score. It reads the trees out of the ONNX file
// (TreeEnsembleClassifier and -Regressor), so it needs nothing but the model. The expected value of
// a node is the mean of its children, weighted by `nodes_hitrates` (how many rows of training went
// there); exporters leave that at 1, then both children count alike.

import onnxProto, { type onnx } from 'onnx-proto'

/** Contributions of one model, or why it has none. */
export type Explainer =
  | {
      readonly ok: true
      /** Raw score of no row in particular: contributions are what a row adds to it. */
      readonly base: number
      /**
       * Writes the contribution of each feature of the row at `features[offset ...]` to `into`, and
       * returns the raw score (before the logistic function, where the model has one).
       */
      readonly explain: (features: Float32Array, offset: number, into: Float64Array) => number
      /** The output of the file for a raw score. */
      readonly output: (raw: number) => number
    }
  | { readonly ok: false; readonly reason: string }

const { ModelProto } = onnxProto.onnx

const MODES = ['LEAF', 'BRANCH_LEQ', 'BRANCH_LT', 'BRANCH_GTE', 'BRANCH_GT'] as const
const LEAF = 0

/** All nodes of all trees, one after the other. */
interface Trees {
  readonly roots: Uint32Array
  readonly modes: Uint8Array
  readonly features: Uint32Array
  readonly thresholds: Float64Array
  /** Where to go when the comparison holds, and when it doesn't: indexes of nodes. */
  readonly yes: Uint32Array
  readonly no: Uint32Array
  readonly missingYes: Uint8Array
  /** Expected raw value at each node. */
  readonly values: Float64Array
  readonly base: number
  readonly logistic: boolean
}

/**
 * Reads the trees of a file that `readGraph` took. `positive`: the class, `classes`: all of them in
 * the output's order, empty for a regressor. Whoever asks should compare `output` of the raw score
 * with the runtime's own, since what stands between trees and output is not followed.
 */
export function createExplainer(
  bytes: Uint8Array,
  positive: string | number,
  classes: readonly string[],
  featureCount: number,
): Explainer {
  const graph = ModelProto.decode(bytes).graph
  const ensembles = (graph?.node ?? []).filter(({ opType }) => /^TreeEnsemble/.test(opType ?? ''))
  const [node] = ensembles
  if (graph == null || node === undefined) return refuse('it is no tree ensemble')
  if (ensembles.length > 1) return refuse('it has more than one tree ensemble')
  if (node.opType === 'TreeEnsemble') return refuse('trees of ai.onnx.ml 5 are not read')
  if (!(graph.input ?? []).some(({ name }) => name === node.input?.[0])) {
    return refuse('its trees read what other operators made of the features')
  }
  const trees = readTrees(node, classes.indexOf(String(positive)), featureCount)
  if (typeof trees === 'string') return refuse(trees)
  const { base, logistic, roots, values } = trees
  return {
    ok: true,
    base: base + roots.reduce((sum, root) => sum + (values[root] as number), 0),
    explain: (features, offset, into) => attribute(trees, features, offset, into),
    output: (raw) => (logistic ? 1 / (1 + Math.exp(-raw)) : raw),
  }
}

function refuse(reason: string): Explainer {
  return { ok: false, reason }
}

/** Follows the row through every tree. Allocates nothing. */
function attribute(
  trees: Trees,
  features: Float32Array,
  offset: number,
  into: Float64Array,
): number {
  const { roots, modes, thresholds, yes, no, missingYes, values } = trees
  into.fill(0)
  let raw = trees.base
  for (let tree = 0; tree < roots.length; tree++) {
    let node = roots[tree] as number
    while (modes[node] !== LEAF) {
      const feature = trees.features[node] as number
      const value = features[offset + feature] as number
      const goesYes = Number.isNaN(value)
        ? missingYes[node] === 1
        : holds(modes[node] as number, value, thresholds[node] as number)
      const child = (goesYes ? yes[node] : no[node]) as number
      into[feature] =
        (into[feature] as number) + (values[child] as number) - (values[node] as number)
      node = child
    }
    raw += values[node] as number
  }
  return raw
}

function holds(mode: number, value: number, threshold: number): boolean {
  if (mode === 1) return value <= threshold
  if (mode === 2) return value < threshold
  return mode === 3 ? value >= threshold : value > threshold
}

/** The trees, or why they are not read. */
function readTrees(
  node: onnx.INodeProto,
  positiveColumn: number,
  featureCount: number,
): Trees | string {
  const of = attributes(node)
  const transform = of.text('post_transform') || 'NONE'
  if (transform !== 'NONE' && transform !== 'LOGISTIC') return `its output is by ${transform}`
  if ((of.text('aggregate_function') || 'SUM') !== 'SUM') return 'its trees are not summed'
  if (of.hasTensors) return 'its thresholds are float64'
  const modes = of.texts('nodes_modes').map((mode) => (MODES as readonly string[]).indexOf(mode))
  if (modes.includes(-1)) return 'its trees compare in a way that is not read'
  const treeIds = of.integers('nodes_treeids')
  const nodeIds = of.integers('nodes_nodeids')
  const place = new Map(treeIds.map((tree, at) => [`${tree} ${nodeIds[at]}`, at]))
  const at = (tree: number | undefined, id: number | undefined) => place.get(`${tree} ${id}`) ?? -1
  const children = (name: string) => {
    const ids = of.integers(name)
    return treeIds.map((tree, node) => (modes[node] === LEAF ? node : at(tree, ids[node])))
  }
  const yes = children('nodes_truenodeids')
  const no = children('nodes_falsenodeids')
  const features = of.integers('nodes_featureids')
  if (yes.includes(-1) || no.includes(-1)) return 'its trees have holes'
  // A child stands behind its parent in every exporter's order; so no path can go round in circles.
  if (yes.some((child, node) => modes[node] !== LEAF && child <= node)) return 'its nodes disorder'
  if (no.some((child, node) => modes[node] !== LEAF && child <= node)) return 'its nodes disorder'
  if (features.some((feature) => feature >= featureCount)) return 'its trees read other features'
  const leaves = leafValues(node, of, positiveColumn, treeIds.length, at)
  if (typeof leaves === 'string') return leaves
  const missing = of.integers('nodes_missing_value_tracks_true')
  const roots = treeIds.flatMap((tree, node) => (tree === treeIds[node - 1] ? [] : [node]))
  return {
    roots: Uint32Array.from(roots),
    modes: Uint8Array.from(modes),
    features: Uint32Array.from(features),
    thresholds: Float64Array.from(of.floats('nodes_values')),
    yes: Uint32Array.from(yes),
    no: Uint32Array.from(no),
    missingYes: Uint8Array.from(treeIds, (_, node) => missing[node] ?? 0),
    values: expectedValues(leaves.values, modes, yes, no, of.floats('nodes_hitrates')),
    base: leaves.base,
    logistic: transform === 'LOGISTIC',
  }
}

interface Leaves {
  readonly values: Float64Array
  readonly base: number
}

/** What each leaf adds to the positive class, and what is added to all rows. */
function leafValues(
  node: onnx.INodeProto,
  of: Attributes,
  positiveColumn: number,
  nodes: number,
  at: (tree: number | undefined, id: number | undefined) => number,
): Leaves | string {
  const prefix = node.opType === 'TreeEnsembleRegressor' ? 'target' : 'class'
  const ids = of.integers(`${prefix}_ids`)
  const trees = of.integers(`${prefix}_treeids`)
  const nodeIds = of.integers(`${prefix}_nodeids`)
  const weights = of.floats(`${prefix}_weights`)
  const bases = of.floats('base_values')
  const kinds = new Set(ids)
  // Weights of one class only stand for the second of two, as the operator has it.
  const single = kinds.size === 1
  if (!single && !kinds.has(positiveColumn)) return 'its leaves do not name the positive class'
  const sign = single && prefix === 'class' && positiveColumn === 0 ? -1 : 1
  const values = new Float64Array(nodes)
  for (const [i, id] of ids.entries()) {
    const leaf = at(trees[i], nodeIds[i])
    if (leaf < 0) return 'its leaves have holes'
    if (single || id === positiveColumn) {
      values[leaf] = (values[leaf] as number) + sign * (weights[i] ?? 0)
    }
  }
  const base = bases[bases.length > 1 ? positiveColumn : 0] ?? 0
  // Where the trees give a probability, that of the first class is what is left of 1.
  const isShare = sign < 0 && (of.text('post_transform') || 'NONE') === 'NONE'
  return { values, base: sign * base + (isShare ? 1 : 0) }
}

/** Leaves keep their value; a split has the weighted mean of its children, which come later. */
function expectedValues(
  leaves: Float64Array,
  modes: readonly number[],
  yes: readonly number[],
  no: readonly number[],
  hitRates: readonly number[],
): Float64Array {
  const values = Float64Array.from(leaves)
  for (let node = modes.length - 1; node >= 0; node--) {
    if (modes[node] === LEAF) continue
    const [left, right] = [yes[node] as number, no[node] as number]
    const [leftRate, rightRate] = [hitRates[left] ?? 0, hitRates[right] ?? 0]
    const share = leftRate + rightRate > 0 ? leftRate / (leftRate + rightRate) : 0.5
    values[node] = share * (values[left] as number) + (1 - share) * (values[right] as number)
  }
  return values
}

interface Attributes {
  integers(name: string): readonly number[]
  floats(name: string): readonly number[]
  texts(name: string): readonly string[]
  text(name: string): string
  readonly hasTensors: boolean
}

function attributes(node: onnx.INodeProto): Attributes {
  const byName = new Map((node.attribute ?? []).map((each) => [each.name ?? '', each]))
  const decoder = new TextDecoder()
  return {
    integers: (name) => (byName.get(name)?.ints ?? []).map(Number),
    floats: (name) => byName.get(name)?.floats ?? [],
    texts: (name) => (byName.get(name)?.strings ?? []).map((text) => decoder.decode(text)),
    text: (name) => decoder.decode(byName.get(name)?.s ?? new Uint8Array(0)),
    hasTensors: [...byName.keys()].some((name) => name.endsWith('_as_tensor')),
  }
}
