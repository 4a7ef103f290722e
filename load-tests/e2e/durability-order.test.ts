// strace of the real process: before the issuer write, and before the answer, an fdatasync that
// covers the record has returned. (kill -9 can't show a missing flush: the page cache survives it.)

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'node:test'
import { Child, pause } from '../processes/index.ts'
import { eventually, purchase, startSystem } from './system.ts'
import { judgeOrder, readSystemCalls, type SystemCall } from './system-calls.ts'

const calls = 'fdatasync,fsync,write,pwrite64,writev,pwritev,sendto,sendmsg'
const canTrace = spawnSync('strace', ['-e', 'trace=none', 'true']).status === 0

test('what is sent and answered was flushed before', {
  skip: !canTrace && 'strace is not installed or may not trace',
}, async () => {
  const system = await startSystem()
  const traceFile = path.join(system.folder, 'strace.txt')
  const strace = Child.start({
    title: 'strace',
    program: 'strace',
    args: ['-f', '-y', '-s', '4096', '-e', `trace=${calls}`, '-e', 'signal=none'].concat([
      '-o',
      traceFile,
      '-p',
      String(system.running.pid),
    ]),
  })
  await strace.until('it was attached', 10_000, async () =>
    strace.logs.includes('attached') ? true : undefined,
  )
  const keys = Array.from({ length: 5 }, (_, i) => `strace-key-${i}`)
  const answers = []
  for (const [i, key] of keys.entries()) {
    answers.push((await system.post(key, purchase(i, 7_000 + i))).body)
  }
  // strace writes behind the process: the last answer must have been seen.
  const lastId = String(answers.at(-1)?.id)
  await eventually(async () =>
    assert.ok((await readFile(traceFile, 'utf8')).split(lastId).length > 2),
  )
  await pause(200)
  strace.signal('SIGINT')
  await strace.exited
  const seen = readSystemCalls(await readFile(traceFile, 'utf8'))
  await system.stop()

  const isLog = (call: SystemCall) => call.file.includes('/store/') && call.file.endsWith('.log')
  const isSocket = (call: SystemCall) => /^(socket|TCP)/.test(call.file)
  for (const [i, key] of keys.entries()) {
    const id = String(answers[i]?.id)
    assert.equal(answers[i]?.outcome, 'approved')
    const amount = `00000000${7_000 + i}`
    const toIssuer = judgeOrder(seen, {
      isRecord: (call) => isLog(call) && call.data.includes(key),
      isEffect: (call) => isSocket(call) && call.data.includes(amount),
    })
    assert.deepEqual(toIssuer, { kind: 'durable_first' }, `${key} to the issuer`)
    const code = String(answers[i]?.approvalCode)
    const toAcquirer = judgeOrder(seen, {
      isRecord: (call) => isLog(call) && call.data.includes(code),
      isEffect: (call) => isSocket(call) && call.data.includes(id),
    })
    assert.deepEqual(toAcquirer, { kind: 'durable_first' }, `${key} to the acquirer`)
  }
})
