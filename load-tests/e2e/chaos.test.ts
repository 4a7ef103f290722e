// A chaos run, a short one: real processes are killed and cut off under load, and the auditor finds
// nothing; the command says what it did. That it would find something is shown beside the auditor.

import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { Child } from '../processes/index.ts'

/** Standard output and error of the command, and its exit code. */
function chaos(...args: string[]) {
  const child = Child.start({
    title: 'switchyard chaos',
    args: ['switch/commands/switchyard.js', 'chaos', ...args],
  })
  return { child, ended: child.exited.then((code) => ({ code, said: child.logs })) }
}

test('a switch is killed, its issuers and their links too: nothing lost, nothing doubled', async () => {
  const faults = 'kill-switch,kill-issuer,cut-issuer,half-open-issuer'
  const { ended } = chaos(
    ...['--rate', '40', '--minutes', '0.2', '--store', 'embedded', '--seed', '3', '--json'],
    ...['--faults', faults],
  )
  const { code, said } = await ended
  assert.equal(code, 0, said)
  const report = JSON.parse(said)
  assert.deepEqual([report.seed, report.ok, report.runs.length], [3, true, 1])
  const [run] = report.runs
  assert.deepEqual(run.audit.counts, {})
  assert.ok(run.audit.asked > 300 && run.audit.approved > 100, JSON.stringify(run.audit))
  assert.ok(run.faults.length >= 2)
  for (const { fault } of run.faults) assert.ok(faults.includes(fault))
  assert.ok(run.recoveries['switch started to ready'].count >= 1)
})

test('interrupted, it still audits and reports', async () => {
  const keep = await mkdtemp(path.join(tmpdir(), 'switchyard-chaos-test-'))
  const { child, ended } = chaos(
    ...['--rate', '30', '--minutes', '5', '--store', 'embedded', '--faults', 'none'],
    ...['--keep', keep],
  )
  const isAsked = async () => {
    const ledger = path.join(keep, 'embedded', 'demo-a.ndjson')
    return (await stat(ledger).catch(() => undefined))?.size ? true : undefined
  }
  await child.until('an issuer was asked', 120_000, isAsked)
  child.signal('SIGINT')
  const { code, said } = await ended
  assert.equal(code, 0, said)
  assert.match(said, /interrupted/)
  assert.match(said, /nothing lost, nothing doubled/)
  await rm(keep, { recursive: true })
})

test('wrong use is said, with exit code 2; help has an example', async () => {
  const wrong = await chaos('--faults', 'flood').ended
  assert.equal(wrong.code, 2)
  assert.match(wrong.said, /there is no "flood"/)
  const help = await chaos('--help').ended
  assert.equal(help.code, 0)
  assert.match(help.said, /Examples:\n {2}npx switchyard chaos/)
})
