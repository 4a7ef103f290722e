import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BATCH_MAX, OUTCOME_WAIT_MS, VELOCITY_DEADLINE_MIN_MS } from './limits.ts'
import type { Clock, Timers } from './ports.ts'
import type { Decision, ScoringRequest, VelocityOutcome } from './request.ts'
import { type BatchRunner, SmartBatches } from './smart-batches.ts'
import type { DecidedBatch, ScoringBatch } from './wire.ts'

/** Virtual time: nothing happens until `advance`, then timers fire in their order. */
class VirtualTime implements Clock, Timers {
  nowMs = 0
  pending: { readonly atMs: number; readonly callback: () => void }[] = []

  now(): number {
    return 1_795_000_000_000 + this.nowMs
  }

  monotonic(): number {
    return this.nowMs
  }

  set(delayMs: number, callback: () => void): unknown {
    const timer = { atMs: this.nowMs + delayMs, callback }
    this.pending.push(timer)
    return timer
  }

  clear(handle: unknown): void {
    this.pending = this.pending.filter((timer) => timer !== handle)
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms
    await settled()
    for (;;) {
      const due = this.pending.filter((timer) => timer.atMs <= untilMs)
      due.sort((one, other) => one.atMs - other.atMs)
      const [first] = due
      if (first === undefined) break
      this.nowMs = Math.max(this.nowMs, first.atMs)
      this.clear(first)
      first.callback()
      await settled()
    }
    this.nowMs = untilMs
  }
}

/** Lets every promise that can go on do so. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Lanes that the test opens and closes; it answers a batch when the test says so. */
class Lanes implements BatchRunner {
  lanes = 1
  readonly batches: {
    readonly batch: ScoringBatch
    readonly answer: () => void
    readonly die: () => void
  }[] = []

  run(batch: ScoringBatch): Promise<DecidedBatch> {
    return new Promise((resolve, reject) => {
      this.batches.push({
        batch,
        answer: () =>
          resolve({
            decisions: batch.requests.map((each) => decision(each.id)),
            faults: { velocity: null, model: null },
            outcomesLost: 0,
          }),
        die: () => reject(new Error('the worker died')),
      })
    })
  }

  /** Answers what is under way, and whatever comes after it. */
  async answerAll(): Promise<void> {
    for (let i = 0; i < this.batches.length; i++) {
      this.batches[i]?.answer()
      await settled()
    }
  }
}

function request(id: string): ScoringRequest {
  return {
    id,
    eventHash: '00000000000000ff',
    arrivedAtMs: 0,
    acquirer: 'demo',
    type: 'authorization',
    amount: 100,
    currency: 'EUR',
    channel: 'pos',
    card: { token: 'tok', bin: '47617390' },
    merchant: { id: 'M-1', mcc: '5411' },
  }
}

/** A decision that says which request it is for. */
function decision(id: string, degraded: Decision['degraded'] = []): Decision {
  return {
    outcome: 'approve',
    score: 0,
    band: null,
    reasons: [id],
    disclosedReasons: [],
    hits: [],
    degraded,
    ruleSet: 'rules',
    model: 'model',
    features: new Float32Array(0),
    aggregates: new Float64Array(0),
    unknownRules: [],
    saturated: [],
    stepMicros: { velocity: 0, features: 0, model: 0, rules: 0 },
  }
}

function setUp(options: { queueDepthMax?: number; outcomeQueueMax?: number } = {}) {
  const time = new VirtualTime()
  const runner = new Lanes()
  const scorer = new SmartBatches({
    runner,
    clock: time,
    timers: time,
    decideWithoutWorker: (each) => decision(each.id, ['worker']),
    ...options,
  })
  return { time, runner, scorer }
}

const approved = (id: string): VelocityOutcome => ({ request: request(id), kind: 'approved' })

test('light load: a message leaves at once, alone', async () => {
  const { runner, scorer } = setUp()
  const scored = scorer.score(request('a'), 30)
  await settled()
  assert.equal(runner.batches.length, 1)
  assert.equal(runner.batches[0]?.batch.requests.length, 1)
  runner.batches[0]?.answer()
  assert.deepEqual((await scored).reasons, ['a'])
})

