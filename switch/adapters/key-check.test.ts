import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { type KeyRing, newKeyFile, parseKeyFile } from '../card-data/index.ts'
import { checkKeys } from './key-check.ts'
import { createSystemRandom } from './system-clock.ts'

function newRing(): { ring: KeyRing; text: string } {
  const text = newKeyFile(createSystemRandom())
  const parsed = parseKeyFile(text)
  assert.ok(parsed.ok)
  return { ring: parsed.keys, text }
}

function withPanKeys(ring: KeyRing, ...added: readonly [number, Uint8Array][]): KeyRing {
  return { ...ring, panKeys: new Map([...ring.panKeys, ...added]) }
}

function inFolder(run: (folder: string) => void): void {
  const folder = mkdtempSync(path.join(tmpdir(), 'switchyard-keys-'))
  try {
    run(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const check = (folder: string, ring: KeyRing) => checkKeys(folder, '/keys.json', ring)

function refusal(folder: string, ring: KeyRing): string {
  const result = check(folder, ring)
  assert.ok(!result.ok)
  return result.problem
}

test('the first start notes the keys, without a key, for its owner alone; then they fit', () => {
  inFolder((folder) => {
    const { ring, text } = newRing()
    assert.deepEqual(check(folder, ring), { ok: true })
    const file = path.join(folder, 'key-check.json')
    assert.equal(statSync(file).mode & 0o777, 0o600)
    const noted = readFileSync(file, 'utf8')
    const { tokenKey, panKeys } = JSON.parse(text)
    for (const key of [tokenKey, panKeys[0].key]) {
      assert.ok(!noted.includes(key))
      assert.ok(!noted.includes(Buffer.from(key, 'base64').toString('hex')))
    }
    assert.deepEqual(check(folder, ring), { ok: true })
  })
})

test("another store's keys are refused, whichever of them differs", () => {
  inFolder((folder) => {
    const { ring } = newRing()
    check(folder, ring)
    const other = newRing().ring
    assert.match(refusal(folder, other), /keys\.json: this key file is not this store's/)
    assert.match(refusal(folder, { ...ring, panKeys: other.panKeys }), /not this store's/)
    assert.match(refusal(folder, { ...other, panKeys: ring.panKeys }), /not this store's/)
    assert.deepEqual(check(folder, ring), { ok: true })
  })
})

test('a new PAN key is noted, and refused once it is missing', () => {
  inFolder((folder) => {
    const { ring } = newRing()
    check(folder, ring)
    assert.deepEqual(check(folder, withPanKeys(ring, [2, new Uint8Array(32)])), { ok: true })
    assert.match(refusal(folder, ring), /PAN key 2 is missing/)
  })
})

test('a check that does not read back is refused, and not replaced', () => {
  inFolder((folder) => {
    writeFileSync(path.join(folder, 'key-check.json'), '{')
    assert.match(refusal(folder, newRing().ring), /key-check\.json: it can't be read/)
    assert.equal(readFileSync(path.join(folder, 'key-check.json'), 'utf8'), '{')
  })
})
