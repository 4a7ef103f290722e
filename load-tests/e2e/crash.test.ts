// kill -9 with requests in flight. Whatever was answered stays; whatever was not, ends exactly
// once.

import assert from 'node:assert/strict'
import { appendFile, readdir } from 'node:fs/promises'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { isLive, type LedgerEntry } from '../issuer/index.ts'
import { pause } from '../processes/index.ts'
import { type Answer, eventually, purchase, type System, startSystem } from './system.ts'

const inFlight = 200
let system: System
before(async () => {
  system = await startSystem({ issuerTimeoutMs: 3_000 })
})
after(() => system?.stop())

interface Sent {
  readonly key: string
  readonly body: ReturnType<typeof purchase>
  /** Undefined: the connection died first. */
  answer: Answer | undefined
}

/** Sends all at once; those that are not answered stay so. */
function sendAll(round: number): { sent: Sent[]; done: Promise<unknown> } {
  const sent: Sent[] = Array.from({ length: inFlight }, (_, i) => {
    const number = round * 1_000 + i
    return { key: `crash-${number}`, body: purchase(number, 100_000 + number), answer: undefined }
  })
  const done = Promise.all(
    sent.map(async (one) => {
      try {
        one.answer = await system.post(one.key, one.body)
      } catch {
        // Killed under it: exactly the case.
      }
    }),
  )
  return { sent, done }
}

/** The one approval of this purchase that stands, if any; never more than one. */
function liveOf(ledger: readonly LedgerEntry[], one: Sent): LedgerEntry | undefined {
  const live = ledger.filter((entry) => entry.amount === one.body.amount && isLive(entry))
  assert.ok(live.length <= 1, `${one.key} has ${live.length} live approvals`)
  return live[0]
}

function checkBalanced(ledger: readonly LedgerEntry[], one: Sent): void {
  const live = liveOf(ledger, one)
  const outcome = one.answer?.body.outcome
  if (outcome === 'approved') {
    assert.equal(live?.approvalCode, one.answer?.body.approvalCode, `${one.key} approved`)
    assert.deepEqual(live?.reversals, [], `${one.key} is approved and was reversed`)
  } else {
    assert.equal(outcome, 'declined', one.key)
    assert.equal(live, undefined, `${one.key} is declined and an approval stands`)
  }
  for (const entry of ledger) {
    if (entry.amount !== one.body.amount) continue
    assert.ok(entry.reversals.length <= 1, `${one.key} was reversed twice`)
  }
}

// Early: most are on their way to the issuer. Late: a third of the answers are out.
for (const [round, answeredMin] of [0, 70].entries()) {
  test(`killed with ${inFlight} in flight, once ${answeredMin} were answered`, async () => {
    await system.demoA.setBehaviour({ delayMs: 100, latePercent: 60, lateMs: 1_500 })
    const { requests } = await system.demoA.status()
    const { sent, done } = sendAll(round + 1)
    const countAnswered = () => sent.filter(({ answer }) => answer !== undefined).length
    while ((await system.demoA.status()).requests === requests) await pause(5)
    while (countAnswered() < answeredMin) await pause(5)
    assert.equal(await system.running.kill('SIGKILL'), 137)
    await done
    await system.demoA.setBehaviour({ delayMs: 0, latePercent: 0 })
    const answered = sent.filter(({ answer }) => answer !== undefined)
    assert.ok(answered.length >= answeredMin && answered.length < inFlight - 20)
    await system.restart()

    for (const { answer } of answered) {
      assert.equal(answer?.status, 200)
      const found = await system.get(`/v1/authorizations/${answer?.body.id}`)
      assert.ok(found.bytes.equals(answer?.bytes ?? Buffer.alloc(0)))
    }
    for (const one of sent) {
      const first = one.answer
      const retried = await system.post(one.key, one.body)
      assert.equal(retried.status, 200, retried.bytes.toString('utf8'))
      if (first !== undefined) assert.ok(retried.bytes.equals(first.bytes), one.key)
      one.answer = retried
    }
    for (const one of sent) {
      const again = await system.post(one.key, one.body)
      assert.ok(again.bytes.equals(one.answer?.bytes ?? Buffer.alloc(0)), one.key)
    }
    await eventually(async () => {
      const ledger = await system.demoA.ledger()
      for (const one of sent) checkBalanced(ledger, one)
    })
  })
}

test('a torn last record is cut and told, and nothing before it is lost', async () => {
  const before = await system.post('before-tear', purchase(9_001, 109_001))
  await system.running.kill('SIGKILL')
  const segment = await newestSegment(path.join(system.running.dataDir, 'store'))
  // A frame (CRC, length, distance from the group's start) that promises more than follows: what a
  // crash in the middle of a write leaves.
  const torn = Buffer.alloc(25, 0xab)
  torn.writeUInt32LE(120, 4)
  torn.writeUInt32LE(0, 8)
  await appendFile(segment, torn)
  await system.restart()
  await eventually(async () => assert.match(system.running.logs, /torn/i))
  const again = await system.post('before-tear', purchase(9_001, 109_001))
  assert.ok(again.bytes.equals(before.bytes), 'not yet')
  assert.equal((await system.post('after-tear', purchase(9_002, 109_002))).body.outcome, 'approved')
  await system.running.kill('SIGKILL')
  await system.restart()
  assert.ok(
    (await system.post('before-tear', purchase(9_001, 109_001))).bytes.equals(before.bytes),
    'not yet',
  )
})

test('a second switch on the same store is refused', async () => {
  await assert.rejects(system.restart(), /ended before it listened/)
  assert.equal((await system.post('still-up', purchase(9_003, 109_003))).status, 200)
})

async function newestSegment(folder: string): Promise<string> {
  // Segments are named by their position in the log, so the last by name is the newest.
  const segments = (await readdir(folder)).filter((name) => name.endsWith('.log')).sort()
  const newest = segments.at(-1)
  assert.ok(newest !== undefined, 'no segment was found')
  return path.join(folder, newest)
}