test('messages of one tick make one batch', async () => {
  const { runner, scorer } = setUp()
  const scored = ['a', 'b', 'c'].map((id) => scorer.score(request(id), 30))
  await settled()
  assert.equal(runner.batches[0]?.batch.requests.length, 3)
  await runner.answerAll()
  assert.deepEqual(
    (await Promise.all(scored)).map((each) => each.reasons[0]),
    ['a', 'b', 'c'],
  )
})

test('while the lanes are busy messages queue; a free lane takes all that wait, up to 64', async () => {
  const { runner, scorer } = setUp()
  const first = scorer.score(request('first'), 30)
  await settled()
  const rest = Array.from({ length: 100 }, (_, i) => scorer.score(request(`${i}`), 30))
  await settled()
  assert.equal(runner.batches.length, 1)
  assert.equal(scorer.stats().queueDepth, 100)
  runner.batches[0]?.answer()
  await settled()
  assert.equal(runner.batches[1]?.batch.requests.length, BATCH_MAX)
  runner.batches[1]?.answer()
  await settled()
  assert.equal(runner.batches[2]?.batch.requests.length, 100 - BATCH_MAX)
  runner.batches[2]?.answer()
  assert.deepEqual((await first).degraded, [])
  for (const [i, scored] of rest.entries()) assert.deepEqual((await scored).reasons, [`${i}`])
  assert.equal(scorer.stats().batchSizes[BATCH_MAX], 1)
})

test('at its deadline a message is decided without the worker, and the late result is dropped', async () => {
  const { time, runner, scorer } = setUp()
  const scored = scorer.score(request('a'), 30)
  await time.advance(29)
  assert.equal(scorer.stats().deadlineMissed, 0)
  await time.advance(1)
  assert.deepEqual((await scored).degraded, ['worker'])
  runner.batches[0]?.answer()
  await settled()
  assert.equal(scorer.stats().lateResults, 1)
  assert.equal(scorer.stats().deadlineMissed, 1)
  assert.equal(time.pending.length, 0)
})

test('what expires in the queue is not sent to a worker any more', async () => {
  const { time, runner, scorer } = setUp()
  const busy = scorer.score(request('busy'), 100)
  await settled()
  const expired = scorer.score(request('expired'), 30)
  await time.advance(40)
  assert.deepEqual((await expired).degraded, ['worker'])
  const fresh = scorer.score(request('fresh'), 30)
  runner.batches[0]?.answer()
  await settled()
  assert.deepEqual(
    runner.batches[1]?.batch.requests.map((each) => each.id),
    ['fresh'],
  )
  runner.batches[1]?.answer()
  assert.deepEqual((await fresh).degraded, [])
  assert.deepEqual((await busy).degraded, [])
})

test('what would be late is not sent to a busy worker, and what is new always is', async () => {
  const { time, runner, scorer } = setUp()
  runner.lanes = 2
  const earlier: Promise<Decision>[] = []
  const tick = async (id: string) => {
    earlier.push(scorer.score(request(id), 200))
    await settled()
  }
  // Two batches are always under way, and each takes 40 ms: more than is ever expected.
  await tick('first')
  for (let i = 0; i < 30; i++) {
    await tick(`${i}`)
    await time.advance(20)
    runner.batches[i]?.answer()
    await settled()
  }
  const old = scorer.score(request('old'), 30)
  await settled()
  await tick('busy')
  assert.equal(scorer.stats().tooLate, 0)
  const waited = scorer.score(request('waited'), 30)
  await time.advance(15)
  const fresh = scorer.score(request('fresh'), 30)
  runner.batches[30]?.answer()
  await settled()
  assert.deepEqual((await waited).degraded, ['worker'])
  assert.equal(scorer.stats().tooLate, 1)
  await runner.answerAll()
  assert.deepEqual((await fresh).degraded, [])
  assert.deepEqual((await old).degraded, [])
  for (const scored of earlier) assert.deepEqual((await scored).degraded, [])
})

