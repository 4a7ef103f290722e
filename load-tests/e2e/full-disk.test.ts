// A disk that is really full: a small file system of its own for the data folder.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { isLive } from '../issuer/index.ts'
import { startIssuer, startSwitch } from '../processes/index.ts'
import { get, post, purchase } from './system.ts'

/** Room for the start, the index and a few hundred authorizations. */
const DISK_BYTES = 3 * 1024 * 1024
const AUTHORIZATIONS_MAX = 5_000
const IN_FLIGHT = 20

/** Mounts a small tmpfs; says why it could not. */
function mountSmallDisk(folder: string): string | undefined {
  if (process.getuid?.() !== 0) return 'mounting a small file system needs root'
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'none', folder])
  return mounted.status === 0 ? undefined : `mount failed: ${mounted.stderr}`
}

test('full disk: readiness off, the process stops, and nothing is approved that is not kept', async (t) => {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-e2e-'))
  const data = path.join(folder, 'data')
  await mkdir(data)
  const problem = mountSmallDisk(data)
  if (problem !== undefined) {
    await rm(folder, { recursive: true })
    t.skip(problem)
    return
  }
  const demoA = await startIssuer({ name: 'demo-a' })
  try {
    const first = await startSwitch({ folder, issuers: [demoA] })
    const approved = new Map<string, Buffer>()
    const left: string[] = []
    let isFull = false
    let next = 0
    const sendOneAfterTheOther = async () => {
      while (!isFull && next < AUTHORIZATIONS_MAX) {
        const number = next++
        const key = `full-${number}`
        try {
          const answer = await post(first.url, key, purchase(number, 1_000 + number))
          if (answer.status === 200) approved.set(key, answer.bytes)
          else isFull = true
          if (answer.status === 503) {
            assert.match(String(answer.body.code), /outcome_unknown|store_unavailable|draining/)
            left.push(key)
          }
        } catch {
          // The process ended with the connection open.
          isFull = true
          left.push(key)
        }
      }
    }
    await Promise.all(Array.from({ length: IN_FLIGHT }, sendOneAfterTheOther))
    assert.ok(isFull, 'the disk never filled')
    assert.equal(await first.exited, 1, first.logs.slice(-2_000))
    assert.match(first.logs, /the store failed: readiness is off/)

    // Somebody makes room; the next start recovers.
    const grown = spawnSync('mount', ['-o', 'remount,size=64m', data])
    assert.equal(grown.status, 0, String(grown.stderr))
    const second = await startSwitch({ folder, issuers: [demoA] })
    for (const [key, bytes] of approved) {
      const number = Number(key.slice('full-'.length))
      const again = await post(second.url, key, purchase(number, 1_000 + number))
      assert.ok(again.bytes.equals(bytes), `${key} was answered and is another now`)
    }
    const finalOutcomes = new Map<string, unknown>()
    for (const key of left) {
      const number = Number(key.slice('full-'.length))
      const again = await post(second.url, key, purchase(number, 1_000 + number))
      assert.equal(again.status, 200)
      finalOutcomes.set(key, again.body.outcome)
      assert.equal((await get(second.url, `/v1/authorizations/${again.body.id}`)).status, 200)
    }
    const keptApprovals =
      approved.size + [...finalOutcomes.values()].filter((one) => one === 'approved').length
    await waitUntil(async () => (await demoA.ledger()).filter(isLive).length === keptApprovals)
    assert.equal(await second.stop(), 0)
  } finally {
    await demoA.stop()
    spawnSync('umount', [data])
    await rm(folder, { recursive: true, force: true })
  }
})

async function waitUntil(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.fail('live approvals at the issuer and approvals that are kept differ')
}
