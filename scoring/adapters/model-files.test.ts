import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { openModelFolder } from './model-files.ts'

test('a model folder reads whole files up to their limit', async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'switchyard-model-'))
  try {
    await writeFile(path.join(root, 'model.onnx'), new Uint8Array(100).fill(7))
    const folder = openModelFolder(root)
    assert.equal(folder.path, root)
    const whole = await folder.read('model.onnx', 100)
    assert.ok(whole.ok)
    assert.deepEqual(new Uint8Array(whole.bytes), new Uint8Array(100).fill(7))
    const large = await folder.read('model.onnx', 99)
    assert.equal(large.ok ? 'ok' : large.cause, 'too_large')
    const missing = await folder.read('manifest.json', 100)
    assert.equal(missing.ok ? 'ok' : missing.cause, 'missing')
    const directory = await openModelFolder(path.dirname(root)).read(path.basename(root), 1e9)
    assert.equal(directory.ok ? 'ok' : directory.cause, 'unreadable')
  } finally {
    await rm(root, { recursive: true })
  }
})
