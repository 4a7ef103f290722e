import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLocalTime } from './local-time.ts'

test('hours and weekdays follow the zone, its half hours and its summer time', () => {
  const local = createLocalTime()
  const sunday = Date.UTC(2026, 10, 22, 23, 30)
  assert.equal(local.hour('UTC', sunday), 23)
  assert.equal(local.weekday('UTC', sunday), 7)
  assert.equal(local.hour('Europe/Berlin', sunday), 0)
  assert.equal(local.weekday('Europe/Berlin', sunday), 1)
  assert.equal(local.hour('Asia/Kolkata', sunday), 5)
  assert.equal(local.hour('Asia/Kathmandu', Date.UTC(2026, 10, 22, 18, 20)), 0)
  assert.equal(local.hour('Europe/Berlin', Date.UTC(2026, 2, 29, 0, 59)), 1)
  assert.equal(local.hour('Europe/Berlin', Date.UTC(2026, 2, 29, 1, 0)), 3)
})

test('an unknown zone is unknown, however often it is asked', () => {
  const local = createLocalTime()
  for (const zone of ['Europe/Berlinn', '', 'x'.repeat(100), '../etc', 'Europe/Berlinn']) {
    assert.ok(Number.isNaN(local.hour(zone, 0)), zone)
    assert.ok(Number.isNaN(local.weekday(zone, 0)), zone)
  }
  for (let n = 0; n < 3_000; n++) local.hour(`No/Zone${n}`, 0)
  assert.equal(local.hour('UTC', 0), 0)
})