test('a message beyond the queue is decided at once, without waiting for its deadline', async () => {
  const { runner, scorer } = setUp({ queueDepthMax: 2 })
  const busy = scorer.score(request('busy'), 30)
  await settled()
  const waiting = [scorer.score(request('b'), 30), scorer.score(request('c'), 30)]
  assert.deepEqual((await scorer.score(request('d'), 30)).degraded, ['worker'])
  assert.equal(scorer.stats().queueFull, 1)
  await runner.answerAll()
  assert.deepEqual((await busy).degraded, [])
  for (const scored of waiting) assert.deepEqual((await scored).degraded, [])
})

test('a lost batch is decided without the worker at once', async () => {
  const { runner, scorer } = setUp()
  const scored = [scorer.score(request('a'), 30), scorer.score(request('b'), 30)]
  await settled()
  runner.batches[0]?.die()
  for (const each of scored) assert.deepEqual((await each).degraded, ['worker'])
  assert.equal(scorer.stats().batchLost, 2)
})

test('without a ready worker nobody waits, and the first free lane is used when one comes', async () => {
  const { runner, scorer } = setUp()
  const lost = scorer.score(request('lost'), 30)
  const queued = (async () => {
    await settled()
    return scorer.score(request('queued'), 30)
  })()
  await settled()
  runner.lanes = 0
  scorer.wake()
  assert.deepEqual((await queued).degraded, ['worker'])
  assert.deepEqual((await scorer.score(request('now'), 30)).degraded, ['worker'])
  assert.equal(scorer.stats().workerUnavailable, 2)
  runner.batches[0]?.die()
  assert.deepEqual((await lost).degraded, ['worker'])
  runner.lanes = 1
  scorer.wake()
  const scored = scorer.score(request('again'), 30)
  await settled()
  runner.batches[1]?.answer()
  assert.deepEqual((await scored).degraded, [])
})

test('outcome events ride along with the next batch', async () => {
  const { time, runner, scorer } = setUp()
  scorer.publish(approved('earlier'))
  await settled()
  assert.equal(runner.batches.length, 0)
  const scored = scorer.score(request('a'), 30)
  await settled()
  const [first] = runner.batches
  assert.equal(first?.batch.outcomes.length, 1)
  assert.equal(first?.batch.outcomes[0]?.kind, 'approved')
  assert.equal(first?.batch.outcomes[0]?.atMs, time.now())
  first?.answer()
  assert.deepEqual((await scored).degraded, [])
})

test('outcome events that nothing comes for go alone, after a short wait', async () => {
  const { time, runner, scorer } = setUp()
  scorer.publish(approved('a'))
  await time.advance(OUTCOME_WAIT_MS - 1)
  assert.equal(runner.batches.length, 0)
  await time.advance(1)
  assert.equal(runner.batches[0]?.batch.requests.length, 0)
  assert.equal(runner.batches[0]?.batch.outcomes.length, 1)
  await runner.answerAll()
  assert.equal(scorer.stats().outcomeQueueDepth, 0)
})

test('the queue of outcome events drops its oldest and counts them', async () => {
  const { runner, scorer } = setUp({ outcomeQueueMax: 3 })
  for (let i = 0; i < 5; i++) {
    scorer.publish({ ...approved(`${i}`), request: { ...request('x'), eventHash: `${i}` } })
  }
  assert.equal(scorer.stats().outcomesDropped, 2)
  const scored = scorer.score(request('a'), 30)
  await settled()
  assert.deepEqual(
    runner.batches[0]?.batch.outcomes.map((each) => each.eventHash),
    ['2', '3', '4'],
  )
  await runner.answerAll()
  await scored
})

