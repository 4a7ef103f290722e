import assert from 'node:assert/strict'
import { test } from 'node:test'
import { writtenList } from './entries.ts'

test('entries are shown as they are written, with those that have ended', () => {
  const text =
    'value,until,why\n# a comment\nM-1,2026-11-21,"late, twice"\nM-2,2026-11-22,\nM-3,,x\n'
  const { columns, entries } = writtenList(text, Date.UTC(2026, 10, 22, 12))
  assert.deepEqual(columns, ['value', 'until', 'why'])
  assert.deepEqual(entries, [
    { line: 3, fields: ['M-1', '2026-11-21', 'late, twice'], ended: true },
    { line: 4, fields: ['M-2', '2026-11-22', ''], ended: false },
    { line: 5, fields: ['M-3', '', 'x'], ended: false },
  ])
  assert.deepEqual(writtenList('', 0), { columns: [], entries: [] })
  assert.equal(writtenList('cidr\n10.0.0.0/8\n', 0).entries[0]?.ended, false)
})
