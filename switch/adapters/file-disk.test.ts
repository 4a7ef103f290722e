import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, describe, it } from 'node:test'
import { MemoryRecordIndex, openEmbeddedStore, StoreFault } from '../store/index.ts'
import { openFileDisk, openFileDiskForReading } from './file-disk.ts'
import { openStoreFolder } from './store-folder.ts'
import { createSystemRandom, systemClock, systemTimers } from './system-clock.ts'

const base = mkdtempSync(path.join(tmpdir(), 'switchyard-disk-'))
after(() => rmSync(base, { recursive: true, force: true }))

async function openDisk(name: string) {
  const opened = await openFileDisk(path.join(base, name))
  assert.ok(opened.ok, opened.ok ? '' : opened.problem.message)
  return opened.disk
}

const STORE = {
  clock: systemClock,
  timers: systemTimers,
  random: createSystemRandom(),
  owner: 'test',
  keyRetentionMs: 1_000,
}

const MESSAGE = { keyId: 1, iv: new Uint8Array(12), sealed: new Uint8Array(2_000) }

function intent(id: string) {
  const attempt = {
    issuer: 'demo-a',
    mti: '0100',
    processingCode: '000000',
    stan: '000001',
    transmittedAt: '1122100000',
    rrn: '632610000001',
    acquiringInstitution: '1',
    amount: 1,
    currencyNumeric: '978',
    terminalId: '',
    merchantId: '',
    merchantNameLocation: '',
    mcc: '5411',
    entryMode: '',
    card: MESSAGE,
  }
  return {
    id,
    kind: 'financial' as const,
    acquirer: 'demo',
    idempotencyKey: id,
    fingerprint: new Uint8Array(32),
    createdAtMs: Date.now(),
    rrn: '632610000001',
    cardToken: 'tok',
    request: {},
    attempt,
  }
}

describe('file disk', () => {
  it('appends, reads, cuts and lists, for its owner alone', async () => {
    const folder = path.join(base, 'plain')
    mkdirSync(folder, { mode: 0o755 })
    mkdirSync(path.join(folder, 'index'))
    const disk = await openDisk('plain')
    const file = await disk.open('b.log')
    await file.append(Buffer.from('hello '))
    await file.append(Buffer.from('world'))
    await file.sync()
    assert.equal(file.sizeBytes, 11)
    assert.equal(Buffer.from(await file.read(6, 100)).toString(), 'world')
    assert.equal((await file.read(11, 5)).length, 0)
    assert.equal((await file.read(99, 5)).length, 0)
    await file.truncate(5)
    await file.append(Buffer.from('!'))
    await file.close()
    await (await disk.open('a.log')).close()
    assert.deepEqual(await disk.list(), ['a.log', 'b.log'])
    const again = await disk.open('b.log')
    assert.equal(Buffer.from(await again.read(0, 100)).toString(), 'hello!')
    await again.close()
    await disk.remove('a.log')
    assert.deepEqual(await disk.list(), ['b.log'])
    assert.equal(statSync(folder).mode & 0o777, 0o700)
    assert.equal(statSync(path.join(folder, 'b.log')).mode & 0o777, 0o600)
    await disk.close()
  })

  it('refuses a second process on the folder, and a folder that is a file', async () => {
    const disk = await openDisk('held')
    const second = await openFileDisk(path.join(base, 'held'))
    assert.ok(!second.ok)
    assert.equal(second.problem.code, 'folder_locked')
    await disk.close()
    writeFileSync(path.join(base, 'file'), '')
    const notFolder = await openFileDisk(path.join(base, 'file'))
    assert.ok(!notFolder.ok)
    assert.equal(notFolder.problem.code, 'folder_failed')
  })

  it('reads beside the holder, and writes nothing', async () => {
    const disk = await openDisk('shared')
    const file = await disk.open('a.log')
    await file.append(Buffer.from('one'))
    const reader = openFileDiskForReading(path.join(base, 'shared'))
    assert.deepEqual(await reader.list(), ['a.log'])
    const seen = await reader.open('a.log')
    assert.equal(Buffer.from(await seen.read(0, 10)).toString(), 'one')
    await assert.rejects(seen.append(Buffer.from('x')), /EBADF/)
    await assert.rejects(reader.open('absent'), /ENOENT/)
    await assert.rejects(reader.remove('a.log'))
    await seen.close()
    await file.close()
    await disk.close()
  })

  it('gives the system’s error where the disk fails', async () => {
    const disk = await openDisk('failing')
    const file = await disk.open('a.log')
    await file.close()
    await assert.rejects(file.append(Buffer.from('x')), { code: 'EBADF' })
    await assert.rejects(file.sync(), { code: 'EBADF' })
    await assert.rejects(file.read(0, 1).then((bytes) => assert.equal(bytes.length, 1)))
    await disk.close()
  })
})

