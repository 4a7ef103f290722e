// `manifest.json`: what a model says of itself. Checked before the model file is touched.

import Type from 'typebox'
import { Compile } from 'typebox/compile'
import { MODEL_FEATURES_MAX, PARITY_VECTORS_MAX, PARITY_VECTORS_MIN } from './limits.ts'

const Probability = Type.Number({ minimum: 0, maximum: 1 })
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' })
const closed = { additionalProperties: false } as const

/**
 * A distribution in bins, for the population stability index: `shares` has one more than `edges`.
 */
const BaselineSchema = Type.Object(
  {
    name: Type.String(),
    /** Upper edges of all bins but the last, ascending. */
    edges: Type.Array(Type.Number(), { maxItems: 64 }),
    /** Share of the known values in each bin. */
    shares: Type.Array(Probability, { minItems: 1, maxItems: 65 }),
    /** Share of rows in which the value was missing. */
    missingShare: Probability,
  },
  closed,
)

const BandMetricsSchema = Type.Object(
  {
    name: Type.String(),
    /** Of the test rows scored at or above the band's start: the share that is fraud. */
    precision: Probability,
    /** Of the fraud: the share scored at or above the band's start. */
    recall: Probability,
    /** Of all test rows: the share scored at or above the band's start. */
    flaggedShare: Probability,
  },
  closed,
)

const KindMetricsSchema = Type.Object(
  {
    kind: Type.String(),
    rows: Type.Integer({ minimum: 0 }),
    /** Against all genuine rows of the test period. */
    rocAuc: Probability,
    averagePrecision: Probability,
    /** Recall at the start of each band but the lowest, in the bands' order. */
    recalls: Type.Array(Probability),
  },
  closed,
)

const MetricsSchema = Type.Object(
  {
    rows: Type.Integer({ minimum: 1 }),
    fraudRows: Type.Integer({ minimum: 0 }),
    rocAuc: Probability,
    averagePrecision: Probability,
    brierScore: Probability,
    logLoss: Type.Number({ minimum: 0 }),
    bands: Type.Array(BandMetricsSchema),
    kinds: Type.Array(KindMetricsSchema),
  },
  closed,
)

/** `calibration.ts` has the formulas. */
const CalibrationSchema = Type.Union([
  Type.Object(
    { method: Type.Literal('sigmoid'), slope: Type.Number(), offset: Type.Number() },
    closed,
  ),
  Type.Object(
    {
      method: Type.Literal('isotonic'),
      /** (raw output, probability), both ascending. */
      points: Type.Array(Type.Tuple([Type.Number(), Probability]), { minItems: 2, maxItems: 256 }),
    },
    closed,
  ),
])
export type Calibration = Type.Static<typeof CalibrationSchema>

export const ManifestSchema = Type.Object(
  {
    format: Type.Literal(1),
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' }),
    version: Type.String({ pattern: '^[0-9A-Za-z.-]{1,32}$' }),
    createdAt: Type.String(),
    /** SHA-256 of model.onnx. */
    modelSha256: Sha256,
    /** In the order of the input columns. */
    featureNames: Type.Array(Type.String(), { minItems: 1, maxItems: MODEL_FEATURES_MAX }),
    /** The class label that means fraud. */
    positiveClass: Type.Union([Type.Integer(), Type.String()]),
    /** Where the file's output is no probability, or not a calibrated one. */
    calibration: Type.Optional(CalibrationSchema),
    /** Ascending; the first starts at 0. */
    bands: Type.Array(Type.Object({ name: Type.String(), from: Probability }, closed), {
      minItems: 1,
      maxItems: 16,
    }),
    /** How it was trained: for people, not read by the switch. */
    training: Type.Record(Type.String(), Type.Unknown()),
    /** SHA-256 of the training matrix. */
    dataSha256: Sha256,
    /** On rows later than everything that training or calibration saw. */
    testMetrics: MetricsSchema,
    /** Inputs (null is NaN) with the output of ONNX Runtime at export, before calibration. */
    parity: Type.Array(
      Type.Object(
        {
          name: Type.String(),
          inputs: Type.Array(Type.Union([Type.Number(), Type.Null()])),
          score: Type.Number(),
        },
        closed,
      ),
      { minItems: PARITY_VECTORS_MIN, maxItems: PARITY_VECTORS_MAX },
    ),
    psiBaseline: Type.Object(
      { score: BaselineSchema, features: Type.Array(BaselineSchema) },
      closed,
    ),
  },
  closed,
)

export type Manifest = Type.Static<typeof ManifestSchema>
/** Of one feature, or of the score. */
export type Baseline = Type.Static<typeof BaselineSchema>
export type PsiBaseline = Manifest['psiBaseline']

const validator = Compile(ManifestSchema)

export type ManifestResult =
  | { readonly ok: true; readonly manifest: Manifest }
  | {
      readonly ok: false
      readonly code: 'manifest_unreadable' | 'manifest_invalid'
      readonly message: string
    }

/** Reads and checks a manifest: its schema, and what a schema can't say. */
export function readManifest(bytes: Uint8Array): ManifestResult {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    const message = `manifest.json is not JSON: ${(error as Error).message}`
    return { ok: false, code: 'manifest_unreadable', message }
  }
  if (!validator.Check(value)) {
    const first = validator.Errors(value)[0]
    const where = first === undefined || first.instancePath === '' ? '/' : first.instancePath
    const message = `manifest.json at ${where}: ${first?.message ?? 'not as expected'}`
    return { ok: false, code: 'manifest_invalid', message }
  }
  const message = inconsistency(value)
  return message === undefined
    ? { ok: true, manifest: value }
    : { ok: false, code: 'manifest_invalid', message: `manifest.json: ${message}` }
}

function inconsistency(manifest: Manifest): string | undefined {
  const width = manifest.featureNames.length
  if (new Set(manifest.featureNames).size !== width) return 'featureNames repeats a name'
  if (manifest.bands[0]?.from !== 0) return 'the first band must start at 0'
  for (let i = 1; i < manifest.bands.length; i++) {
    const band = manifest.bands[i]
    const before = manifest.bands[i - 1]
    if (band !== undefined && before !== undefined && band.from <= before.from) {
      return `band ${band.name} must start above band ${before.name}`
    }
  }
  if (manifest.calibration?.method === 'isotonic') {
    const { points } = manifest.calibration
    for (let i = 1; i < points.length; i++) {
      const [at, probability] = points[i] ?? [0, 0]
      const [before, lower] = points[i - 1] ?? [0, 0]
      if (at <= before || probability < lower) return 'the points of calibration must ascend'
    }
  }
  for (const vector of manifest.parity) {
    if (vector.inputs.length !== width) {
      return `parity vector ${vector.name} has ${vector.inputs.length} inputs, not ${width}`
    }
  }
  for (const baseline of [manifest.psiBaseline.score, ...manifest.psiBaseline.features]) {
    if (baseline.shares.length !== baseline.edges.length + 1) {
      return `psiBaseline of ${baseline.name} needs one share more than edges`
    }
  }
  return undefined
}
