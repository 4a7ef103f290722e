// The files that operators load are held against what the switch publishes: an alert on a metric
// that is no longer there stays silent for ever.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import pino from 'pino'
import { parse } from 'yaml'
import { drifted } from '#scoring'
import { Journal } from '../observe/index.ts'

const folder = fileURLToPath(new URL('./', import.meta.url))
const read = (name: string) => readFileSync(`${folder}${name}`, 'utf8')

interface Alert {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly runbook: string }
}

const alerts = (
  parse(read('alerts.yaml')) as { groups: readonly { rules: readonly Alert[] }[] }
).groups.flatMap((group) => group.rules)

interface Panel {
  readonly title: string
  readonly targets?: readonly { readonly expr: string }[]
}

const panels = (JSON.parse(read('dashboard.json')) as { panels: readonly Panel[] }).panels

/** Every series that a running switch can have. */
async function publishedSeries(): Promise<ReadonlySet<string>> {
  const journal = new Journal({ log: pino({ level: 'silent' }), oneLineIn: 0, version: '1' })
  journal.watch(
    {
      queueDepths: () => ({}),
      storeAndForwardDepths: () => ({}),
      deadLetters: () => ({}),
      storeBytes: () => 0,
      storeFreeBytes: () => 0,
      issuerConnections: () => ({}),
      featurePsi: () => ({}),
      featurePsiSamples: () => 0,
      modelAgeSeconds: () => 0,
    },
    () => ({ ruleSet: 'a', model: 'b' }),
  )
  journal.watchReadiness(() => [])
  const types = (await journal.registry.metrics()).matchAll(/^# TYPE (\S+) (\S+)$/gm)
  return new Set(
    [...types].flatMap(([, name, type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name ?? ''],
    ),
  )
}

function seriesOf(expression: string): string[] {
  return expression.match(/\bswitchyard_[a-z0-9_]+/g) ?? []
}

test('alerts and dashboard use series that the switch publishes', async () => {
  const published = await publishedSeries()
  assert.ok(published.size > 30)
  assert.ok(!published.has('switchyard_no_such_total'))
  const expressions = [
    ...alerts.map(({ alert, expr }) => [alert, expr] as const),
    ...panels.flatMap(({ title, targets }) =>
      (targets ?? []).map(({ expr }) => [title, expr] as const),
    ),
  ]
  for (const [where, expression] of expressions) {
    for (const series of seriesOf(expression)) {
      assert.ok(published.has(series), `${where}: nobody publishes ${series}`)
    }
  }
})

test('every alert has its section in the runbook, and every section its alert', () => {
  const sections = [...read('runbook.md').matchAll(/^## (\S+)$/gm)].map(([, name]) => name)
  assert.deepEqual([...sections].sort(), alerts.map(({ alert }) => alert).sort())
  for (const { alert, labels, annotations } of alerts) {
    assert.equal(annotations.runbook, `switch/ops/runbook.md#${alert.toLowerCase()}`)
    assert.match(labels.severity, /^(page|ticket)$/)
  }
  for (const section of read('runbook.md').split(/^## /m).slice(1)) {
    for (const part of ['**It means**', '**Look at**', '**Do**']) {
      assert.ok(section.includes(part), `${section.split('\n')[0]} lacks ${part}`)
    }
  }
})

test('every alert has a series that raises it and one that must not', () => {
  const cases = parse(read('alerts.test.yaml')) as { tests: readonly { name: string }[] }
  const names = cases.tests.map(({ name }) => name)
  for (const { alert } of alerts) {
    assert.ok(names.includes(`${alert} fires`), alert)
    assert.ok(names.includes(`${alert} stays silent`), alert)
  }
})

test('the alert of drift has the marks by which drift is told', () => {
  const rule = alerts.find(({ alert }) => alert === 'SwitchyardFeatureDrift')
  const [, psi, samples] = /psi > ([\d.]+) and .* >= (\d+)$/.exec(rule?.expr ?? '') ?? []
  const report = (value: number, count: number) =>
    drifted({ fromMs: 0, untilMs: 0, samples: count, psi: [{ name: 'x', psi: value }] }).length
  const [mark, fewest] = [Number(psi), Number(samples)]
  assert.deepEqual([report(mark, fewest), report(mark + 1e-9, fewest)], [0, 1])
  assert.equal(report(mark + 1, fewest - 1), 0)
})

const hasPromtool = spawnSync('promtool', ['--version']).status === 0

test('promtool takes the rules, and their tests pass', {
  skip: !hasPromtool && 'no promtool',
}, () => {
  for (const args of [
    ['check', 'rules', 'alerts.yaml'],
    ['test', 'rules', 'alerts.test.yaml'],
  ]) {
    const { status, stdout, stderr } = spawnSync('promtool', args, {
      cwd: folder,
      encoding: 'utf8',
    })
    assert.equal(status, 0, `${stdout}${stderr}`)
  }
})
