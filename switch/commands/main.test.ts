import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { PROJECT_ROOT } from './run-tool.ts'

const BIN = path.join(PROJECT_ROOT, 'switch/commands/switchyard.js')

const run = (...args: string[]) =>
  execFileSync(process.execPath, [BIN, ...args], { encoding: 'utf8' })

test('--version is the one of package.json', () => {
  const { version } = JSON.parse(readFileSync(path.join(PROJECT_ROOT, 'package.json'), 'utf8'))
  assert.equal(run('--version'), `${version}\n`)
})

for (const group of ['rules', 'model', 'iso8583', 'store', 'queue', 'keys']) {
  test(`the help of ${group} has one example, of itself`, () => {
    const examples = run(group, '--help').match(/^ {2}\$ .*$/gm) ?? []
    assert.equal(examples.length, 1)
    assert.ok(examples[0]?.startsWith(`  $ npx switchyard ${group} `))
  })
}

for (const command of ['decode', 'encode', 'describe', 'doctor']) {
  test(`the example of iso8583 ${command} works as it stands`, () => {
    const [, line = ''] = /^ {2}\$ (echo .*)$/m.exec(run('iso8583', command, '--help')) ?? []
    assert.match(line, / \| npx switchyard iso8583 /)
    const own = line.replace('npx switchyard', '"$1" "$2"')
    const { status, stdout } = spawnSync('bash', ['-c', own, 'bash', process.execPath, BIN], {
      encoding: 'utf8',
    })
    assert.equal(status, 0)
    assert.ok(stdout.length > 0 && !stdout.includes('error'), stdout)
  })
}
