import assert from 'node:assert/strict'
import test from 'node:test'
import { readLoadOptions } from './options.ts'

test('without arguments: the defaults that the help names', () => {
  const { scenario, connections, cards, redis } = optionsOf([])
  assert.deepEqual(
    scenario.phases.map(({ seconds, ratePerSecond }) => [seconds, ratePerSecond]),
    [
      [5, 500],
      [10, 500],
    ],
  )
  assert.deepEqual([connections, cards, redis], [50, 10_000, 'auto'])
})

test('flags change what a scenario says, the rest stays in proportion', () => {
  const { scenario, connections } = optionsOf([
    ...['--scenario', 'steady', '--rate', '1000', '--duration', '30', '--warmup', '5'],
    ...['--warm-events', '3', '--config', '{"scoring":{"workers":2}}'],
  ])
  assert.deepEqual(
    scenario.phases.map(({ seconds, ratePerSecond }) => [seconds, ratePerSecond]),
    [
      [5, 1_000],
      [30, 1_000],
    ],
  )
  assert.equal(scenario.warmEvents, 3)
  assert.deepEqual(scenario.config, { scoring: { workers: 2 } })
  assert.equal(connections, 100)
})

test('a warm-up of no seconds is left out', () => {
  assert.equal(optionsOf(['--warmup', '0']).scenario.phases.length, 1)
})

function optionsOf(args: readonly string[]) {
  const read = readLoadOptions(args)
  assert.ok(read.kind === 'run', JSON.stringify(read))
  return read.options
}

test('--help is help', () => {
  assert.equal(readLoadOptions(['--help']).kind, 'help')
})

const wrong: readonly (readonly [readonly string[], RegExp])[] = [
  [['--rate', 'x'], /--rate takes a number/],
  [['--rate', ''], /--rate takes a number/],
  [['--duration', '0'], /--duration/],
  [['--connections', '1.5'], /--connections takes a whole number/],
  [['--rates', '5'], /--rates/],
  [['extra'], /extra/],
  [['--arrivals', 'bursty'], /fixed, poisson/],
  [['--protocol', 'grpc'], /json, msgpack, websocket, iso8583/],
  [['--protocol', 'iso8583', '--target', 'http://127.0.0.1:1'], /takes a tcp:/],
  [['--scenario', 'stedy'], /did you mean steady/],
  [['--scenario', 'peak', '--rate', '5'], /no measured phase of the scenario has a rate/],
  [['--scenario', 'redis-stall', '--target', 'http://127.0.0.1:1'], /not with --target/],
  [['--config', '[1]'], /an object in JSON/],
  [['--redis', 'localhost'], /--redis is auto, none/],
  [['--rate', '1000000', '--duration', '86400'], /above 20000000 requests/],
  [['--api-key', 'a b'], /visible ASCII/],
  [['--issuer-control', 'http://127.0.0.1:1'], /goes with --target/],
  [['--target', 'https://localhost'], /http:\/\/ URL/],
  [['--target', 'http://192.0.2.1:8080'], /--i-own-this-target/],
  [['--target', 'http://127.0.0.1.example.com'], /--i-own-this-target/],
]

for (const [args, message] of wrong) {
  test(`refuses ${args.join(' ')}`, () => {
    const read = readLoadOptions(args)
    assert.ok(read.kind === 'wrong')
    assert.match(read.message, message)
  })
}

const right: readonly (readonly string[])[] = [
  ['--target', 'http://127.0.0.1:8080'],
  ['--target', 'http://localhost:8080', '--issuer-control', 'http://127.0.0.1:1'],
  ['--target', 'http://[::1]:8080'],
  ['--target', 'http://192.0.2.1:8080', '--i-own-this-target'],
  ['--arrivals', 'poisson', '--rate', '0.5', '--json', '--redis', 'redis://127.0.0.1:6379'],
]

for (const args of right) {
  test(`takes ${args.join(' ')}`, () => {
    assert.equal(readLoadOptions(args).kind, 'run')
  })
}
