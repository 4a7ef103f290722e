import assert from 'node:assert/strict'
import test from 'node:test'
import { parseMetrics, switchFigures } from './switch-metrics.ts'

test('a lag of nothing is a window without a turn: not known, rather than 0 ms', () => {
  const lagOf = (seconds: string) => {
    const page = parseMetrics(`switchyard_nodejs_eventloop_lag_p99_seconds ${seconds}`)
    return switchFigures(new Map(), page, 1).eventLoopLagP99Ms
  }
  assert.equal(lagOf('0'), null)
  assert.equal(lagOf('1e-9'), null)
  assert.equal(lagOf('0.0125'), 12.5)
})
