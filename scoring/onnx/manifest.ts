// `manifest.json`: what a model says of itself. Checked before the model file is touched.

import { MODEL_FEATURES_MAX, PARITY_VECTORS_MAX, PARITY_VECTORS_MIN } from './limits.ts'
import {
  anything,
  either,
  exactly,
  integer,
  list,
  number,
  optional,
  pair,
  record,
  type TypeOf,
  text,
} from './shape.ts'

const probability = number(0, 1)
const sha256 = text(/^[0-9a-f]{64}$/)

/**
 * A distribution in bins, for the population stability index: `shares` has one more than `edges`.
 */
const baselineShape = record({
  name: text(),
  /** Upper edges of all bins but the last, ascending. */
  edges: list(number(), 0, 64),
  /** Share of the known values in each bin. */
  shares: list(probability, 1, 65),
  /** Share of rows in which the value was missing. */
  missingShare: probability,
})

const bandMetricsShape = record({
  name: text(),
  /** Of the test rows scored at or above the band's start: the share that is fraud. */
  precision: probability,
  /** Of the fraud: the share scored at or above the band's start. */
  recall: probability,
  /** Of all test rows: the share scored at or above the band's start. */
  flaggedShare: probability,
})

const kindMetricsShape = record({
  kind: text(),
  rows: integer(0),
  /** Against all genuine rows of the test period. */
  rocAuc: probability,
  averagePrecision: probability,
  /** Recall at the start of each band but the lowest, in the bands' order. */
  recalls: list(probability),
})

const metricsShape = record({
  rows: integer(1),
  fraudRows: integer(0),
  rocAuc: probability,
  averagePrecision: probability,
  brierScore: probability,
  logLoss: number(0),
  bands: list(bandMetricsShape),
  kinds: list(kindMetricsShape),
})

/** `calibration.ts` has the formulas. */
const calibrationShape = either(
  record({ method: exactly('sigmoid'), slope: number(), offset: number() }),
  record({
    method: exactly('isotonic'),
    /** (raw output, probability), both ascending. */
    points: list(pair(number(), probability), 2, 256),
  }),
)
export type Calibration = TypeOf<typeof calibrationShape>

const manifestShape = record({
  format: exactly(1),
  name: text(/^[a-z0-9][a-z0-9-]{0,62}$/),
  version: text(/^[0-9A-Za-z.-]{1,32}$/),
  createdAt: text(),
  /** SHA-256 of model.onnx. */
  modelSha256: sha256,
  /** In the order of the input columns. */
  featureNames: list(text(), 1, MODEL_FEATURES_MAX),
  /** The class label that means fraud. */
  positiveClass: either(integer(), text()),
  /** Where the file's output is no probability, or not a calibrated one. */
  calibration: optional(calibrationShape),
  /** Ascending; the first starts at 0. */
  bands: list(record({ name: text(), from: probability }), 1, 16),
  /** How it was trained: for people, not read by the switch. */
  training: anything,
  /** SHA-256 of the training matrix. */
  dataSha256: sha256,
  /** On rows later than everything that training or calibration saw. */
  testMetrics: metricsShape,
  /** Inputs (null is NaN) with the output of ONNX Runtime at export, before calibration. */
  parity: list(
    record({ name: text(), inputs: list(either(number(), exactly(null))), score: number() }),
    PARITY_VECTORS_MIN,
    PARITY_VECTORS_MAX,
  ),
  psiBaseline: record({ score: baselineShape, features: list(baselineShape) }),
})

export type Manifest = TypeOf<typeof manifestShape>
/** Of one feature, or of the score. */
export type Baseline = TypeOf<typeof baselineShape>
export type PsiBaseline = Manifest['psiBaseline']

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
  const manifest = value as Manifest
  const message = manifestShape.check(value, '') ?? inconsistency(manifest)
  return message === undefined
    ? { ok: true, manifest }
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
