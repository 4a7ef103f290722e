import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { projectFolder } from '../processes/index.ts'
import { parseScenario, readScenario, scenarioNames } from './scenario.ts'

test('every shipped scenario is one', () => {
  const names = scenarioNames()
  for (const name of names) {
    const read = readScenario(name)
    assert.ok(read.ok, read.ok ? '' : read.message)
  }
  for (const name of [
    ...['smoke', 'steady', 'ramp-to-knee', 'spike', 'overload', 'soak', 'many-connections'],
    ...['redis-stall', 'issuer-slow', 'issuer-dead', 'reload-under-load'],
    ...['swap-model-under-load'],
  ]) {
    assert.ok(names.includes(name), name)
  }
})

test('the table of scenarios names each of them, and no other', () => {
  const page = readFileSync(path.join(projectFolder, 'switch/docs/load-tests.md'), 'utf8')
  const named = [...page.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name ?? '')
  assert.deepEqual(named.toSorted(), [...scenarioNames()].sort())
})

const phases = 'phases: [{ name: one, seconds: 1, ratePerSecond: 5 }]'

const refused: readonly (readonly [string, RegExp])[] = [
  [`title: x\nwarmEvent: 3\n${phases}`, /unknown key warmEvent: did you mean warmEvents\?/],
  [
    'title: x\nphases: [{ name: one, seconds: 1, ratePerSec: 5 }]',
    /unknown key phases\.0\.ratePerSec: did you mean ratePerSecond\?/,
  ],
  [
    'title: x\nphases: [{ name: one, seconds: 1, ratePerSecond: 5, fault: { kind: issuer-slow, delay: 3 } }]',
    /unknown key phases\.0\.fault\.delay: did you mean delayMs\?/,
  ],
  [`title: x\nprotocol: grpc\n${phases}`, /protocol/],
  [`title: x\ncards: many\n${phases}`, /cards must be integer/],
  ['title: x\nphases: [{ name: one, seconds: 1 }]', /one of ratePerSecond, timesPeak and inFlight/],
  ['title: x\nphases: [{ name: one, seconds: 1, timesPeak: 2 }]', /needs a phase with inFlight/],
  [
    'title: x\nphases: [{ name: one, seconds: 1, ratePerSecond: 5, fault: { kind: issuer-slow } }]',
    /issuer-slow needs delayMs/,
  ],
  [
    'title: x\nphases: [{ name: one, seconds: 1, ratePerSecond: 5, measured: false }]',
    /no phase is measured/,
  ],
  ['title: [', /not readable as YAML/],
  [phases, /title/],
]

for (const [text, message] of refused) {
  test(`refuses ${text.slice(0, 70).replaceAll('\n', ' ')}`, () => {
    const read = parseScenario(text)
    assert.ok(!read.ok)
    assert.match(read.message, message)
  })
}

test('a name that is none, and a file that is not there, are said', () => {
  const near = readScenario('spikes')
  assert.ok(!near.ok && /did you mean spike\?/.test(near.message))
  const missing = readScenario('/nowhere/at-all.yaml')
  assert.ok(!missing.ok && /can't be read \(ENOENT\)/.test(missing.message))
})
