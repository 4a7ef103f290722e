// Reads a model.onnx as data before the runtime sees it: what it may do, where its rows go in and
// where the probability of fraud comes out.

import onnxProto, { type onnx } from 'onnx-proto'
import type { ModelProblemCode } from './model.ts'
import { isAllowedOperator } from './operators.ts'

/** What an input takes. Features are float32; they are converted where a model asks for others. */
export type InputType = 'float32' | 'float64' | 'int64'

export interface GraphInput {
  readonly name: string
  readonly type: InputType
  /** Undefined where the file leaves them open. */
  readonly columns: number | undefined
}

/** A graph that passed: bytes for the runtime, and where its inputs and output are. */
export interface Graph {
  /** The file as it was, or without its ZipMap node. */
  readonly bytes: Uint8Array
  /** One of all columns, or one a column. */
  readonly inputs: readonly GraphInput[]
  readonly outputName: string
  /** Class labels in the order of the output's columns; empty where the output has no classes. */
  readonly classes: readonly string[]
}

export type GraphResult =
  | { readonly ok: true; readonly graph: Graph }
  | { readonly ok: false; readonly code: ModelProblemCode; readonly message: string }

const { ModelProto, TensorProto } = onnxProto.onnx
const FLOAT = TensorProto.DataType.FLOAT
const EXTERNAL = TensorProto.DataLocation.EXTERNAL

/**
 * Checks a model file and finds its inputs, and its output for the positive class. Never throws for
 * what the file holds.
 */
export function readGraph(bytes: Uint8Array, positiveClass: string | number): GraphResult {
  let model: onnx.ModelProto
  try {
    model = ModelProto.decode(bytes)
  } catch (error) {
    return refuse('model_unreadable', `model.onnx is not an ONNX file: ${(error as Error).message}`)
  }
  const graph = model.graph
  if (graph === null || graph === undefined || (graph.node ?? []).length === 0) {
    return refuse('model_unreadable', 'model.onnx holds no graph')
  }
  const problem = refusedOperator(model, graph) ?? externalData(graph)
  if (problem !== undefined) return problem
  const classes = classLabels(graph)
  const stripped = stripZipMap(graph)
  const inputs = featureInputs(graph)
  if (!inputs.ok) return inputs
  const output = probabilityOutput(graph, positiveClass)
  if (!output.ok) return output
  return {
    ok: true,
    graph: {
      // Encoding again would drop what a newer exporter wrote: only where a node was taken out.
      bytes: stripped ? ModelProto.encode(model).finish() : bytes,
      inputs: inputs.inputs,
      outputName: output.name,
      classes,
    },
  }
}

interface Refused {
  readonly ok: false
  readonly code: ModelProblemCode
  readonly message: string
}

function refuse(code: ModelProblemCode, message: string): Refused {
  return { ok: false, code, message }
}

function refusedOperator(model: onnx.ModelProto, graph: onnx.IGraphProto): Refused | undefined {
  if (model.functions.length > 0) {
    return refuse('operator_refused', 'model.onnx brings functions of its own; export it without')
  }
  for (const node of graph.node ?? []) {
    const domain = node.domain ?? ''
    const operator = node.opType ?? ''
    const holdsGraph = (node.attribute ?? []).some(
      (attribute) => attribute.g != null || (attribute.graphs ?? []).length > 0,
    )
    if (holdsGraph || !isAllowedOperator(domain, operator)) {
      const name = domain === '' ? operator : `${domain}.${operator}`
      return refuse('operator_refused', `model.onnx uses ${name}, which is not on the allow-list`)
    }
  }
  return undefined
}

/** A tensor that names another file could make the runtime read any file of the machine. */
function externalData(graph: onnx.IGraphProto): Refused | undefined {
  const sparse = graph.sparseInitializer ?? []
  const tensors = [...(graph.initializer ?? []), ...sparse.flatMap(partsOfSparse)]
  for (const node of graph.node ?? []) {
    for (const attribute of node.attribute ?? []) {
      if (attribute.t != null) tensors.push(attribute.t)
      tensors.push(...(attribute.tensors ?? []))
      if (attribute.sparseTensor != null) tensors.push(...partsOfSparse(attribute.sparseTensor))
      tensors.push(...(attribute.sparseTensors ?? []).flatMap(partsOfSparse))
    }
  }
  const external = tensors.find(
    (tensor) => tensor.dataLocation === EXTERNAL || (tensor.externalData ?? []).length > 0,
  )
  return external === undefined
    ? undefined
    : refuse('external_data', `model.onnx keeps tensor ${external.name ?? ''} in another file`)
}

