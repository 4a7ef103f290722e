import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { readKeyFile, writeKeyFile } from './key-files.ts'
import { createSystemRandom } from './system-clock.ts'

const random = createSystemRandom()

function inFolder(run: (folder: string) => void): void {
  const folder = mkdtempSync(path.join(tmpdir(), 'switchyard-keys-'))
  try {
    run(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function read(folder: string, changes: { isProduction?: boolean; file?: string } = {}) {
  return readKeyFile({
    file: changes.file ?? path.join(folder, 'keys', 'keys.json'),
    dataDir: path.join(folder, 'data'),
    isProduction: changes.isProduction ?? false,
    random,
  })
}

test('the first start makes a key file that only its owner may read, the second reads it', () => {
  inFolder((folder) => {
    const first = read(folder)
    assert.ok(first.ok && first.isNew)
    const file = path.join(folder, 'keys', 'keys.json')
    assert.equal(statSync(file).mode & 0o777, 0o600)
    const second = read(folder)
    assert.ok(second.ok && !second.isNew)
    assert.deepEqual(second.keys.cardTokenKey, first.keys.cardTokenKey)
  })
})

const refusals: readonly [string, (folder: string) => ReturnType<typeof read>, RegExp][] = [
  ['production makes none', (folder) => read(folder, { isProduction: true }), /keys create/],
  [
    'a store without its keys is not given new ones',
    (folder) => {
      mkdirSync(path.join(folder, 'data', 'store'), { recursive: true })
      return read(folder)
    },
    /restore it/,
  ],
  [
    'keys may not lie in the data folder',
    (folder) => read(folder, { file: path.join(folder, 'data', 'keys.json') }),
    /must not lie in DATA_DIR/,
  ],
  [
    'a file that others may read is refused',
    (folder) => {
      read(folder)
      chmodSync(path.join(folder, 'keys', 'keys.json'), 0o640)
      return read(folder)
    },
    /chmod 600/,
  ],
  [
    'a file that can not be made is refused',
    (folder) => {
      writeFileSync(path.join(folder, 'plain'), '')
      return read(folder, { file: path.join(folder, 'plain', 'keys.json') })
    },
    /can't be written \((ENOTDIR|EEXIST)\): set KEYS_FILE|can't be read \(ENOTDIR\)/,
  ],
]

for (const [what, run, says] of refusals) {
  test(what, () => {
    inFolder((folder) => {
      const result = run(folder)
      assert.ok(!result.ok)
      assert.match(result.problem, says)
    })
  })
}

test('an existing key file is never overwritten', () => {
  inFolder((folder) => {
    const file = path.join(folder, 'keys.json')
    writeKeyFile(file, random)
    const before = readFileSync(file, 'utf8')
    assert.throws(() => writeKeyFile(file, random), { code: 'EEXIST' })
    assert.equal(readFileSync(file, 'utf8'), before)
  })
})
