// `npm start` as a new user meets it: it says where it is, and the curl lines that it prints do
// what they say.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { Child, projectFolder } from '../processes/index.ts'
import { eventually } from './system.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'switchyard-start-'))
})
after(() => rm(folder, { recursive: true, force: true }))

function run(env: Readonly<Record<string, string>> = {}): Child {
  return Child.start({
    title: 'npm start',
    args: ['switch/commands/switchyard.js', 'start'],
    env: {
      PORT: '0',
      ADMIN_PORT: '0',
      ISO_PORT: '0',
      DATA_DIR: path.join(folder, 'data'),
      KEYS_FILE: path.join(folder, 'keys', 'keys.json'),
      SWITCHYARD_CONFIG: undefined,
      REDIS_URL: undefined,
      ...env,
    },
  })
}

async function start(): Promise<Child> {
  const child = run()
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
  assert.match(child.logs, /Switchyard is ready after [0-9.]+ s\./)
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

test('a configuration of one’s own has no demo, and what is missing is said', async () => {
  const shipped = readFileSync(path.join(projectFolder, 'switch/config/default.yaml'), 'utf8')
  const config = path.join(folder, 'own.yaml')
  // Links of the demo's names, to where nobody answers.
  writeFileSync(config, shipped.replaceAll(/port: 910[12]/g, 'port: 1'))
  const child = run({ SWITCHYARD_CONFIG: config, DATA_DIR: path.join(folder, 'own') })
  await child.until('it said how it is', 60_000, async () =>
    /issuers +demo-a 127\.0\.0\.1:1, demo-b 127\.0\.0\.1:1/.test(child.logs) ? true : undefined,
  )
  const said = /but is not ready: issuers: signed on: none; down: demo-a, demo-b \(--demo starts/
  assert.match(child.logs, /listens after [0-9.]+ s, but/)
  assert.match(child.logs, said)
  assert.doesNotMatch(child.logs, /is ready|demo-key|curl/)
  const modeOf = (name: string) => statSync(path.join(folder, 'own', name)).mode & 0o777
  assert.deepEqual([modeOf('.'), modeOf('addresses.json')], [0o700, 0o600])
  child.signal('SIGTERM')
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
