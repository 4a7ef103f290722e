import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { lockFolder } from '../adapters/folder-lock.ts'
import { PROJECT_ROOT } from './run-tool.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'switchyard-doctor-'))
after(() => rmSync(folder, { recursive: true, force: true }))

interface Finding {
  readonly check: string
  readonly verdict: string
  readonly detail: string
  readonly advice: string
}

function doctor(env: Readonly<Record<string, string>>): readonly Finding[] {
  const { stdout } = spawnSync(
    process.execPath,
    [path.join(PROJECT_ROOT, 'switch/commands/switchyard.js'), 'doctor', '--json'],
    { encoding: 'utf8', env: { PATH: process.env.PATH, DATA_DIR: folder, ...env } },
  )
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Finding)
}

const say = (findings: readonly Finding[], check: string) => {
  const found = findings.find((finding) => finding.check === check)
  return `${found?.verdict}: ${found?.detail}`
}

test('finds missing keys of a store, silent issuers, and their editions', () => {
  mkdirSync(path.join(folder, 'store'))
  const config = path.join(folder, 'own.yaml')
  const shipped = readFileSync(path.join(PROJECT_ROOT, 'switch/config/default.yaml'), 'utf8')
  const own = shipped
    .replace('port: 9101', 'port: 1')
    .replace('dialect: iso8583-1987-ascii #', 'dialect: iso8583-1993-ascii #')
    .replace(/^(rulesDir|modelDir): /gm, `$1: ${PROJECT_ROOT}`)
  writeFileSync(config, own)
  const findings = doctor({
    SWITCHYARD_CONFIG: config,
    KEYS_FILE: path.join(folder, '..', `${path.basename(folder)}.keys.json`),
  })
  assert.match(say(findings, 'keys'), /^problem: .* is missing, and a store needs it/)
  assert.match(say(findings, 'issuer demo-a'), /^warning: 127\.0\.0\.1:1 does not answer/)
  const silent = findings.find(({ check }) => check === 'issuer demo-a')
  assert.match(silent?.advice ?? '', /\(--demo starts the demo issuers\)$/)
  const editions = findings.filter(({ check }) => check === 'dialect')
  assert.ok(
    editions.some(({ verdict, detail }) => verdict === 'ok' && /ISO 8583:1993/.test(detail)),
  )
  assert.match(say(findings, 'rules'), /^ok/)
  assert.match(say(findings, 'compiled copy'), /^ok: current, in .*copy-[^/]+$/)
})

test('finds keys that lie in the data folder, and who runs there already', async () => {
  const held = await lockFolder(path.join(folder, 'store'))
  assert.ok(held.ok)
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const http = `http://127.0.0.1:${port}`
  const addresses = { pid: process.pid, http, admin: http, isoListeners: {} }
  writeFileSync(path.join(folder, 'addresses.json'), JSON.stringify(addresses))
  const findings = doctor({
    KEYS_FILE: path.join(folder, 'keys.json'),
    PORT: String(port),
    SWITCHYARD_AS_WRITTEN: '1',
  })
  assert.match(say(findings, 'keys'), /^problem: .* lies in DATA_DIR/)
  assert.match(say(findings, 'compiled copy'), /^warning: not used: SWITCHYARD_AS_WRITTEN is 1/)
  // It holds the folder and answers nobody: this process waits for the command.
  const found = `^warning: process ${process.pid} runs on this DATA_DIR .*${port}, and does not answer`
  assert.match(say(findings, 'switch'), new RegExp(found))
  assert.match(say(findings, 'PORT'), /^ok: .* is the running switch's$/)
  await held.lock.release()
  server.close()
})
