// The disk fills up under a running switch: nothing is approved that can't be kept, readiness goes
// off, the process stops, and once there is room again every key has one outcome.

import assert from 'node:assert/strict'
import test from 'node:test'
import { isLive } from '../issuer/index.ts'
import { mountSmallDisk, type RunningIssuer, startIssuer, startSwitch } from '../processes/index.ts'
import { type Answer, eventually, get, post, purchase } from './system.ts'

const disk = mountSmallDisk(3)

async function post503(url: string, number: number): Promise<Answer | undefined> {
  try {
    return await post(url, `disk-${number}`, purchase(number, 20_000 + number))
  } catch {
    // The process stopped: no answer is an answer that promises nothing.
    return undefined
  }
}

test('a full disk', { skip: disk === undefined && 'may not mount a small disk here' }, async () => {
  assert.ok(disk !== undefined)
  const issuers: RunningIssuer[] = await Promise.all([
    startIssuer({ name: 'demo-a' }),
    startIssuer({ name: 'demo-b', behaviour: { answers: 'cents' } }),
  ])
  const [demoA] = issuers as [RunningIssuer, RunningIssuer]
  // The watermark would keep a disk of 3 MB from ever becoming full.
  const options = { folder: disk.folder, issuers, config: { store: { freeBytesMin: 0 } } }
  const first = await startSwitch(options)
  const answers: (Answer | undefined)[] = []
  let isFull = false
  while (!isFull && answers.length < 20_000) {
    const from = answers.length
    const numbers = Array.from({ length: 50 }, (_, i) => from + i)
    answers.push(...(await Promise.all(numbers.map((number) => post503(first.url, number)))))
    isFull = answers.slice(from).some((answer) => answer?.status !== 200)
  }
  assert.ok(isFull, 'the disk never became full')
  assert.equal(await first.exited, 1, first.logs.slice(-2_000))
  assert.match(first.logs, /the store failed/)
  for (const answer of answers) {
    if (answer === undefined || answer.status === 200) continue
    assert.equal(answer.status, 503, answer.bytes.toString('utf8'))
  }

  disk.resize(60)
  const second = await startSwitch(options)
  for (const [number, answer] of answers.entries()) {
    if (answer?.status === 200) {
      const found = await get(second.url, `/v1/authorizations/${answer.body.id}`)
      assert.ok(found.bytes.equals(answer.bytes))
      continue
    }
    const retried = await post(second.url, `disk-${number}`, purchase(number, 20_000 + number))
    assert.equal(retried.status, 200)
    answers[number] = retried
  }
  await eventually(async () => {
    const live = (await demoA.ledger()).filter(isLive)
    const approved = answers.filter((answer) => answer?.body.outcome === 'approved')
    assert.deepEqual(
      live.map(({ approvalCode }) => approvalCode).sort(),
      approved.map((answer) => answer?.body.approvalCode).sort(),
    )
  })
  assert.equal(await second.stop(), 0)
  await Promise.all(issuers.map((issuer) => issuer.stop()))
})

test.after(() => disk?.remove())
