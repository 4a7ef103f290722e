// From what a model puts out to a probability, where its file does not do it itself.

import type { Calibration } from './manifest.ts'

/**
 * The calibrated probability of a raw output. Without a calibration the output is the probability.
 *
 * - sigmoid: 1 / (1 + exp(-(slope * raw + offset))), Platt's scaling
 * - isotonic: between `points` of (raw, probability), ascending, by straight lines; beyond them the
 *   outermost probability
 */
export function calibrated(raw: number, calibration: Calibration | undefined): number {
  if (calibration === undefined) return raw
  if (calibration.method === 'sigmoid') {
    return 1 / (1 + Math.exp(-(calibration.slope * raw + calibration.offset)))
  }
  const { points } = calibration
  const above = points.findIndex(([at]) => raw <= at)
  if (Number.isNaN(raw)) return Number.NaN
  if (above < 0) return (points[points.length - 1] as readonly [number, number])[1]
  const [high, highProbability] = points[above] as readonly [number, number]
  if (above === 0 || raw === high) return highProbability
  const [low, lowProbability] = points[above - 1] as readonly [number, number]
  return lowProbability + ((highProbability - lowProbability) * (raw - low)) / (high - low)
}
