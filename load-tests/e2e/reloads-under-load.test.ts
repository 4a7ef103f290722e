import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { projectFolder } from '../processes/index.ts'

test('reloads under load drop nothing, and each of them is taken', async () => {
  const args = ['--import', 'tsx', 'load-tests/chaos/reloads.ts', '6', '40', '300']
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: projectFolder })
  const report = JSON.parse(stdout)
  assert.ok(report.reloads >= 6)
  assert.equal(report.refused, 0)
  for (const turns of [report.without, report.during]) {
    assert.ok(turns.messages > 50)
    assert.equal(turns.failed, 0)
    assert.ok(turns.p99Ms > 0)
  }
  assert.equal(report.p99Ratio.pairs, 1)
})
