import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import test from 'node:test'
import { cpuMicrosOf, parseCpuMicros } from './cpu.ts'

test('reads utime and stime behind a name with blanks and brackets', () => {
  const stat = '42 (no (de) x) S 1 42 42 0 -1 4194304 9 0 0 0 150 50 0 0 20 0 11 0 100 1000 10 1'
  assert.equal(parseCpuMicros(stat), 2_000_000)
  assert.equal(parseCpuMicros('nonsense'), null)
})

test('sees this process work', { skip: !existsSync('/proc/self/stat') && 'no /proc' }, () => {
  const before = cpuMicrosOf(process.pid)
  const until = performance.now() + 60
  while (performance.now() < until);
  const after = cpuMicrosOf(process.pid)
  assert.ok(before !== null && after !== null && after - before >= 20_000)
  assert.equal(cpuMicrosOf(2 ** 30), null)
})
