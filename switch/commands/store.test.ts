import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openStoreFolder } from '../adapters/store-folder.ts'
import { createSystemRandom, systemClock, systemTimers } from '../adapters/system-clock.ts'

const BIN = fileURLToPath(new URL('./switchyard.js', import.meta.url))

const base = mkdtempSync(path.join(tmpdir(), 'switchyard-store-command-'))
after(() => rmSync(base, { recursive: true, force: true }))

interface Run {
  readonly code: number
  readonly out: string
  readonly err: string
}

function store(...args: string[]): Promise<Run> {
  return new Promise((resolve) => {
    execFile(process.execPath, [BIN, 'store', ...args], (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

async function openStore(folder: string) {
  const opened = await openStoreFolder(folder, {
    clock: systemClock,
    timers: systemTimers,
    random: createSystemRandom(),
    owner: 'test',
    keyRetentionMs: 1_000,
  })
  assert.ok(opened.ok)
  await opened.store.claim({
    id: `auth_${opened.store.ownership.leaseEpoch}`,
    kind: 'inquiry',
    acquirer: 'demo',
    idempotencyKey: 'k',
    fingerprint: new Uint8Array(32),
    createdAtMs: 0,
    rrn: '632610000001',
    cardToken: 'tok',
    request: {},
    attempt: null,
  })
  return opened.store
}

describe('switchyard store', () => {
  it('verifies, counts and exports beside the process that holds the folder', async () => {
    const folder = path.join(base, 'held')
    const holder = await openStore(folder)
    const [verify, stats, exported] = await Promise.all([
      store('verify', folder),
      store('stats', folder, '--json'),
      store('export', folder),
    ])
    await holder.close()
    assert.deepEqual([verify.code, stats.code, exported.code], [0, 0, 0])
    assert.match(verify.out, /^whole: 2 records/)
    const counted = JSON.parse(stats.out)
    assert.equal(counted.holderPid, process.pid)
    assert.deepEqual(counted.recordsByKind, { lease: 1, claim: 1 })
    const kinds = exported.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).kind)
    assert.deepEqual(kinds, ['lease', 'claim'])
  })

  it('backs up beside the process that holds the folder, and restores', async () => {
    const folder = path.join(base, 'backed', 'store')
    const holder = await openStore(folder)
    const backup = path.join(base, 'backup')
    const target = path.join(base, 'restored', 'store')
    const taken = await store('backup', backup, '--from', folder, '--json')
    assert.equal(taken.code, 0, taken.err)
    assert.equal(JSON.parse(taken.out).records, 2)
    const restored = await store('restore', backup, '--into', target)
    await holder.close()
    assert.equal(restored.code, 0, restored.err)
    assert.match(restored.out, /2 records, .* restored\ncovers all that was durable at 20/)
    const again = await store('restore', backup, '--into', target)
    assert.equal(again.code, 1)
    assert.match(again.err, /not empty/)
    assert.match((await store('verify', target)).out, /^whole: 2 records/)
  })

  it('tells a torn tail, and fails on damage with segment and byte', async () => {
    const folder = path.join(base, 'damaged')
    await (await openStore(folder)).close()
    const segment = path.join(folder, '0000000000000000.log')
    const whole = readFileSync(segment)
    appendFileSync(segment, Buffer.alloc(100))
    const torn = await store('verify', folder)
    assert.equal(torn.code, 0)
    assert.match(torn.out, /torn tail: 100 bytes .* cut at the next start/)
    const damaged = Buffer.from(whole)
    damaged[60] = (damaged[60] ?? 0) ^ 1
    writeFileSync(segment, damaged)
    for (const command of ['verify', 'stats', 'export']) {
      const refused = await store(command, folder)
      assert.equal(refused.code, 1)
      assert.match(refused.err, /0000000000000000\.log is damaged at byte 40/)
    }
  })

  it('fails where the export can’t be written, but not where its reader leaves', {
    skip: !existsSync('/dev/full') && 'no /dev/full',
  }, async () => {
    const folder = path.join(base, 'unwritable')
    await (await openStore(folder)).close()
    const shell = (line: string) =>
      spawnSync('bash', ['-c', line, 'bash', process.execPath, BIN, folder], {
        encoding: 'utf8',
      })
    const full = shell('"$1" "$2" store export "$3" > /dev/full')
    assert.equal(full.status, 1)
    assert.match(full.stderr, /can't be written \(ENOSPC\)/)
    const left = shell('set -o pipefail; "$1" "$2" store export "$3" | true')
    assert.deepEqual([left.status, left.stderr], [0, ''])
  })

  it('says what is wrong with a folder that holds no store', async () => {
    const absent = await store('verify', path.join(base, 'absent'))
    assert.equal(absent.code, 2)
    assert.match(absent.err, /does not exist/)
    const empty = await store('verify', base)
    assert.equal(empty.code, 1)
    assert.match(empty.err, /no transaction log/)
  })
})
