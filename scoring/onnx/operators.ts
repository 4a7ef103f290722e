// The operators that a model may use. A model file is code: these compute on their inputs alone,
// in bounded time. Control flow (If, Loop, Scan), custom domains and model-local functions are out.

const STANDARD = [
  ...['Abs', 'Add', 'And', 'ArgMax', 'Cast', 'Clip', 'Concat', 'Constant', 'ConstantOfShape'],
  ...['Div', 'Equal', 'Exp', 'Flatten', 'Floor', 'Gather', 'GatherElements', 'GatherND', 'Gemm'],
  ...['Greater', 'GreaterOrEqual', 'Identity', 'IsNaN', 'Less', 'LessOrEqual', 'Log', 'MatMul'],
  ...['Max', 'Min', 'Mul', 'Neg', 'Not', 'Or', 'Pow', 'ReduceMax', 'ReduceMean', 'ReduceMin'],
  ...['ReduceSum', 'Relu', 'Reshape', 'Shape', 'Sigmoid', 'Sign', 'Slice', 'Softmax', 'Split'],
  ...['Sqrt', 'Squeeze', 'Sub', 'Sum', 'Transpose', 'Unsqueeze', 'Where'],
]

const CLASSICAL = [
  ...['ArrayFeatureExtractor', 'Binarizer', 'FeatureVectorizer', 'Imputer', 'LabelEncoder'],
  ...['LinearClassifier', 'LinearRegressor', 'Normalizer', 'OneHotEncoder', 'Scaler'],
  ...['TreeEnsemble', 'TreeEnsembleClassifier', 'TreeEnsembleRegressor', 'ZipMap'],
]

const OPERATORS_BY_DOMAIN: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['', new Set(STANDARD)],
  ['ai.onnx', new Set(STANDARD)],
  ['ai.onnx.ml', new Set(CLASSICAL)],
])

/** Whether a model may use the operator. `domain` is '' for ONNX's own. */
export function isAllowedOperator(domain: string, operator: string): boolean {
  return OPERATORS_BY_DOMAIN.get(domain)?.has(operator) ?? false
}
