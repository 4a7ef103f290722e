// `npm start` as a new user meets it: it says where it is, and the curl lines that it prints do
// what they say.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { Child } from '../processes/index.ts'
import { eventually } from './system.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'switchyard-start-'))
})
after(() => rm(folder, { recursive: true, force: true }))

async function start(): Promise<Child> {
  const child = Child.start({
    title: 'npm start',
    args: ['switch/commands/switchyard.js', 'start'],
    env: {
      PORT: '0',
      ADMIN_PORT: '0',
      ISO_PORT: '0',
      DATA_DIR: path.join(folder, 'data'),
      KEYS_FILE: path.join(folder, 'keys', 'keys.json'),
      REDIS_URL: undefined,
    },
  })
  await child.until('it printed its curl lines', 60_000, async () =>
    curlLines(child).length >= 4 ? true : undefined,
  )
  return child
}

/** Each with the comment that announces it. */
function curlLines(child: Child): { says: string; line: string }[] {
  const lines = child.logs.split('\n')
  return lines.flatMap((line, i) =>
    line.startsWith('curl ') ? [{ says: lines[i - 1] ?? '', line }] : [],
  )
}

const hasCurl = spawnSync('curl', ['--version']).status === 0

test('the four curl lines do what they say', {
  skip: !hasCurl && 'curl is not installed',
}, async () => {
  const child = await start()
  assert.match(child.logs, /ready after [0-9.]+ s/)
  assert.match(child.logs, /velocity +embedded/)
  const answers = curlLines(child).map(({ says, line }) => {
    const { stdout, status } = spawnSync('bash', ['-c', line], { encoding: 'utf8' })
    assert.equal(status, 0)
    return { says, body: JSON.parse(stdout) }
  })
  const [approved, byRule, byIssuer, refused] = answers
  assert.match(approved?.says ?? '', /approved/)
  assert.deepEqual([approved?.body.outcome, approved?.body.responseCode], ['approved', '00'])
  assert.match(byRule?.says ?? '', /declined by a rule/)
  assert.deepEqual([byRule?.body.outcome, byRule?.body.responseCode], ['declined', '59'])
  assert.ok(byRule?.body.risk.reasons.length > 0)
  assert.match(byIssuer?.says ?? '', /declined by the issuer/)
  assert.deepEqual([byIssuer?.body.outcome, byIssuer?.body.responseCode], ['declined', '51'])
  assert.match(refused?.says ?? '', /422/)
  assert.equal(refused?.body.status, 422)
  assert.equal(refused?.body.param, 'card.pan')
  child.signal('SIGINT')
  assert.equal(await child.exited, 0)
})

test('its demo issuers end with it, even when it is killed', {
  skip: !existsSync('/proc/self/stat') && 'no /proc',
}, async () => {
  const child = await start()
  const issuers = childrenOf(child.pid)
  assert.ok(issuers.length >= 2, 'two demo issuers are its children')
  await child.kill('SIGKILL')
  await eventually(async () => assert.deepEqual(issuers.filter(isAlive), []))
})

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.trim().split(' ').map(Number)
}

function isAlive(pid: number): boolean {
  try {
    // A zombie that init has yet to collect is dead.
    return !/^State:\sZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
