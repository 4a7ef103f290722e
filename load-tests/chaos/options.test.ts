import assert from 'node:assert/strict'
import test from 'node:test'
import { FAULT_NAMES } from './faults.ts'
import { readChaosOptions, usage } from './options.ts'

const read = (...args: string[]) => readChaosOptions(args, () => 77)

test('without options: both stores, every fault, a drawn seed', () => {
  const result = read()
  assert.ok(result.kind === 'run')
  const { ratePerSecond, durationSeconds, stores, faults, seed, settleSeconds } = result.options
  assert.deepEqual([ratePerSecond, durationSeconds, seed, settleSeconds], [1_000, 180, 77, 60])
  assert.deepEqual(stores, ['embedded', 'postgres'])
  assert.deepEqual(faults, FAULT_NAMES)
})

test('what was asked for is taken', () => {
  const result = read(
    ...['--rate', '50', '--minutes', '0.5', '--store', 'embedded', '--seed', '9', '--json'],
    ...['--faults', 'kill-switch, cut-issuer', '--until-empty', '--keep', '/tmp/x'],
  )
  assert.ok(result.kind === 'run')
  assert.deepEqual(result.options, {
    ...{ ratePerSecond: 50, durationSeconds: 30, stores: ['embedded'], seed: 9, json: true },
    ...{ faults: ['kill-switch', 'cut-issuer'], settleSeconds: 900, mustBeEmpty: true },
    keep: '/tmp/x',
  })
  const none = read('--faults', 'none')
  assert.ok(none.kind === 'run' && none.options.faults.length === 0)
})

test('wrong use is named', () => {
  const wrongs: readonly (readonly [RegExp, ...string[]])[] = [
    [/there is no "kill-all"; there are kill-switch/, '--faults', 'kill-all'],
    [/--rate/, '--rate', 'fast'],
    [/--minutes/, '--minutes', '0'],
    [/--settle/, '--settle', '-1'],
    [/--store/, '--store', 'redis'],
    [/--seed/, '--seed', '1.5'],
    [/above 500000/, '--minutes', '60'],
    [/unheard/, '--unheard'],
  ]
  for (const [message, ...args] of wrongs) {
    const result = read(...args)
    assert.ok(result.kind === 'wrong', args.join(' '))
    assert.match(result.message, message)
  }
})

test('help names every fault, and has an example', () => {
  assert.equal(read('--help').kind, 'help')
  for (const name of FAULT_NAMES) assert.ok(usage.includes(name))
  assert.match(usage, /Examples:\n {2}npx switchyard chaos/)
})
