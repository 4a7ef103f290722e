// What `npm ci` needs and the supply chain promises: exact pins, a lock file that is whole, hashes.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { PROJECT_ROOT } from './run-tool.ts'

interface LockEntry {
  readonly version: string
  readonly integrity?: string
  readonly resolved?: string
  readonly hasInstallScript?: boolean
  readonly os?: readonly string[]
  readonly cpu?: readonly string[]
  readonly optional?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const read = (file: string) => JSON.parse(readFileSync(path.join(PROJECT_ROOT, file), 'utf8'))
const manifest = read('package.json')
const lock: Readonly<Record<string, LockEntry>> = read('package-lock.json').packages

test('every dependency is pinned to one version', () => {
  for (const [name, version] of Object.entries<string>({
    ...manifest.dependencies,
    ...manifest.devDependencies,
  })) {
    assert.match(version, /^(npm:[a-z]+@)?\d+\.\d+\.\d+$/, name)
  }
})

// npm drops the packages of other platforms from the lock where it can't see them, and then `npm ci`
// refuses the lock everywhere.
test('the lock names every optional package, those of other platforms too', () => {
  const missing = Object.entries(lock).flatMap(([place, entry]) =>
    Object.keys(entry.optionalDependencies ?? {}).filter(
      (name) => !lock[`node_modules/${name}`] && !lock[`${place}/node_modules/${name}`],
    ),
  )
  assert.deepEqual(missing, [])
})

test('what is installed here has its hash, and no host is named', () => {
  for (const [place, entry] of Object.entries(lock)) {
    if (place === '') continue
    const isForeign = entry.optional === true && (entry.os ?? entry.cpu) !== undefined
    assert.ok(isForeign || entry.integrity?.startsWith('sha512-'), place)
    assert.equal(entry.resolved, undefined, place)
  }
})

test('no install script runs', () => {
  assert.match(readFileSync(path.join(PROJECT_ROOT, '.npmrc'), 'utf8'), /^ignore-scripts=true$/m)
})
