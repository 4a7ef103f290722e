import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Command } from 'commander'
import { loadRules } from './rules.ts'
import { PROJECT_ROOT } from './run-tool.ts'

let folder = ''

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rules-'))
  for (const part of ['packs', 'lists']) {
    const from = path.join(PROJECT_ROOT, 'rules', part)
    const wanted = (name: string) => name === from || /\.(yaml|csv)$/.test(name)
    cpSync(from, path.join(folder, part), { recursive: true, filter: wanted })
  }
})

after(() => rmSync(folder, { recursive: true, force: true }))

interface Ran {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command in a process of its own: two seconds of starting, so only where it must be. */
function spawnRules(words: readonly string[], input = ''): Ran {
  const bin = path.join(PROJECT_ROOT, 'switch/commands/switchyard.js')
  const keys = { KEYS_FILE: path.join(folder, 'keys.json'), DATA_DIR: folder }
  const env = { ...process.env, ...keys }
  return spawnSync(process.execPath, [bin, ...words], { encoding: 'utf8', env, input })
}

/** Runs `rules <words>` in this process; its output and exit code are caught. */
async function run(...words: string[]): Promise<Ran> {
  const output = { stdout: '', stderr: '' }
  const before = process.exitCode
  const { log, error } = console
  console.log = (text: string) => {
    output.stdout += `${text}\n`
  }
  console.error = (text: string) => {
    output.stderr += `${text}\n`
  }
  try {
    process.exitCode = 0
    const program = new Command()
    const register = await loadRules(words[0])
    register(program)
    await program.parseAsync(['rules', ...words], { from: 'user' })
    return { ...output, status: Number(process.exitCode) }
  } finally {
    Object.assign(console, { log, error })
    process.exitCode = before
  }
}

function edit(name: string, from: string, to: string): () => void {
  const file = path.join(folder, name)
  const text = readFileSync(file, 'utf8')
  assert.ok(text.includes(from))
  writeFileSync(file, text.replace(from, to))
  return () => writeFileSync(file, text)
}

describe('switchyard rules', () => {
  test('lint and test are content with the shipped packs', async () => {
    const linted = await run('lint', folder, '--json')
    assert.equal(linted.status, 0, linted.stdout + linted.stderr)
    const { ok, hash } = JSON.parse(linted.stdout) as { ok: boolean; hash: string }
    assert.equal(ok, true)
    assert.match(hash, /^[0-9a-f]{16}$/)
    const tested = await run('test', folder, '--json')
    assert.equal(tested.status, 0, tested.stdout + tested.stderr)
    const { passed, failed } = JSON.parse(tested.stdout) as { passed: number; failed: number }
    assert.ok(passed >= 40)
    assert.equal(failed, 0)
  })

  test('lint shows the place, the line and the nearest name', async () => {
    const undo = edit('packs/card-testing.yaml', 'count(device, "10m")', 'count(devise, "10m")')
    const { status, stdout, stderr } = await run('lint', folder)
    undo()
    assert.equal(status, 1)
    assert.match(stderr, /^not loaded: 1 error, /)
    const [place, line, caret] = stdout.split('\n')
    assert.match(place ?? '', /packs\/card-testing\.yaml:\d+:\d+ error bad_entity: .*"device"\?$/)
    assert.match(line ?? '', /count\(devise, "10m"\)/)
    assert.equal(caret?.indexOf('^'), line?.indexOf('devise'))
  })

  test('lint speaks to machines', async () => {
    const oddities = path.join(PROJECT_ROOT, 'rules/lint/oddities')
    const sarif = await run('lint', oddities, '--format', 'sarif')
    assert.equal(sarif.status, 1)
    assert.equal((JSON.parse(sarif.stdout) as { version: string }).version, '2.1.0')
    const github = await run('lint', oddities, '--format', 'github')
    assert.match(
      github.stdout,
      /^::error file=.*packs\/odd\.yaml,line=7,col=11,title=never_true::/m,
    )
    assert.equal((await run('lint', oddities, '--format', 'xml')).status, 2)
  })

  test('lists show says what is listed, until when and why', async () => {
    writeFileSync(
      path.join(folder, 'lists/watched.csv'),
      'value,until,by,why\nM-1,2026-01-31,ana,"late, twice"\nM-2,,ana,\n',
    )
    const [all, one, absent] = [
      await run('lists', 'show', '--dir', folder, '--json'),
      await run('lists', 'show', 'watched', '--dir', folder),
      await run('lists', 'show', 'wached', '--dir', folder),
    ]
    rmSync(path.join(folder, 'lists/watched.csv'))
    const rows = all.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { list: string })
    assert.ok(rows.some(({ list }) => list === 'watched'))
    assert.match(one.stdout, /^M-1 +2026-01-31 +ana +late, twice +ended$/m)
    assert.match(one.stderr, /2 entries, 1 of them ended/)
    assert.equal(absent.status, 1)
    assert.match(absent.stderr, /there are: .*watched/)
  })

  test('test shows what was expected and what came', async () => {
    const undo = edit('packs/card-testing.yaml', '"10m") >= 8', '"10m") >= 9')
    const { status, stdout } = await run('test', folder)
    undo()
    assert.equal(status, 1)
    assert.match(stdout, /card-testing\.test\.yaml:\d+ eight small payments/)
    assert.match(stdout, /expected outcome decline, got approve/)
  })

  test('test counts the files that it can’t read', async () => {
    const undo = edit('packs/card-testing.test.yaml', 'cases:', 'cases: [')
    const { status, stderr } = await run('test', folder)
    undo()
    assert.equal(status, 1)
    assert.match(stderr, /^[0-9]+ passed, 0 failed, 1 file not read$/m)
  })

  test('test names what no test reaches, and counts samples with their truth', async () => {
    const undo = edit('packs/velocity-burst.yaml', '"24h") >= 4', '"24h") >= 4 && amount < 900000')
    const { stderr, stdout } = await run('test', folder, '--coverage')
    undo()
    assert.match(stderr, /\d+ of \d+ rules fire in a test, \d+ of \d+ clauses/)
    assert.match(stdout, /velocity-burst\.yaml:\d+:\d+ .* never false: amount < 900000$/m)
    assert.match(
      stdout,
      /^ +approve +review +challenge +decline\nfraud( +\d+){4}\ngenuine( +\d+){4}$/m,
    )
    assert.match(stdout, /^stopped \(challenge or decline\): precision [\d.]+%, recall [\d.]+%$/m)
  })

  test('test runs again when a file changes', { timeout: 30_000 }, async () => {
    const bin = path.join(PROJECT_ROOT, 'switch/commands/switchyard.js')
    const child = spawn(process.execPath, [bin, 'rules', 'test', folder, '--watch'])
    let output = ''
    const seen = (pattern: RegExp) =>
      new Promise<void>((resolve) => {
        const look = (): void => {
          if (pattern.test(output)) resolve()
        }
        child.stderr.on('data', look)
        look()
      })
    child.stderr.on('data', (data: Buffer) => {
      output += data.toString()
    })
    const ended = new Promise<number | null>((resolve) => child.on('exit', resolve))
    await seen(/watching/)
    const undo = edit('packs/card-testing.yaml', '"10m") >= 8', '"10m") >= 9')
    await seen(/1 failed/)
    undo()
    await seen(/1 failed[\s\S]* 0 failed/)
    child.kill('SIGINT')
    assert.equal(await ended, 0)
  })

  describe('lists', () => {
    const lists = (words: readonly string[]) => run('lists', ...words, '--dir', folder)
    const cards = (words: readonly string[], input: string) =>
      spawnRules(['rules', 'lists', ...words, '--dir', folder], input)
    const text = (list: string) => readFileSync(path.join(folder, `lists/${list}.csv`), 'utf8')

    test('are made, added to and removed from', async () => {
      const added = await lists(['add', 'watched', 'M-1', '--until', '2027-01-31', '--why', 'a, b'])
      assert.equal(added.status, 0, added.stderr)
      assert.match(text('watched'), /^value,until,added,by,why\nM-1,2027-01-31,20\d\d-.*,"a, b"\n$/)
      assert.equal((await lists(['add', 'watched', 'M-1'])).status, 1)
      assert.equal((await lists(['add', 'airlines', '3000', '3299', '--kind', 'range'])).status, 0)
      assert.match(text('airlines'), /\n3000,3299,/)
      assert.equal((await lists(['remove', 'watched', 'M-1'])).status, 0)
      assert.equal(text('watched'), 'value,until,added,by,why\n')
      assert.equal((await lists(['remove', 'nowhere', 'M-1'])).status, 1)
    })

    test('that would not load are not written', async () => {
      const before = text('airlines')
      const overlapping = await lists(['add', 'airlines', '3100', '3100'])
      assert.equal(overlapping.status, 1)
      assert.match(overlapping.stderr, /lists\/airlines\.csv:3 bad_list_line: overlaps/)
      assert.equal((await lists(['add', 'airlines', '4000', '4010', '--until', 'soon'])).status, 1)
      assert.equal((await lists(['add', 'fx', '4000'])).status, 2)
      assert.equal(text('airlines'), before)
    })

    test('take cards as tokens from standard input, and never as arguments', async () => {
      const made = spawnRules(['keys', 'create'])
      assert.equal(made.status, 0, made.stderr)
      const numbers = '4761739001010119\n\n5413 3300 8901 0434\n'
      const added = cards(['add-card', 'stolen', '--why', 'reported'], numbers)
      assert.equal(added.status, 0, added.stderr)
      const tokens = added.stdout.trim().split('\n')
      assert.equal(tokens.length, 2)
      for (const token of tokens) assert.match(token, /^tok_[A-Za-z0-9_-]{22}$/)
      for (const token of tokens) assert.ok(text('stolen').includes(`\n${token},`))
      const wrong = cards(['add-card', 'stolen'], '4761739001010119\n4761739001010118\n')
      assert.equal(wrong.status, 2)
      assert.match(wrong.stderr, /line 2/)
      assert.equal((await lists(['add', 'stolen', '4761739001010119'])).status, 2)
      assert.equal(cards(['remove', 'stolen', '--card'], '4761739001010119').status, 0)
      const all = [text('stolen'), added.stdout, added.stderr, wrong.stderr].join('\n')
      assert.ok(!all.includes('47617390') && !text('stolen').includes(tokens[0] ?? ''))
    })
  })

  test('strictness, wrong folders and folders without tests have their exit codes', async () => {
    assert.equal((await run('lint', folder, '--strict')).status, 1)
    const packs = path.join(folder, 'packs')
    for (const [words, why] of [
      [['backtest', '--rules', folder, '--data', 'a.xls'], 'a.xls must end in .csv, .ndjson, '],
      [['lint', path.join(folder, 'nowhere')], `there is no ${path.join(folder, 'nowhere')}: `],
      [['lint', packs], `${packs} holds no packs/ folder: name the folder above it (${folder})`],
      [['lists', 'show', '--dir', packs], `${packs} holds no packs/ folder`],
      [['lists', 'remove', 'any', 'x', '--dir', packs], `${packs} holds no packs/ folder`],
      [['backtest', '--rules', packs], `${packs} holds no packs/ folder`],
    ] as const) {
      const { status, stderr } = await run(...words)
      assert.equal(status, 2)
      assert.ok(stderr.startsWith(why), stderr)
    }
    rmSync(path.join(folder, 'packs'), { recursive: true })
    assert.equal((await run('test', folder)).status, 2)
  })
})
