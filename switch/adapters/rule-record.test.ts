import assert from 'node:assert/strict'
import { appendFile, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { RULE_HISTORY_BYTES_MAX } from '../limits.ts'
import { lastLive, previousSet, type RuleEvent } from '../operations/index.ts'
import {
  appendRuleEvent,
  readPinnedSet,
  readRuleHistory,
  removePinnedSet,
  writePinnedSet,
} from './rule-record.ts'

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-record-'))
  try {
    await run(path.join(folder, 'rule-sets'))
  } finally {
    await rm(folder, { recursive: true })
  }
}

function event(result: RuleEvent['result'], hash: string, by = 'ada'): RuleEvent {
  return { at: '2026-11-22T10:00:00.000Z', result, by, hash, before: null }
}

test('the history reads back, also behind a line that a crash cut short', () =>
  inFolder(async (folder) => {
    assert.deepEqual(await readRuleHistory(folder), [])
    await appendRuleEvent(folder, event('started', 'a'))
    await appendFile(path.join(folder, 'history.ndjson'), '{"at":"2026-11')
    assert.deepEqual(await readRuleHistory(folder), [event('started', 'a')])
    await appendRuleEvent(folder, event('taken', 'b'))
    assert.deepEqual(await readRuleHistory(folder), [event('started', 'a'), event('taken', 'b')])
  }))

test('a history beyond its limit loses its older half', () =>
  inFolder(async (folder) => {
    await appendRuleEvent(folder, event('started', 'a'))
    const long = event('refused', 'a', 'x'.repeat(1_000))
    const lines = `${JSON.stringify(long)}\n`.repeat(RULE_HISTORY_BYTES_MAX / 1_000)
    await appendFile(path.join(folder, 'history.ndjson'), lines)
    await appendRuleEvent(folder, event('taken', 'b'))
    const { size } = await stat(path.join(folder, 'history.ndjson'))
    assert.ok(size < RULE_HISTORY_BYTES_MAX * 0.6)
    assert.deepEqual((await readRuleHistory(folder)).at(-1), event('taken', 'b'))
  }))

test('a pin is there until it is removed', () =>
  inFolder(async (folder) => {
    assert.equal(await readPinnedSet(folder), undefined)
    const pinned = { hash: 'a', by: 'ada', since: '2026-11-22T10:00:00.000Z' }
    await writePinnedSet(folder, pinned)
    assert.deepEqual(await readPinnedSet(folder), pinned)
    await removePinnedSet(folder)
    assert.equal(await readPinnedSet(folder), undefined)
  }))

test('what decided last and before is told by what was taken, not by what was refused', () => {
  const events = [event('started', 'a'), event('taken', 'b'), event('refused', 'c')]
  assert.equal(lastLive(events)?.hash, 'b')
  assert.equal(previousSet(events, 'b'), 'a')
  assert.equal(previousSet([event('started', 'a')], 'a'), undefined)
})