function partsOfSparse(tensor: onnx.ISparseTensorProto): onnx.ITensorProto[] {
  return [tensor.values, tensor.indices].filter((part) => part != null)
}

/** Labels of the last classifier or ZipMap, in column order. */
function classLabels(graph: onnx.IGraphProto): readonly string[] {
  for (const node of (graph.node ?? []).toReversed()) {
    for (const attribute of node.attribute ?? []) {
      const name = attribute.name ?? ''
      if (!name.startsWith('classlabels_')) continue
      const integers = (attribute.ints ?? []).map(String)
      if (integers.length > 0) return integers
      const texts = (attribute.strings ?? []).map((text) => new TextDecoder().decode(text))
      if (texts.length > 0) return texts
    }
  }
  return []
}

/**
 * ZipMap makes a sequence of maps out of the probabilities, which the runtime's Node.js binding
 * can't return: the node goes, and the tensor it read becomes the output. True where it did.
 */
function stripZipMap(graph: onnx.IGraphProto): boolean {
  const nodes = graph.node ?? []
  const zipMaps = nodes.filter((node) => node.opType === 'ZipMap')
  for (const zipMap of zipMaps) {
    const source = zipMap.input?.[0]
    const index = (graph.output ?? []).findIndex((output) => output.name === zipMap.output?.[0])
    if (source === undefined || index < 0) continue
    graph.output?.splice(index, 1, {
      name: source,
      type: { tensorType: { elemType: FLOAT } },
    })
  }
  graph.node = nodes.filter((node) => node.opType !== 'ZipMap')
  return zipMaps.length > 0
}

type InputsResult = { readonly ok: true; readonly inputs: readonly GraphInput[] } | Refused

const INPUT_TYPES: ReadonlyMap<number, InputType> = new Map([
  [FLOAT, 'float32'],
  [TensorProto.DataType.DOUBLE, 'float64'],
  [TensorProto.DataType.INT64, 'int64'],
])

/** The inputs of rows by features. Old exporters list initializers as inputs, too. */
function featureInputs(graph: onnx.IGraphProto): InputsResult {
  const initialized = new Set((graph.initializer ?? []).map((tensor) => tensor.name))
  const given = (graph.input ?? []).filter((input) => !initialized.has(input.name))
  if (given.length === 0) return refuse('input_refused', 'model.onnx has no input')
  const inputs: GraphInput[] = []
  for (const input of given) {
    const type = INPUT_TYPES.get(input.type?.tensorType?.elemType ?? 0)
    if (type === undefined) {
      const message = `input ${input.name ?? ''} is no tensor of float32, float64 or int64`
      return refuse('input_refused', message)
    }
    const columns = Number(input.type?.tensorType?.shape?.dim?.[1]?.dimValue ?? 0)
    inputs.push({ name: input.name ?? '', type, columns: columns > 0 ? columns : undefined })
  }
  return { ok: true, inputs }
}

/**
 * The float32 output. Beside others, that with "prob" in its name, or that of the positive class
 * where there is one a class (scikit-learn's `zipmap: columns` names them i0, i1, ...).
 */
function probabilityOutput(
  graph: onnx.IGraphProto,
  positiveClass: string | number,
): { ok: true; name: string } | Refused {
  const floats = (graph.output ?? []).filter(
    (output) => output.type?.tensorType?.elemType === FLOAT,
  )
  const named =
    floats.find((output) => (output.name ?? '').toLowerCase().includes('prob')) ??
    floats.find((output) => output.name === `i${positiveClass}`)
  const output = floats.length === 1 ? floats[0] : named
  if (output === undefined) {
    const names = (graph.output ?? []).map((each) => each.name ?? '').join(', ')
    return refuse('output_refused', `model.onnx has no output of float32 probabilities: ${names}`)
  }
  return { ok: true, name: output.name ?? '' }
}
