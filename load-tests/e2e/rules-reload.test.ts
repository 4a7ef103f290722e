import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { readKeptSet } from '#rules'
import { pause, projectFolder } from '../processes/index.ts'
import { eventually, purchase, type System, startSystem } from './system.ts'

// Rules change while a real switch runs: by their files, by request, back again, and across
// restarts. Each set names itself by the reason of a rule that fires for one merchant.

const TOKEN = 'an-admin-token'
let rulesDir: string
let system: System
let next = 1

function pack(reason: string, when = 'merchant.id == "M-named"'): string {
  return `typology: named
rules:
  - id: named.one
    title: A merchant to look at
    mode: live
    when: ${when}
    outcome: review
    reason: ${reason}
`
}

const packFile = () => path.join(rulesDir, 'packs', 'named.yaml')

/** As editors do: the new text beside the file, then its name. */
async function save(text: string, file = packFile()): Promise<void> {
  await writeFile(`${file}~`, text)
  await rename(`${file}~`, file)
}

/** What the payment of the named merchant is decided by. */
async function decidedBy(): Promise<readonly string[]> {
  const number = next++
  const body = { ...purchase(number, 1_000 + number), merchant: { id: 'M-named', mcc: '5411' } }
  const { status, body: answer } = await system.post(`rules-${number}`, body)
  assert.equal(status, 200)
  const { reasons, degraded } = answer.risk as { reasons: string[]; degraded: string[] }
  assert.deepEqual(degraded, [])
  return reasons
}

interface Report {
  readonly result: string
  readonly hash: string
  readonly problems?: readonly { file: string; line: number; column: number; message: string }[]
}

