import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { FEATURE_NAMES, FEATURES } from '../features.ts'
import type { FeatureRow } from './feature-rows.ts'
import { type MatrixInfo, TRANSACTION_KINDS, writeMatrix } from './matrix.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'switchyard-matrix-'))
})
after(() => rm(folder, { recursive: true }))

/** The row's buffer is used again, as the online code does. */
async function* rowsOf(count: number): AsyncGenerator<FeatureRow> {
  const features = new Float32Array(FEATURES.length)
  for (let row = 0; row < count; row++) {
    features.fill(row)
    features[0] = Number.NaN
    const kind = TRANSACTION_KINDS[row % TRANSACTION_KINDS.length] ?? 'genuine'
    yield { atMs: 1_000 * row, kind, baseAmount: row === 3 ? Number.NaN : row, features }
  }
}

function write(rows: number): Promise<MatrixInfo> {
  return writeMatrix(folder, rowsOf(rows), { seed: 1 }, () => undefined)
}

test('what is read back is what was written, across chunks', async () => {
  const rows = 9_001
  const info = await write(rows)
  assert.equal(info.rows, rows)
  assert.equal(info.fraudRows, rows - Math.ceil(rows / TRANSACTION_KINDS.length))
  assert.deepEqual(JSON.parse(await readFile(path.join(folder, 'matrix.json'), 'utf8')), info)
  assert.deepEqual(info.featureNames, FEATURE_NAMES)
  const read = async (name: string) => {
    const bytes = await readFile(path.join(folder, name))
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
  }
  const features = new Float32Array(await read('features.f32'))
  const kinds = new Uint8Array(await read('kinds.u8'))
  const times = new Float64Array(await read('times.f64'))
  const amounts = new Float64Array(await read('amounts.f64'))
  assert.deepEqual(
    [features.length, kinds.length, times.length, amounts.length],
    [rows * FEATURES.length, rows, rows, rows],
  )
  assert.ok(Number.isNaN(amounts[3]))
  for (const row of [0, 1, 4_095, 4_096, 8_191, 8_192, 9_000]) {
    assert.ok(Number.isNaN(features[row * FEATURES.length]))
    assert.equal(features[(row + 1) * FEATURES.length - 1], row)
    assert.equal(kinds[row], row % TRANSACTION_KINDS.length)
    assert.equal(times[row], 1_000 * row)
  }
})

test('the hash is that of the content', async () => {
  const first = await write(100)
  assert.equal((await write(100)).sha256, first.sha256)
  assert.notEqual((await write(101)).sha256, first.sha256)
})

test('no rows are an empty matrix', async () => {
  assert.equal((await write(0)).rows, 0)
  assert.equal((await readFile(path.join(folder, 'features.f32'))).length, 0)
})
