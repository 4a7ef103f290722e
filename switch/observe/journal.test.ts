import assert from 'node:assert/strict'
import test from 'node:test'
import pino from 'pino'
import { Registry } from 'prom-client'
import { Histogram, Tally } from './histogram.ts'
import { Journal } from './journal.ts'

test('a histogram is cumulative, with sum and count', async () => {
  const registry = new Registry()
  const histogram = new Histogram(registry, 'h_seconds', 'help', [1, 2])
  const series = histogram.series({ step: 'ask' })
  for (const value of [0.5, 1, 1.5, 9]) histogram.observe(series, value)
  assert.equal(histogram.series({ step: 'ask' }), series)
  const lines = (await registry.metrics()).split('\n')
  for (const line of [
    '# TYPE h_seconds histogram',
    'h_seconds_bucket{step="ask",le="1"} 2',
    'h_seconds_bucket{step="ask",le="2"} 3',
    'h_seconds_bucket{step="ask",le="+Inf"} 4',
    'h_seconds_sum{step="ask"} 12',
    'h_seconds_count{step="ask"} 4',
  ]) {
    assert.ok(lines.includes(line), line)
  }
})

test('a tally counts by its labels, and its series are bounded', async () => {
  const registry = new Registry()
  const tally = new Tally(registry, 't_total', 'help', ['a', 'b'])
  for (let i = 0; i < 3000; i++) tally.add(`a${i}`, 'b')
  tally.add('a0', 'b', 5)
  const text = await registry.metrics()
  assert.match(text, /t_total\{a="a0",b="b"\} 6/)
  assert.match(text, /t_total\{a="other",b="other"\} 2000/)
})

test('the metrics carry the contract’s names', async () => {
  const journal = new Journal({ log: pino({ level: 'silent' }), oneLineIn: 0, version: '1' })
  journal.watch(
    {
      queueDepths: () => ({ scoring: 3 }),
      storeAndForwardDepths: () => ({ 'demo-a': 1 }),
      deadLetters: () => ({ 'demo-a': 0 }),
      storeBytes: () => 1_000,
      storeFreeBytes: () => 5_000,
      issuerConnections: () => ({ 'demo-a': ['up', 'open', 'up'] }),
      featurePsi: () => ({ amount_log: 0.3, score: 0.01 }),
      featurePsiSamples: () => 5_000,
      modelAgeSeconds: () => 86_400,
    },
    () => ({ ruleSet: 'abc', model: '1+x' }),
  )
  journal.watchReadiness(() => [
    { name: 'store', isReady: true },
    { name: 'issuers', isReady: false },
  ])
  const text = await journal.registry.metrics()
  for (const name of [
    'authorizations_total',
    'authorization_duration_seconds',
    'step_duration_seconds',
    'score_duration_seconds',
    'degraded_total',
    'queue_depth',
    'shed_total',
    'issuer_requests_total',
    'issuer_duration_seconds',
    'reversals_total',
    'store_and_forward_depth',
    'dead_letters',
    'issuer_connections',
    'store_flush_seconds',
    'idempotent_replays_total',
    'rule_hits_total',
    'rules_unknown_total',
    'rules_info',
    'rules_reload_total',
    'model_info',
    'model_age_seconds',
    'feature_psi',
    'feature_psi_samples',
    'score_bucket_total',
    'velocity_saturated_total',
    'build_info',
  ]) {
    assert.match(text, new RegExp(`^# TYPE switchyard_${name} `, 'm'), name)
  }
  assert.match(text, /switchyard_queue_depth\{queue="scoring"\} 3/)
  assert.match(text, /issuer_connections\{issuer="demo-a",state="up"\} 2/)
  assert.match(text, /issuer_connections\{issuer="demo-a",state="half_open"\} 0/)
  assert.match(text, /switchyard_rules_info\{hash="abc"\} 1/)
  assert.match(text, /switchyard_ready\{check="store"\} 1/)
  assert.match(text, /switchyard_ready\{check="issuers"\} 0/)
})
