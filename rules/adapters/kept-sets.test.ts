import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { keptSetsMax } from '../limits.ts'
import { compileRuleSet } from '../load.ts'
import { keepSet, listKeptSets, readKeptSet } from './kept-sets.ts'
import { readRuleFiles } from './rule-files.ts'

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-kept-'))
  try {
    await run(path.join(folder, 'rule-sets'))
  } finally {
    await rm(folder, { recursive: true })
  }
}

const setOf = (hash: string, text = 'x') => ({
  hash,
  keptAt: '2026-11-22T10:00:00.000Z',
  files: [{ name: 'packs/a.yaml', text }],
})

test('a set reads back as it was kept, and compiles to its hash again', () =>
  inFolder(async (folder) => {
    const files = await readRuleFiles(new URL('..', import.meta.url).pathname)
    const compiled = compileRuleSet(files)
    assert.ok(compiled.ok)
    const { hash } = compiled.ruleSet
    await keepSet(folder, { hash, keptAt: '2026-11-22T10:00:00.000Z', files }, [])
    const read = await readKeptSet(folder, hash)
    assert.ok(read.ok)
    assert.deepEqual(read.set.files, files)
    const again = compileRuleSet(read.set.files)
    assert.ok(again.ok && again.ruleSet.hash === hash)
    assert.deepEqual(await readdir(folder), [`${hash}.json.gz`])
  }))

test('what is not kept, is damaged or is no hash is said, and nothing throws', () =>
  inFolder(async (folder) => {
    const hash = 'abcdef0123456789'
    const absent = await readKeptSet(folder, hash)
    assert.ok(!absent.ok && absent.code === 'not_kept')
    for (const wrong of ['', '../../etc/passwd', 'abc', hash.toUpperCase(), `${hash}0`]) {
      const refused = await readKeptSet(folder, wrong)
      assert.ok(!refused.ok && refused.code === 'not_kept')
    }
    await keepSet(folder, setOf(hash), [])
    await writeFile(path.join(folder, `${hash}.json.gz`), 'torn')
    const torn = await readKeptSet(folder, hash)
    assert.ok(!torn.ok && torn.code === 'unreadable')
    await keepSet(folder, setOf(hash, 'mended'), [])
    assert.ok((await readKeptSet(folder, hash)).ok)
  }))

test('the oldest are dropped beyond the limit, but for those that are spared', () =>
  inFolder(async (folder) => {
    const hashOf = (n: number) => n.toString(16).padStart(16, '0')
    await keepSet(folder, setOf(hashOf(0)), [])
    for (let n = 1; n < keptSetsMax + 5; n++) {
      const file = path.join(folder, `${hashOf(n)}.json.gz`)
      await writeFile(file, '')
      await utimes(file, 1_000 + n, 1_000 + n)
    }
    await utimes(path.join(folder, `${hashOf(0)}.json.gz`), 1, 1)
    await keepSet(folder, setOf(hashOf(1_000_000)), [hashOf(0), hashOf(1)])
    const left = new Set((await listKeptSets(folder)).map(({ hash }) => hash))
    assert.ok(left.has(hashOf(0)) && left.has(hashOf(1)) && left.has(hashOf(1_000_000)))
    assert.ok(!left.has(hashOf(2)))
    assert.ok(left.size <= keptSetsMax + 2)
  }))
