import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { takeSnapshot, writeSnapshot } from './velocity-file.ts'

test('a snapshot is taken once', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-velocity-'))
  try {
    const file = path.join(folder, 'velocity.snapshot')
    assert.deepEqual(await takeSnapshot(file), { kind: 'none' })
    await writeSnapshot(file, Buffer.from('first'))
    await writeSnapshot(file, Buffer.from('second'))
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert.deepEqual(await takeSnapshot(file), { kind: 'taken', bytes: Buffer.from('second') })
    assert.deepEqual(await readdir(folder), [])
    const wrong = await takeSnapshot(path.join(folder, '.'))
    assert.equal(wrong.kind, 'unreadable')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
