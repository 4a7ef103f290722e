import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { type ModelSnapshot, readModelSnapshot } from '#scoring'
import type { ModelRecord } from '../operations/index.ts'
import { keepModel, keptModelFolder, readModelRecord, writeModelRecord } from './model-record.ts'

let folder: string
before(async () => {
  folder = path.join(await mkdtemp(path.join(tmpdir(), 'switchyard-models-')), 'models')
})
after(() => rm(path.dirname(folder), { recursive: true }))

function snapshotOf(manifest: string, model: string): ModelSnapshot {
  const file = (text: string) => ({ ok: true as const, bytes: Buffer.from(text) })
  const files = { 'manifest.json': file(manifest), 'model.onnx': file(model) }
  return { path: 'models/any', revision: 1, files }
}

test('a record reads back; kept models that it does not name are dropped', async () => {
  const none = await readModelRecord(folder)
  assert.deepEqual(none, { chosenSince: null, model: null, challengers: [], before: [] })
  const [a, b, c] = await Promise.all(
    ['a', 'b', 'c'].map(async (name) => {
      const key = await keepModel(folder, snapshotOf(`{"${name}":1}`, name))
      return { name, version: `${name}+1`, key }
    }),
  )
  assert.ok(a !== undefined && b !== undefined && c !== undefined)
  const record: ModelRecord = { chosenSince: null, model: a, challengers: [], before: [b] }
  await writeModelRecord(folder, record)
  assert.deepEqual(await readModelRecord(folder), record)
  assert.deepEqual((await readdir(folder)).sort(), [a.key, b.key, 'record.json'].sort())
})

test('what is kept is read as any model folder, byte for byte', async () => {
  const snapshot = snapshotOf('{"x":1}', 'tree')
  const key = await keepModel(folder, snapshot)
  assert.equal(await keepModel(folder, snapshot), key)
  assert.notEqual(await keepModel(folder, snapshotOf('{"x":1}t', 'ree')), key)
  const { files } = await readModelSnapshot(keptModelFolder(folder, key))
  for (const [name, file] of Object.entries(snapshot.files)) {
    const read = files[name]
    assert.ok(file.ok && read?.ok)
    assert.deepEqual(Buffer.from(read.bytes), file.bytes)
  }
})

test('a model with a file missing is not kept, and a record that is no JSON is said', async () => {
  await assert.rejects(keepModel(folder, { ...snapshotOf('', ''), files: {} }), /manifest\.json/)
  await writeFile(path.join(folder, 'record.json'), 'torn')
  await assert.rejects(readModelRecord(folder), SyntaxError)
})

test('JSON that is no record is refused: its keys become paths', async () => {
  const kept = { name: 'a', version: 'a+1', key: '0123456789abcdef' }
  const record = { chosenSince: null, model: kept, challengers: [kept], before: [kept] }
  const read = async (value: unknown): Promise<ModelRecord> => {
    await writeFile(path.join(folder, 'record.json'), JSON.stringify(value))
    return readModelRecord(folder)
  }
  assert.deepEqual(await read(record), record)
  const wrong = [
    ...[null, {}, [], 7, 'record', { version: 2, models: [kept] }],
    { ...record, chosenSince: 'yesterday' },
    { ...record, model: 'a' },
    { ...record, model: { ...kept, key: '../../keys' } },
    { ...record, challengers: undefined },
    { ...record, challengers: [{ name: 'a' }] },
    { ...record, before: [null] },
  ]
  for (const value of wrong) {
    await assert.rejects(read(value), /record\.json is no record of models/, JSON.stringify(value))
  }
})
