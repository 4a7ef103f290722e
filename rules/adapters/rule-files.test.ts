import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { compileRuleSet } from '../load.ts'
import { readRuleFiles } from './rule-files.ts'

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-rules-'))
  try {
    await mkdir(path.join(folder, 'packs'))
    await run(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

test('of a file that is too big only enough is read for it to be refused', () =>
  inFolder(async (folder) => {
    const file = path.join(folder, 'packs', 'big.yaml')
    await writeFile(file, '')
    // More than a string may hold, and no blocks on the disk.
    await truncate(file, 3_000_000_000)
    const files = await readRuleFiles(folder)
    const compiled = compileRuleSet(files)
    assert.ok(!compiled.ok)
    assert.deepEqual(
      compiled.problems.filter(({ severity }) => severity === 'error').map(({ code }) => code),
      ['file_too_big'],
    )
  }))

test('a named pipe is refused, and not waited for', () =>
  inFolder(async (folder) => {
    const pipe = path.join(folder, 'packs', 'pipe.yaml')
    assert.equal(spawnSync('mkfifo', [pipe]).status, 0)
    await assert.rejects(readRuleFiles(folder), /pipe\.yaml is no file/)
  }))
