// rules/docs/from-nothing-to-live.md is what these commands print: an analyst takes a rule from
// nothing to live. `SWITCHYARD_WRITE_TRANSCRIPT=1` writes the page anew; otherwise it is compared.

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { eventually, purchase, type System, startSystem } from './system.ts'

const project = path.resolve(import.meta.dirname, '../..')
const page = path.join(project, 'rules/docs/from-nothing-to-live.md')
const adminToken = 'transcript-token'
/** Run before the switch starts, which reads the folder. */
const liveRules = 'mkdir live-rules && cp -R rules/packs rules/lists live-rules/'

const pack = `typology: online-spree
title: A card goes shopping over the internet
description: Three larger purchases of one card within a day, over the internet.
falsePositives: [Christmas presents]
rules:
  - id: online-spree.third-purchase
    title: The third larger purchase of a card within a day
    mode: shadow
    when: channel == "ecommerce" && baseAmuont >= 10000 && count(card, "24h") >= 3
    outcome: challenge
    reason: online_spree
`

const tests = `typology: online-spree
given: { channel: ecommerce, amount: 12000 }
cases:
  - name: the third purchase of a card
    before:
      - { repeat: 2, every: 1h }
    expect: { outcome: approve, hits: [online-spree.third-purchase], reasons: [] }

  - name: small ones don't matter
    given: { amount: 900 }
    before:
      - { repeat: 5, every: 1h }
    expect: { outcome: approve, hits: [] }

  - name: in a shop they don't either
    given: { channel: pos }
    before:
      - { repeat: 5, every: 1h }
    expect: { outcome: approve, hits: [] }

  - name: the first
    expect: { outcome: approve, hits: [] }
`

let system: System
let folder = ''

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'switchyard-desk-'))
  await symlink(path.join(project, 'rules'), path.join(folder, 'rules'))
  execFileSync('sh', ['-c', liveRules], { cwd: folder })
  const env = { ADMIN_TOKEN: adminToken, RULES_DIR: path.join(folder, 'live-rules') }
  system = await startSystem({ env })
  await mkdir(path.join(folder, 'bin'))
  // In a clone, npx finds the command; here it is handed to it.
  const bin = path.join(project, 'switch/commands/switchyard.js')
  const npx = path.join(folder, 'bin/npx')
  await writeFile(npx, `#!/bin/sh\nshift\nexec '${process.execPath}' '${bin}' "$@"\n`)
  await chmod(npx, 0o755)
})

after(async () => {
  await system.stop()
  await rm(folder, { recursive: true, force: true })
})

/** Runs a line as a shell would; both outputs, as they came. */
function shell(line: string): Promise<string> {
  const child = spawn('sh', ['-c', line], {
    cwd: folder,
    env: {
      ...process.env,
      PATH: `${path.join(folder, 'bin')}:${process.env.PATH}`,
      SWITCHYARD_CONFIG: path.join(system.folder, 'switchyard.yaml'),
      DATA_DIR: system.running.dataDir,
      KEYS_FILE: path.join(system.folder, 'keys', 'keys.json'),
      MODEL_DIR: path.join(project, 'scoring', 'models'),
      ADMIN_TOKEN: adminToken,
      NO_COLOR: '1',
    },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      output += data.toString()
    })
  }
  return new Promise((resolve) => child.on('close', () => resolve(output)))
}

/** What differs from run to run, by a name that does not. */
function steady(text: string): string {
  return text
    .replaceAll(system.running.adminUrl, 'http://127.0.0.1:8081')
    .replaceAll(project, '.')
    .replace(/auth_[0-9A-HJKMNP-TV-Z]{26}/g, 'auth_01KAM6...')
    .replace(/\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, '2026-11-22T10:00:00.000Z')
    .replace(/ in [\d.]+ s, \d+ a second/g, ' in 9.9 s')
    .replace(/\b[0-9a-f]{16}\b/g, '<hash>')
    .replaceAll(` by ${userInfo().username}`, ' by ana')
    .replaceAll(`  ${userInfo().username}\n`, '  ana\n')
    .replace(/score: [\d.]+ \([a-z]+\)/g, 'score: 0.0042 (low)')
}

/**
 * The page without what a change of any pack or of the model moves: what the commands on data print
 * is looked at by the test itself, figures elsewhere only have to be figures.
 */
