import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { upkeepOf } from '../adapters/configured-store.ts'
import { checkKeys } from '../adapters/key-check.ts'
import { parseKeyFileAt, writeKeyFile } from '../adapters/key-files.ts'
import { openStoreFolder } from '../adapters/store-folder.ts'
import { createSystemRandom, systemClock, systemTimers } from '../adapters/system-clock.ts'
import { CardVault, Pan } from '../card-data/index.ts'
import { readConfig } from '../config/index.ts'

const BIN = fileURLToPath(new URL('./switchyard.js', import.meta.url))
const base = mkdtempSync(path.join(tmpdir(), 'switchyard-keys-command-'))
after(() => rmSync(base, { recursive: true, force: true }))

const dataDir = path.join(base, 'data')
const keysFile = path.join(base, 'keys.json')
const environment = { DATA_DIR: dataDir, KEYS_FILE: keysFile }

function keys(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const env = { ...process.env, ...environment }
  return new Promise((resolve) => {
    execFile(process.execPath, [BIN, 'keys', ...args], { env }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err })
    })
  })
}

function ringOf() {
  const parsed = parseKeyFileAt(keysFile)
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.problem)
  return parsed.keys
}

/** The store as a start of the switch opens it. */
async function openStore(owner: string) {
  const text = readFileSync(new URL('../config/default.yaml', import.meta.url), 'utf8')
  const read = readConfig(text, environment)
  assert.ok(read.ok)
  const ring = ringOf()
  const random = createSystemRandom()
  const opened = await openStoreFolder(path.join(dataDir, 'store'), {
    clock: systemClock,
    timers: systemTimers,
    random,
    owner,
    keyRetentionMs: 1_000,
    upkeep: upkeepOf(read.config, ring, owner),
  })
  assert.ok(opened.ok, opened.ok ? '' : opened.problem.message)
  const checked = checkKeys(dataDir, keysFile, ring)
  assert.ok(checked.ok, checked.ok ? '' : checked.problem)
  return { ...opened, vault: new CardVault(ring, owner) }
}

const pan = Pan.parse('4761739001010119') as Pan

async function claim(id: string, opened: Awaited<ReturnType<typeof openStore>>): Promise<void> {
  await opened.store.claim({
    id,
    kind: 'financial',
    acquirer: 'demo',
    idempotencyKey: id,
    fingerprint: new Uint8Array(32),
    createdAtMs: systemClock.now(),
    rrn: '632610000001',
    cardToken: opened.vault.tokenOf(pan),
    request: {},
    attempt: {
      issuer: 'demo-a',
      mti: '0100',
      processingCode: '000000',
      stan: '000001',
      transmittedAt: '1122100000',
      rrn: '632610000001',
      acquiringInstitution: '00000000001',
      amount: 2599,
      currencyNumeric: '978',
      terminalId: '',
      merchantId: 'M-1001',
      merchantNameLocation: '',
      mcc: '5411',
      entryMode: '071',
      card: opened.vault.seal({ pan, expiry: '2912' }),
    },
  })
}

describe('switchyard keys', () => {
  it('rotates the PAN key: old cards stay readable, go under the new one, the old one can go', async () => {
    writeKeyFile(keysFile, createSystemRandom())
    const tokenKey = JSON.parse(readFileSync(keysFile, 'utf8')).tokenKey
    const first = await openStore('first')
    await claim('auth_1', first)
    await first.store.close()

    const rotated = await keys('rotate')
    assert.equal(rotated.code, 0, rotated.err)
    assert.equal(statSync(keysFile).mode & 0o777, 0o600)
    assert.equal(JSON.parse(readFileSync(keysFile, 'utf8')).tokenKey, tokenKey)
    assert.deepEqual([...ringOf().panKeys.keys()], [1, 2])
    const early = await keys('retire', '1')
    assert.equal(early.code, 1)
    assert.match(early.err, /1 sealed cards are under key 1/)

    const second = await openStore('second')
    await claim('auth_2', second)
    const sealed = await second.store.read('auth_1')
    const old = sealed?.attempts[0]?.card
    assert.equal(old?.keyId, 1)
    assert.equal(second.vault.unseal(old).pan.masked, pan.masked)
    const held = await keys('retire', '1')
    assert.match(held.err, /held by process .* stop that process, or set another DATA_DIR$/m)
    await second.tend()
    const resealed = (await second.store.read('auth_1'))?.attempts[0]?.card
    assert.equal(resealed?.keyId, 2)
    assert.notDeepEqual(resealed.iv, old.iv)
    assert.equal(second.vault.unseal(resealed).pan.masked, pan.masked)
    const status = await keys('status', '--json')
    assert.deepEqual(
      JSON.parse(status.out).keys.map((row: { cards: number }) => row.cards),
      [0, 2],
    )
    await second.store.close()

    assert.match((await keys('retire', '2')).err, /2 is the newest key/)
    const retired = await keys('retire', '1')
    assert.equal(retired.code, 0, retired.err)
    assert.deepEqual([...ringOf().panKeys.keys()], [2])
    const third = await openStore('third')
    const card = (await third.store.read('auth_1'))?.attempts[0]?.card
    assert.ok(card)
    assert.equal(third.vault.unseal(card).expiry, '2912')
    await third.store.close()
    assert.match((await keys('status')).out, /^key 2: 2 cards; the newest/)
  })

  it('says what is wrong with a wish', async () => {
    assert.match((await keys('retire', 'x')).err, /no key id/)
    assert.match((await keys('retire', '9')).err, /holds no PAN key 9/)
  })
})
