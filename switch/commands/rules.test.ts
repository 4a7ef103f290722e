import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
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

function run(...words: string[]): { status: number | null; stdout: string; stderr: string } {
  const bin = path.join(PROJECT_ROOT, 'switch/commands/switchyard.js')
  return spawnSync(process.execPath, [bin, 'rules', ...words], { encoding: 'utf8' })
}

function edit(name: string, from: string, to: string): () => void {
  const file = path.join(folder, name)
  const text = readFileSync(file, 'utf8')
  assert.ok(text.includes(from))
  writeFileSync(file, text.replace(from, to))
  return () => writeFileSync(file, text)
}

describe('switchyard rules', () => {
  test('lint and test are content with the shipped packs', () => {
    const linted = run('lint', folder, '--json')
    assert.equal(linted.status, 0, linted.stdout + linted.stderr)
    const { ok, hash } = JSON.parse(linted.stdout) as { ok: boolean; hash: string }
    assert.equal(ok, true)
    assert.match(hash, /^[0-9a-f]{16}$/)
    const tested = run('test', folder, '--json')
    assert.equal(tested.status, 0, tested.stdout + tested.stderr)
    const { passed, failed } = JSON.parse(tested.stdout) as { passed: number; failed: number }
    assert.ok(passed >= 40)
    assert.equal(failed, 0)
  })

  test('lint shows the place, the line and the nearest name', () => {
    const undo = edit('packs/card-testing.yaml', 'count(device, "10m")', 'count(devise, "10m")')
    const { status, stdout } = run('lint', folder)
    undo()
    assert.equal(status, 1)
    const [place, line, caret] = stdout.split('\n')
    assert.match(place ?? '', /packs\/card-testing\.yaml:\d+:\d+ error bad_entity: .*"device"\?$/)
    assert.match(line ?? '', /count\(devise, "10m"\)/)
    assert.equal(caret?.indexOf('^'), line?.indexOf('devise'))
  })

  test('test shows what was expected and what came', () => {
    const undo = edit('packs/card-testing.yaml', '"10m") >= 8', '"10m") >= 9')
    const { status, stdout } = run('test', folder)
    undo()
    assert.equal(status, 1)
    assert.match(stdout, /card-testing\.test\.yaml:\d+ eight small payments/)
    assert.match(stdout, /expected outcome decline, got approve/)
  })

  test('strictness, wrong folders and folders without tests have their exit codes', () => {
    assert.equal(run('lint', folder, '--strict').status, 1)
    assert.equal(run('lint', path.join(folder, 'nowhere')).status, 2)
    rmSync(path.join(folder, 'packs'), { recursive: true })
    assert.equal(run('test', folder).status, 2)
  })
})