describe('store folder', () => {
  it('opens again after a close, and refuses a second opener by process id', async () => {
    const folder = path.join(base, 'store')
    const first = await openStoreFolder(folder, STORE)
    assert.ok(first.ok)
    const second = await openStoreFolder(folder, STORE)
    assert.ok(!second.ok)
    assert.match(second.problem.message, new RegExp(`process ${process.pid} `))
    await first.store.claim(intent('auth_1'))
    await first.store.close()
    const third = await openStoreFolder(folder, STORE)
    assert.ok(third.ok)
    assert.equal(third.report.isIndexRebuilt, false)
    assert.equal(third.report.openClaims, 1)
    assert.equal((await third.store.read('auth_1'))?.intent.id, 'auth_1')
    await third.store.close()
  })

  it('refuses a newer log and gives the folder free', async () => {
    const folder = path.join(base, 'newer')
    mkdirSync(folder)
    const header = Buffer.alloc(40)
    header.write('SWYDLOG\n')
    header.writeUInt32LE(99, 8)
    writeFileSync(path.join(folder, '0000000000000000.log'), header)
    for (let i = 0; i < 2; i++) {
      const refused = await openStoreFolder(folder, STORE)
      assert.ok(!refused.ok)
      assert.equal(refused.problem.code, 'log_newer')
    }
  })

  it('says what it can’t open', {
    skip: process.getuid?.() === 0 ? 'root opens all' : false,
  }, async () => {
    const folder = path.join(base, 'forbidden')
    mkdirSync(folder)
    writeFileSync(path.join(folder, '0000000000000000.log'), '')
    chmodSync(path.join(folder, '0000000000000000.log'), 0)
    const refused = await openStoreFolder(folder, STORE)
    assert.ok(!refused.ok)
    assert.equal(refused.problem.code, 'disk_failed')
  })
})

/** Mounts a file system of `bytes`; undefined where this process may not. */
function mountTiny(name: string, bytes: number): string | undefined {
  const folder = path.join(base, name)
  mkdirSync(folder)
  try {
    const size = `size=${bytes}`
    execFileSync('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', folder], { stdio: 'ignore' })
    return folder
  } catch {
    return undefined
  }
}

describe('a full disk', () => {
  const full = mountTiny('full', 512 * 1024)
  const skip = full === undefined ? 'mounting a small tmpfs needs root' : false
  after(() => {
    if (full !== undefined) execFileSync('umount', ['-l', full])
  })

  it('faults the store, keeps what was promised, and starts again with room', {
    skip,
  }, async () => {
    const opened = await openFileDisk(full as string)
    assert.ok(opened.ok)
    const index = new MemoryRecordIndex()
    const store = await openEmbeddedStore({ ...STORE, disk: opened.disk, index })
    assert.ok(store.ok)
    const claimed: string[] = []
    for (let i = 0; i < 1_000 && store.store.status.writable; i++) {
      await store.store.claim(intent(`auth_${i}`)).then(
        () => claimed.push(`auth_${i}`),
        (error) => assert.ok(error instanceof StoreFault),
      )
    }
    assert.match(store.store.status.fault ?? '', /ENOSPC/)
    assert.ok(claimed.length > 100)
    assert.equal((await store.store.read(claimed[0] as string))?.intent.id, claimed[0])
    await store.store.close()
    execFileSync('mount', ['-o', 'remount,size=2m', full as string])
    const again = await openEmbeddedStore({ ...STORE, disk: opened.disk, index })
    assert.ok(again.ok)
    const open = (await again.store.openTransactions()).map((one) => one.intent.id)
    assert.deepEqual(open.slice(0, claimed.length), claimed)
    await again.store.claim(intent('auth_later'))
    await again.store.close()
    await opened.disk.close()
  })
})
