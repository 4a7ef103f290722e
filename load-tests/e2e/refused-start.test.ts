// What the switch refuses to start with, and whether it says what to do about it.

import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { openFileDisk } from '../../switch/adapters/file-disk.ts'
import { writeKeyFile } from '../../switch/adapters/key-files.ts'
import { createSystemRandom } from '../../switch/adapters/system-clock.ts'
import { Child, projectFolder } from '../processes/index.ts'

const configFile = path.join(projectFolder, 'switch', 'config', 'default.yaml')

let folder: string
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'switchyard-e2e-'))
})
after(() => rm(folder, { recursive: true, force: true }))

/** Starts a switch that should not start; its exit code and all that it said. */
async function start(name: string, env: Readonly<Record<string, string>> = {}, flag = '--no-demo') {
  const own = path.join(folder, name)
  await mkdir(own, { recursive: true })
  const child = Child.start({
    title: 'the switch',
    args: ['switch/commands/switchyard.js', 'start', flag],
    env: {
      PORT: '0',
      ADMIN_PORT: '0',
      ISO_PORT: '0',
      DATA_DIR: path.join(own, 'data'),
      KEYS_FILE: path.join(own, 'keys', 'keys.json'),
      SWITCHYARD_CONFIG: undefined,
      REDIS_URL: undefined,
      ...env,
    },
  })
  return { exitCode: await child.exited, said: child.logs }
}

async function withConfig(name: string, change: (text: string) => string): Promise<string> {
  const file = path.join(folder, `${name}.yaml`)
  await writeFile(file, change(await readFile(configFile, 'utf8')))
  return file
}

test('a configuration with an unknown key: refused with the nearest known', async () => {
  const file = await withConfig('unknown-key', (text) => `${text}\nroute: []\n`)
  const { exitCode, said } = await start('unknown-key', { SWITCHYARD_CONFIG: file })
  assert.equal(exitCode, 2)
  assert.match(said, /route is not a known key; did you mean routes\?/)
})

test('a rule with a type error: refused with file, line and column', async () => {
  const rules = path.join(folder, 'rules')
  await cp(path.join(projectFolder, 'rules', 'packs'), path.join(rules, 'packs'), {
    recursive: true,
  })
  await cp(path.join(projectFolder, 'rules', 'lists'), path.join(rules, 'lists'), {
    recursive: true,
  })
  const pack = path.join(rules, 'packs', 'geo-mismatch.yaml')
  const text = await readFile(pack, 'utf8')
  const broken = text.replace('speedKmh(card, "6h") > 1000.0', 'speedKmh(card, "6h") > "fast"')
  assert.notEqual(broken, text)
  await writeFile(pack, broken)
  const line = broken.slice(0, broken.indexOf('"fast"')).split('\n').length
  const { exitCode, said } = await start('bad-rule', { RULES_DIR: rules })
  assert.equal(exitCode, 1)
  assert.match(said, new RegExp(`packs/geo-mismatch\\.yaml:${line}:\\d+ `))
})

test('a model whose parity differs: refused with the vector', async () => {
  const models = path.join(folder, 'models')
  await cp(path.join(projectFolder, 'scoring', 'models'), models, { recursive: true })
  const manifestFile = path.join(models, 'switchyard-trees', 'manifest.json')
  const manifest = JSON.parse(await readFile(manifestFile, 'utf8'))
  const vector = manifest.parity[3]
  vector.score += 0.001
  await writeFile(manifestFile, JSON.stringify(manifest))
  const { exitCode, said } = await start('bad-model', { MODEL_DIR: models })
  assert.equal(exitCode, 1)
  assert.match(said, /parity/)
  assert.ok(said.includes(vector.name), said)
})

test('production without keys, and with the demo key: refused', async () => {
  const demo = await start('production', { NODE_ENV: 'production' })
  assert.equal(demo.exitCode, 2)
  assert.match(demo.said, /demo key is public/)
  const file = await withConfig('production', (text) =>
    text
      .replace(/apiKeySha256: \[[0-9a-f]+\]/, `apiKeySha256: [${'a'.repeat(64)}]`)
      .replace('demo-hmac', 'ours'),
  )
  const keys = await start('production', { NODE_ENV: 'production', SWITCHYARD_CONFIG: file })
  assert.equal(keys.exitCode, 1)
  assert.match(keys.said, /switchyard keys create/)
})

test('a folder that holds no rules: refused by its path', async () => {
  const nowhere = path.join(folder, 'nowhere')
  const { exitCode, said } = await start('no-rules', { RULES_DIR: nowhere })
  assert.equal(exitCode, 1)
  assert.ok(said.includes(nowhere), said)
})

test('the demo in production: refused', async () => {
  const { exitCode, said } = await start('demo', { NODE_ENV: 'production' }, '--demo')
  assert.equal(exitCode, 2)
  assert.match(said, /(--demo is refused|demo key is public)/)
  const file = await withConfig('demo-production', (text) =>
    text
      .replace(/apiKeySha256: \[[0-9a-f]+\]/, `apiKeySha256: [${'a'.repeat(64)}]`)
      .replace('demo-hmac', 'ours'),
  )
  const own = { NODE_ENV: 'production', SWITCHYARD_CONFIG: file }
  assert.match((await start('demo', own, '--demo')).said, /--demo is refused/)
})

test('a port that is taken: refused by the variable that moves it', async () => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as AddressInfo
  try {
    for (const variable of ['PORT', 'ADMIN_PORT', 'ISO_PORT']) {
      const { exitCode, said } = await start(`taken-${variable}`, { [variable]: `${port}` })
      assert.equal(exitCode, 1)
      assert.match(said, new RegExp(`127.0.0.1:${port} .*: set ${variable} to a free one`))
    }
  } finally {
    other.close()
  }
})

test('a store that another process has: refused by its folder, once, with what to do', async () => {
  const store = path.join(folder, 'held', 'data', 'store')
  const held = await openFileDisk(store)
  assert.ok(held.ok)
  writeKeyFile(path.join(folder, 'held', 'keys', 'keys.json'), createSystemRandom())
  const { exitCode, said } = await start('held')
  await held.disk.close()
  assert.equal(exitCode, 1)
  assert.match(said, new RegExp(`held by process ${process.pid} .*: stop that process`))
  assert.equal(said.split(store).length, 2, said)
})
