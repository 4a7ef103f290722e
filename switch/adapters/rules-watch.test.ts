import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { RulesWatch } from './rules-watch.ts'
import { systemTimers } from './system-clock.ts'

async function watching(
  run: (folder: string, told: () => Promise<readonly string[]>) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-watch-'))
  await mkdir(path.join(folder, 'packs'))
  await writeFile(path.join(folder, 'packs', 'a.yaml'), 'one')
  const changes: (readonly string[])[] = []
  let wake: (() => void) | undefined
  const watch = await RulesWatch.start({
    rulesDir: folder,
    timers: systemTimers,
    onChange: (files) => {
      changes.push(files)
      wake?.()
    },
  })
  const told = async () => {
    while (changes.length === 0) await new Promise<void>((resolve) => (wake = resolve))
    return changes.shift() as readonly string[]
  }
  try {
    await run(folder, told)
    assert.deepEqual(changes, [], 'nothing is told twice')
  } finally {
    watch.close()
    await rm(folder, { recursive: true })
  }
}

test('a change is told once it rests: written in place, in parts, or by a rename', () =>
  watching(async (folder, told) => {
    const file = path.join(folder, 'packs', 'a.yaml')
    await writeFile(file, 'tw')
    await writeFile(file, 'two')
    assert.deepEqual(await told(), ['packs/a.yaml'])
    await writeFile(`${file}~`, 'three')
    await rename(`${file}~`, file)
    assert.deepEqual(await told(), ['packs/a.yaml'])
    // And again, since the file is another one now.
    await writeFile(file, 'four')
    assert.deepEqual(await told(), ['packs/a.yaml'])
  }))

test('a folder that comes, or is replaced as a checkout does, is watched, too', () =>
  watching(async (folder, told) => {
    await mkdir(path.join(folder, 'lists'))
    await writeFile(path.join(folder, 'lists', 'stolen.csv'), 'value\n')
    assert.deepEqual(await told(), ['lists/stolen.csv'])
    await mkdir(path.join(folder, 'next'))
    await writeFile(path.join(folder, 'next', 'b.yaml'), 'one')
    await rename(path.join(folder, 'packs'), path.join(folder, 'before'))
    await rename(path.join(folder, 'next'), path.join(folder, 'packs'))
    assert.deepEqual(await told(), ['packs/a.yaml', 'packs/b.yaml'])
    await writeFile(path.join(folder, 'packs', 'b.yaml'), 'two, longer')
    assert.deepEqual(await told(), ['packs/b.yaml'])
  }))