test('velocity gets what the oldest message has left, in its bounds', async () => {
  const { time, runner, scorer } = setUp()
  const busy = scorer.score(request('busy'), 100)
  await settled()
  const old = scorer.score(request('old'), 30)
  await time.advance(12)
  const young = scorer.score(request('young'), 30)
  await runner.answerAll()
  await Promise.all([busy, old, young])
  assert.equal(runner.batches[0]?.batch.velocityDeadlineMs, 15)
  assert.equal(runner.batches[1]?.batch.velocityDeadlineMs, 30 - 12 - 10)
  const hurried = scorer.score(request('hurried'), 4)
  await settled()
  assert.equal(runner.batches[2]?.batch.velocityDeadlineMs, VELOCITY_DEADLINE_MIN_MS)
  await runner.answerAll()
  await hurried
})

test('a stall of our own thread does not expire results that are already here', async () => {
  const { time, runner, scorer } = setUp()
  const scored = scorer.score(request('a'), 30)
  await settled()
  // The thread stands still for 100 ms; then timers run first, the worker's answer comes after
  // them.
  time.nowMs = 100
  const [timer] = time.pending
  time.clear(timer)
  timer?.callback()
  runner.batches[0]?.answer()
  assert.deepEqual((await scored).degraded, [])
  await time.advance(5)
  assert.equal(scorer.stats().deadlineMissed, 0)
})

test('drain answers everything, flushes outcome events and leaves no timer', async () => {
  const { time, runner, scorer } = setUp()
  const answered = scorer.score(request('answered'), 30)
  await settled()
  const stuck = scorer.score(request('stuck'), 10_000)
  for (let i = 0; i < BATCH_MAX + 1; i++) scorer.publish(approved('a'))
  const drained = scorer.drain(1_000)
  runner.batches[0]?.answer()
  await settled()
  assert.deepEqual((await answered).degraded, [])
  await time.advance(1_000)
  await drained
  assert.deepEqual((await stuck).degraded, ['worker'])
  assert.deepEqual((await scorer.score(request('after'), 30)).degraded, ['worker'])
  assert.deepEqual(time.pending, [])
})

test('drain resolves as soon as nothing is under way', async () => {
  const { time, runner, scorer } = setUp()
  for (let i = 0; i < BATCH_MAX + 1; i++) scorer.publish(approved('a'))
  const drained = scorer.drain(1_000)
  await settled()
  assert.equal(runner.batches[0]?.batch.outcomes.length, BATCH_MAX)
  await runner.answerAll()
  await drained
  assert.equal(runner.batches[1]?.batch.outcomes.length, 1)
  assert.equal(time.nowMs, 0)
  assert.deepEqual(time.pending, [])
})

test('whatever happens, each message is answered once, with its own decision, by its deadline', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('score' as const), deadlineMs: fc.integer({ min: 1, max: 60 }) }),
    fc.record({ kind: fc.constant('answer' as const), which: fc.nat(5) }),
    fc.record({ kind: fc.constant('die' as const), which: fc.nat(5) }),
    fc.record({ kind: fc.constant('lanes' as const), lanes: fc.nat(3) }),
    fc.record({ kind: fc.constant('advance' as const), ms: fc.nat(20) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { time, runner, scorer } = setUp({ queueDepthMax: 5 })
      const answers: Promise<void>[] = []
      let resolved = 0
      for (const each of steps) {
        if (each.kind === 'score') {
          const id = `${answers.length}`
          const deadlineAtMs = time.nowMs + each.deadlineMs
          answers.push(
            scorer.score(request(id), each.deadlineMs).then((decided) => {
              resolved++
              assert.deepEqual(decided.reasons, [id])
              assert.ok(time.nowMs <= deadlineAtMs + 1, `${time.nowMs} after ${deadlineAtMs}`)
            }),
          )
        } else if (each.kind === 'answer') runner.batches[each.which]?.answer()
        else if (each.kind === 'die') runner.batches[each.which]?.die()
        else if (each.kind === 'lanes') {
          runner.lanes = each.lanes
          scorer.wake()
        } else await time.advance(each.ms)
      }
      await time.advance(100)
      assert.equal(resolved, answers.length)
      await Promise.all(answers)
      assert.ok(runner.batches.every(({ batch }) => batch.requests.length <= BATCH_MAX))
    }),
    { numRuns: 60 },
  )
})
