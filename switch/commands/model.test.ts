import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { PROJECT_ROOT } from './run-tool.ts'

const SHIPPED = path.join(PROJECT_ROOT, 'scoring', 'models', 'switchyard-trees')

let folder: string
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'switchyard-model-'))
})
after(() => rm(folder, { recursive: true }))

interface Run {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function switchyard(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Run> {
  const script = path.join(PROJECT_ROOT, 'switch', 'commands', 'switchyard.js')
  const options = { cwd: folder, env: { ...process.env, ...environment } }
  return new Promise((resolve) => {
    execFile(process.execPath, [script, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

test('check says ok of the shipped models, and what they are', async () => {
  const { code, stdout } = await switchyard(['model', 'check', '--json'])
  assert.equal(code, 0)
  const lines = stdout.trim().split('\n')
  assert.ok(lines.length >= 1)
  for (const line of lines) {
    const report = JSON.parse(line) as { ok: boolean; bands: unknown[]; version: string }
    assert.equal(report.ok, true)
    assert.ok(report.bands.length > 0)
    assert.match(report.version, /\+[0-9a-f]{8}$/)
  }
})

test('check names the vector of a model that scores differently, and exits with 1', async () => {
  const broken = path.join(folder, 'broken')
  await cp(SHIPPED, broken, { recursive: true })
  const file = path.join(broken, 'manifest.json')
  const manifest = JSON.parse(await readFile(file, 'utf8')) as {
    parity: { name: string; score: number }[]
  }
  const [vector] = manifest.parity
  assert.ok(vector !== undefined)
  vector.score = vector.score > 0.5 ? vector.score - 1e-5 : vector.score + 1e-5
  await writeFile(file, JSON.stringify(manifest))
  const { code, stdout } = await switchyard(['model', 'check', SHIPPED, broken])
  assert.equal(code, 1)
  assert.match(stdout, /^ok: /m)
  assert.match(stdout, new RegExp(`^parity: .*parity vector ${vector.name} scores`, 'm'))
})

test('check of an empty MODEL_DIR exits with 1', async () => {
  const { code, stderr } = await switchyard(['model', 'check'], { MODEL_DIR: `${folder}/none` })
  assert.equal(code, 1)
  assert.match(stderr, /no model folder/)
})

test('features prints a row for each column', async () => {
  const { code, stdout } = await switchyard(['model', 'features'])
  assert.equal(code, 0)
  assert.match(stdout, /\| 0 \| `amount_log` \|/)
})

test('train says what a tool said when it fails, and writes no model', async () => {
  const small = ['--days', '1', '--customers', '50', '--work', path.join(folder, 'work')]
  const out = path.join(folder, 'out')
  const args = ['model', 'train', '--out', out, ...small]
  const { code, stderr } = await switchyard([...args, '--python', path.join(folder, 'nowhere')])
  assert.equal(code, 1)
  assert.match(stderr, /nowhere does not start/)
  await assert.rejects(readFile(path.join(out, 'manifest.json')))
})

test('wrong use exits with 2', async () => {
  assert.equal((await switchyard(['model', 'train', '--days', '0'])).code, 2)
})

test('evaluate names the file that it cannot read, and wants file and protocol', async () => {
  const missing = path.join(folder, 'nowhere.csv')
  const args = ['model', 'evaluate', '--data', missing]
  const { code, stdout, stderr } = await switchyard([...args, '--protocol', 'handbook', '--json'])
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(stderr, /ENOENT.*nowhere\.csv/)
  assert.equal((await switchyard(args)).code, 2)
  assert.equal((await switchyard([...args, '--protocol', 'other'])).code, 2)
})

test('beside a stopped switch status says what a start takes, and orders exit with 2', async () => {
  const environment = { DATA_DIR: path.join(folder, 'data') }
  const [status, order] = await Promise.all([
    switchyard(['model', 'status'], environment),
    switchyard(['model', 'use', 'trial'], environment),
  ])
  assert.equal(status.code, 0)
  assert.match(status.stdout, /no switch runs here\nno model has decided yet/)
  assert.equal(order.code, 2)
  assert.match(order.stderr, /no switch runs here/)
})
