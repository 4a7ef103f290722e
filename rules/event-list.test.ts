import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Aggregate } from './aggregate.ts'
import { type AttemptEvent, aggregateOver } from './event-list.ts'

const t = Date.UTC(2026, 10, 22, 12)

function event(secondsAgo: number, more: Partial<AttemptEvent> = {}): AttemptEvent {
  return {
    atMs: t - secondsAgo * 1_000,
    baseAmount: 100,
    declined: false,
    entities: { card: 'c', merchant: 'm' },
    latitude: Number.NaN,
    longitude: Number.NaN,
    ...more,
  }
}

const over = (name: Aggregate['function'], windowSeconds = 600, of?: 'merchant'): Aggregate => ({
  function: name,
  entity: 'card',
  windowSeconds,
  ...(of === undefined ? {} : { of }),
})

test('a window is (t - w, t], the current attempt included', () => {
  const earlier = [event(600), event(599.999), event(1), event(-1), event(5, { entities: {} })]
  assert.equal(aggregateOver(earlier, event(0), over('count')), 3)
  assert.equal(aggregateOver([], event(0), over('count')), 1)
})

test('every function says what its name says', () => {
  const earlier = [
    event(300, { baseAmount: 500, declined: true, entities: { card: 'c', merchant: 'n' } }),
    event(100, { baseAmount: 300, entities: { card: 'c' } }),
    event(200, { baseAmount: 100 }),
  ]
  const value = (aggregate: Aggregate) => aggregateOver(earlier, event(0), aggregate)
  assert.equal(value(over('sum')), 1_000)
  assert.equal(value(over('avg')), 250)
  assert.equal(value(over('max')), 500)
  assert.equal(value(over('declines')), 1)
  assert.equal(value(over('distinct', 600, 'merchant')), 2)
  assert.equal(value(over('secondsSinceLast')), 100)
})

test('what there is nothing to say about is unknown', () => {
  assert.ok(Number.isNaN(aggregateOver([], event(0), over('secondsSinceLast'))))
  assert.ok(Number.isNaN(aggregateOver([], event(0), over('speedKmh'))))
  assert.ok(Number.isNaN(aggregateOver([event(60)], event(0), over('speedKmh'))))
  assert.ok(Number.isNaN(aggregateOver([], event(0, { entities: {} }), over('count'))))
  const unpriced = event(0, { baseAmount: Number.NaN })
  assert.ok(Number.isNaN(aggregateOver([], unpriced, over('sum'))))
})

test('speed is distance over time', () => {
  const berlin = event(3_600, { latitude: 52.52, longitude: 13.405 })
  const paris = event(0, { latitude: 48.8566, longitude: 2.3522 })
  const speed = aggregateOver([berlin], paris, over('speedKmh', 7_200))
  // The great-circle distance between the two cities is 878 km.
  assert.ok(Math.abs(speed - 878) < 2, String(speed))
})
