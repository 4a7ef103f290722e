import assert from 'node:assert/strict'
import test from 'node:test'
import type { AnswerEvent } from './acquirer.ts'
import { Recoveries } from './recoveries.ts'

const answer = (sentAtMs: number, atMs: number, target = 0) =>
  ({ sentAtMs, atMs, target }) as AnswerEvent

test('the first answer to a request from after it counts, once', () => {
  const recoveries = new Recoveries()
  recoveries.begin('back', 100, ({ target }) => target === 1)
  recoveries.onAnswer(answer(90, 110, 1))
  recoveries.onAnswer(answer(105, 120, 0))
  assert.deepEqual(recoveries.report().back, { count: 0, medianMs: 0, maxMs: 0, notSeen: 1 })
  recoveries.onAnswer(answer(110, 130, 1))
  recoveries.onAnswer(answer(110, 190, 1))
  assert.deepEqual(recoveries.report().back, { count: 1, medianMs: 30, maxMs: 30, notSeen: 0 })
})

test('median and maximum of several', () => {
  const recoveries = new Recoveries()
  for (const tookMs of [40, 10, 20]) recoveries.add('ready', tookMs)
  const { ready } = recoveries.report()
  assert.deepEqual(ready, { count: 3, medianMs: 20, maxMs: 40, notSeen: 0 })
})