function skeleton(text: string): string {
  return text
    .replace(/(\$ npx switchyard rules (?:test|demo-data|backtest|diff) [^\n]*\n)[^`]*/g, '$1')
    .replace(/\d[\d,.]*/g, '0')
}

const lines: string[] = []

function say(...words: readonly string[]): void {
  lines.push(...words, '')
}

async function show(command: string, told: string = command): Promise<string> {
  const output = await shell(command)
  const printed = steady(output).trimEnd()
  say('```console', `$ ${told}`, ...(printed === '' ? [] : [printed]), '```')
  return output
}

test('an analyst takes a rule from nothing to live', { timeout: 280_000 }, async () => {
  say('# From nothing to live')
  say(
    '<!-- Written by load-tests/e2e/transcript.test.ts, which runs every command here. -->',
    'An analyst has an idea: a stolen card goes shopping over the internet, three larger purchases',
    'within a day. Every command below was run; what changes from run to run (hashes, ids, times) is',
    'shown by a stand-in.',
  )
  await writeFirstDraft()
  await tryOnHistory()
  await goLive()
  const text = `${lines.join('\n').trimEnd()}\n`
  if (process.env.SWITCHYARD_WRITE_TRANSCRIPT === '1') await writeFile(page, text)
  assert.equal(skeleton(await readFile(page, 'utf8')), skeleton(text))
})

async function writeFirstDraft(): Promise<void> {
  say('## A first draft')
  say('In the clone, a folder with the rules that a switch decides by:')
  say('```console', `$ ${liveRules}`, '```')
  say('The draft begins in a copy of it, so that nothing in use is touched:')
  await show('cp -R live-rules my-rules')
  const file = path.join(folder, 'my-rules/packs/online-spree.yaml')
  await writeFile(file, pack)
  say('There a new pack is written, `my-rules/packs/online-spree.yaml`:')
  say('```yaml', pack.trimEnd(), '```')
  const refused = await show('npx switchyard rules lint my-rules')
  assert.match(refused, /did you mean "baseAmount"/)
  await writeFile(file, pack.replace('baseAmuont', 'baseAmount'))
  say('With the name put right it loads. Of what lint notes, one thing is about the new pack:')
  const noted = await show(
    'npx switchyard rules lint my-rules --notes 2>&1 | grep -A1 online-spree',
  )
  assert.match(noted, /no_tests/)
  say('So it gets tests, in virtual time, `my-rules/packs/online-spree.test.yaml`:')
  await writeFile(path.join(folder, 'my-rules/packs/online-spree.test.yaml'), tests)
  say('```yaml', tests.trimEnd(), '```')
  const tested = await show('npx switchyard rules test my-rules')
  assert.match(tested, / 0 failed/)
}

async function edit(name: string, from: string, to: string): Promise<void> {
  const file = path.join(folder, 'my-rules/packs', name)
  const text = await readFile(file, 'utf8')
  assert.ok(text.includes(from), `${name} has no ${from}`)
  await writeFile(file, text.replace(from, to))
}

async function tryOnHistory(): Promise<void> {
  say('## On last month')
  say(
    'In shadow a rule is recorded and decides nothing. What would it have found? Without a store of',
    'one’s own yet, made-up payments do; with one, leave `--data` out.',
  )
  await show('npx switchyard rules demo-data --out demo.csv.gz --days 6')
  const head = `'(^rule |online-spree)'`
  const found = await show(
    `npx switchyard rules backtest --rules my-rules --data demo.csv.gz --html report.html | grep -E ${head}`,
  )
  assert.match(found, /online-spree\.third-purchase +shadow +challenge +\d/)
  say('`report.html` has the charts. Set live, whom would it touch?')
  await edit('online-spree.yaml', 'mode: shadow', 'mode: live')
  await edit(
    'online-spree.test.yaml',
    'outcome: approve, hits: [online',
    'outcome: challenge, hits: [online',
  )
  await edit('online-spree.test.yaml', 'reasons: []', 'reasons: [online_spree]')
  say('`mode: live` in the pack, and what its tests expect follows:')
  const diffed = await show('npx switchyard rules diff live-rules my-rules --data demo.csv.gz')
  assert.match(diffed, /added +online-spree\.third-purchase/)
}

async function goLive(): Promise<void> {
  say('## Live')
  say('The switch runs on the folder of the start, in a terminal of its own:')
  say('```console', '$ RULES_DIR=live-rules ADMIN_TOKEN=... npm start', '```')
  say(
    'The pack and its tests go into that folder. A running switch sees the change, runs the tests of',
    'all packs, and swaps the rules between two messages; had anything been wrong, the old rules would',
    'have stayed.',
  )
  const before = await liveHash()
  await show('cp my-rules/packs/online-spree.* live-rules/packs/')
  await eventually(async () => assert.notEqual(await liveHash(), before), 60_000)
  let id = ''
  for (let n = 1; n <= 3; n++) {
    const body = { ...purchase(4_711, 12_000 + n), channel: 'ecommerce', terminal: {}, device: {} }
    const { body: answer } = await system.post(`transcript-${n}`, body)
    id = String(answer.id)
    if (n === 3) assert.equal(answer.outcome, 'challenged', JSON.stringify(answer))
  }
  say('Three payments of 120 euros with one card later the third was challenged. Why?')
  const explained = await show(
    `npx switchyard rules explain ${id} --rule online-spree.third-purchase --rules live-rules`,
    'npx switchyard rules explain auth_01KAM6... --rule online-spree.third-purchase --rules live-rules',
  )
  assert.match(explained, /fired \(live, challenge, online_spree\)/)
  await takeBack(before)
}

/** Rolled back at once, then for good; `before` decided until the rule went live. */
async function takeBack(before: string): Promise<void> {
  say(
    '## The way back',
    '',
    'Complaints come in: the rule must go, now. What decides, and what has changed?',
  )
  const live = await show('npx switchyard rules status')
  assert.match(live, /decides since/)
  const past = await show('npx switchyard rules history')
  assert.match(past, /added: online-spree\.third-purchase/)
  say(
    'Every set that decided is kept by its hash. A rollback puts the one before back at once, and pins',
    'it: until it is released, nothing in the folder counts. `ADMIN_TOKEN` must be exported',
    'in this terminal too: the token that the switch was started with.',
  )
  const back = await show('npx switchyard rules rollback')
  assert.match(back, /decides now/)
  assert.equal(await liveHash(), before)
  say('Now there is time to take the files out, and then the folder decides again:')
  await show('rm live-rules/packs/online-spree.*')
  const released = await show('npx switchyard rules release')
  assert.match(released, /decides as before/)
  assert.doesNotMatch(released, /PINNED/)
  assert.equal(await liveHash(), before)
}

async function liveHash(): Promise<string> {
  const response = await fetch(`${system.running.adminUrl}/v1/rules`)
  return ((await response.json()) as { hash: string }).hash
}