async function order(what: string, body: object = {}, token = TOKEN) {
  const response = await fetch(`${system.running.adminUrl}/v1/${what}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  const report = response.status === 401 ? {} : JSON.parse(text)
  return { status: response.status, report: report as Report }
}

async function admin(pathAndQuery: string): Promise<string> {
  return (await fetch(`${system.running.adminUrl}${pathAndQuery}`)).text()
}

async function liveHash(): Promise<string> {
  const status = JSON.parse(await admin('/v1/rules')) as { hash: string }
  assert.match(await admin('/metrics'), new RegExp(`rules_info\\{hash="${status.hash}"\\} 1`))
  return status.hash
}

const settings = () => ({ env: { RULES_DIR: rulesDir, ADMIN_TOKEN: TOKEN } })

before(async () => {
  rulesDir = path.join(await mkdtemp(path.join(tmpdir(), 'switchyard-rules-')), 'rules')
  await cp(path.join(projectFolder, 'rules', 'packs'), path.join(rulesDir, 'packs'), {
    recursive: true,
  })
  await cp(path.join(projectFolder, 'rules', 'lists'), path.join(rulesDir, 'lists'), {
    recursive: true,
  })
  await save(pack('first'))
  system = await startSystem(settings())
})

after(async () => {
  await system.stop()
  await rm(path.dirname(rulesDir), { recursive: true })
})

test('a file that is saved is live soon, without a restart, and its set is kept', async () => {
  assert.deepEqual(await decidedBy(), ['first'])
  const first = await liveHash()
  await save(pack('second'))
  await eventually(async () => assert.deepEqual(await decidedBy(), ['second']))
  const second = await liveHash()
  assert.notEqual(second, first)
  for (const hash of [first, second]) {
    const kept = await readKeptSet(path.join(system.running.dataDir, 'rule-sets'), hash)
    assert.ok(kept.ok, hash)
  }
  assert.match(await admin('/metrics'), /rules_reload_total\{result="taken"\} 1/)
})

test('a bad file keeps the old set, and says where and what was meant', async () => {
  const live = await liveHash()
  await save(pack('third', 'merchant.idd == "M-named"'))
  await eventually(async () => assert.match(await admin('/readyz?verbose'), /refused at/))
  const readyz = await admin('/readyz?verbose')
  assert.match(readyz, /packs\/named\.yaml:6:20 unknown_name .*did you mean "id"\?/)
  assert.match(readyz, /\nready\n$/)
  assert.equal(await liveHash(), live)
  assert.deepEqual(await decidedBy(), ['second'])
  const { status, report } = await order('rules/reload', { by: 'ada' })
  assert.equal(status, 422)
  assert.deepEqual([report.result, report.hash], ['refused', live])
  const [problem] = report.problems ?? []
  assert.deepEqual([problem?.file, problem?.line, problem?.column], ['packs/named.yaml', 6, 20])
  assert.match(await admin('/metrics'), /rules_reload_total\{result="refused"\} [2-9]/)
  assert.match(system.running.logs, /packs\/named\.yaml:6:20 unknown_name/)
})

test('a set whose own tests fail is refused, too', async () => {
  const live = await liveHash()
  await save(pack('third'))
  const testFile = path.join(rulesDir, 'packs', 'named.test.yaml')
  const given = 'given: { merchant: { id: M-other } }'
  const testCase = `  - name: it is looked at\n    ${given}\n    expect: { outcome: review }\n`
  await save(`typology: named\ncases:\n${testCase}`, testFile)
  const { report } = await order('rules/reload')
  assert.equal(report.result, 'refused', JSON.stringify(report))
  assert.match(report.problems?.[0]?.message ?? '', /it is looked at.*expected outcome review/)
  assert.equal(await liveHash(), live)
  await rm(testFile)
})

test('who has not the ADMIN_TOKEN changes nothing', async () => {
  const live = await liveHash()
  for (const what of ['rules/reload', 'rules/rollback', 'rules/release', 'labels']) {
    assert.equal((await order(what, {}, 'another')).status, 401)
  }
  assert.equal(await liveHash(), live)
})

test('a rollback pins the set before, whatever the files say, also after a restart', async () => {
  const { report: taken } = await order('rules/reload')
  assert.ok(['taken', 'unchanged'].includes(taken.result), JSON.stringify(taken))
  assert.deepEqual(await decidedBy(), ['third'])
  const { status, report } = await order('rules/rollback', { by: 'ada' })
  assert.equal(status, 200, JSON.stringify(report))
  assert.deepEqual(await decidedBy(), ['second'])
  assert.match(await admin('/readyz?verbose'), /pinned by ada since 20/)
  await save(pack('fourth'))
  assert.equal((await order('rules/reload')).status, 409)
  assert.deepEqual(await decidedBy(), ['second'])
  await system.running.stop()
  await system.restart()
  assert.deepEqual(await decidedBy(), ['second'])
  assert.match(await admin('/readyz?verbose'), /pinned by ada since 20/)
  assert.equal((await order('rules/release', { by: 'ada' })).status, 200)
  assert.deepEqual(await decidedBy(), ['fourth'])
  assert.doesNotMatch(await admin('/readyz?verbose'), /pinned/)
})

test('a switch that was killed amid reloads comes back with a whole set', async () => {
  for (let round = 0; round < 2; round++) {
    const reason = `killed_${round}`
    await save(pack(reason))
    const asked = order('rules/reload').catch(() => undefined)
    await pause(round * 30)
    await system.running.kill()
    await asked
    await system.restart()
    assert.deepEqual(await decidedBy(), [reason])
    const kept = path.join(system.running.dataDir, 'rule-sets')
    assert.ok((await readKeptSet(kept, await liveHash())).ok)
  }
})

test('a bad file at a restart: the set that decided last decides again, and says so', async () => {
  const live = await liveHash()
  await system.running.stop()
  await save(pack('broken', 'scroe > 0'))
  await system.restart()
  assert.equal(await liveHash(), live)
  assert.deepEqual(await decidedBy(), ['killed_1'])
  assert.match(await admin('/readyz?verbose'), /refused at .*the start.*unknown_name.*score/)
  await save(pack('mended'))
  await eventually(async () => assert.deepEqual(await decidedBy(), ['mended']))
})

/** Runs the command as whoever is at the terminal would. */
async function switchyard(...args: string[]) {
  const env = {
    ...process.env,
    SWITCHYARD_CONFIG: path.join(system.folder, 'switchyard.yaml'),
    DATA_DIR: system.running.dataDir,
    KEYS_FILE: path.join(system.folder, 'keys', 'keys.json'),
    RULES_DIR: rulesDir,
    ADMIN_TOKEN: TOKEN,
  }
  const file = path.join(projectFolder, 'switch', 'commands', 'switchyard.js')
  const run = promisify(execFile)(process.execPath, [file, ...args], { env })
  type Ended = { readonly stdout: string; readonly stderr: string; readonly code?: number }
  const ended: Ended = await run.catch((error: Ended) => error)
  return { code: ended.code ?? 0, out: ended.stdout, err: ended.stderr }
}

test('status, rollback, release and history by command, also of a switch that is stopped', async () => {
  const live = await liveHash()
  const running = await switchyard('rules', 'status')
  assert.match(running.out, new RegExp(`set ${live}, \\d+ rules, decides since`))
  const back = await switchyard('rules', 'rollback')
  assert.equal(back.code, 0, back.err)
  assert.match(back.out, /decides now[\s\S]*PINNED/)
  assert.deepEqual(await decidedBy(), ['killed_1'])
  assert.match((await switchyard('rules', 'reload')).out, /refused[\s\S]*pinned/)
  assert.equal((await switchyard('rules', 'release')).code, 0)
  assert.deepEqual(await decidedBy(), ['mended'])
  await system.running.stop()
  const stopped = await switchyard('rules', 'rollback')
  assert.match(stopped.out, /no switch runs; the next start obeys: PINNED/, stopped.err)
  assert.match((await switchyard('rules', 'status')).out, /the next start obeys/)
  await system.restart()
  assert.deepEqual(await decidedBy(), ['killed_1'])
  const history = await switchyard('rules', 'history', '--json')
  const [newest] = history.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual([newest.result, newest.kept], ['started', true])
  assert.equal((await switchyard('rules', 'release')).code, 0)
  assert.deepEqual(await decidedBy(), ['mended'])
})

test('the history tells who did what', async () => {
  const file = path.join(system.running.dataDir, 'rule-sets', 'history.ndjson')
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n')
  const events = lines.map((line) => JSON.parse(line))
  const told = events.map(({ result, by }) => `${result} by ${by}`)
  assert.equal(told[0], 'started by the start')
  assert.ok(told.includes('taken by a change of packs/named.yaml'), told.join('\n'))
  assert.ok(told.includes('refused by ada'))
  assert.ok(told.includes('rolled_back by ada'))
  assert.ok(told.includes('released by ada'))
  const change = events.find(({ result }) => result === 'taken')
  assert.deepEqual(change.changes.changed, ['named.one'])
})

test('labels: by id, by RRN, again, and those of nobody, item by item', async () => {
  const number = next++
  const { body } = await system.post(`label-${number}`, purchase(number, 1_000 + number))
  const rrn = String(number).padStart(12, '0')
  const known = { kind: 'chargeback', knownAt: '2026-11-20' }
  const labels = [
    { id: body.id, ...known },
    { acquirer: 'demo', rrn, ...known },
    { id: 'auth_nobody', kind: 'genuine' },
    { id: body.id, kind: 'fraud' },
    { acquirer: 'demo', rrn, kind: 'genuine' },
  ]
  const { status, report } = await order('labels', { labels })
  assert.equal(status, 200)
  const { recorded, results } = report as unknown as { recorded: number; results: object[] }
  assert.equal(recorded, 2)
  const words = results.map((one) => (one as { result: string }).result)
  assert.deepEqual([...words].sort(), ['invalid', 'known', 'recorded', 'recorded', 'unknown'])
  assert.deepEqual([words[2], words[3], words[4]], ['unknown', 'invalid', 'recorded'])
  await system.running.kill()
  await system.restart()
  const { report: again } = await order('labels', { labels: labels.slice(0, 2) })
  assert.equal((again as unknown as { known: number }).known, 2)
})

// The last one: it leaves the switch stopped.
test('labels come in from a file, through a switch that runs and into one that is stopped', async () => {
  const number = next++
  const { body } = await system.post(`file-${number}`, purchase(number, 1_000 + number))
  const file = path.join(system.folder, 'labels.csv')
  await writeFile(file, `id,kind,knownAt\n${body.id},chargeback,2026-11-20\nauth_x,genuine,\n`)
  const first = await switchyard('model', 'labels', 'import', file)
  assert.match(first.out, /1 recorded, 0 known before, 1 refused/)
  assert.match(first.err, /labels\.csv:3 there is no such transaction/)
  assert.equal(first.code, 1)
  await system.running.stop()
  await writeFile(
    file,
    `{"id":"${body.id}","kind":"chargeback","knownAt":"2026-11-20"}\n{"id":1}\n`,
  )
  const bad = await switchyard('model', 'labels', 'import', file)
  assert.match(bad.err, /labels\.csv:2 "id" is a text[\s\S]*nothing was imported/)
  const again = await switchyard('model', 'labels', 'import', file, '--skip-bad')
  assert.match(again.out, /0 recorded, 1 known before, 0 refused, 1 bad lines left out/)
})
