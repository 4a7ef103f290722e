import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createVirtualTime } from '../simulation/index.ts'
import { type Flush, GroupCommit, type GroupCommitOptions } from './group-commit.ts'
import { flushDeadlineFor, PATIENT_MS } from './limits.ts'
import { FRAME_BYTES, frameLength, holdsFrame } from './segment.ts'
import { StoreFault } from './transaction-store.ts'

const SEED = 7

/** A log whose appends settle when the test says so. */
class HeldLog {
  readonly seed = SEED
  readonly groups: string[][] = []
  readonly #settle: { done(): void; fail(error: Error): void }[] = []
  #end = 0

  append(group: Uint8Array): Promise<number> {
    const bytes = Buffer.from(group)
    const texts: string[] = []
    for (let at = 0; at < bytes.length; ) {
      assert.ok(holdsFrame(bytes, at, bytes.length, SEED, 1_000))
      const end = at + FRAME_BYTES + frameLength(bytes, at)
      texts.push(bytes.subarray(at + FRAME_BYTES, end).toString())
      at = end
    }
    this.groups.push(texts)
    const position = this.#end
    this.#end += bytes.length
    return new Promise((resolve, reject) => {
      this.#settle.push({ done: () => resolve(position), fail: reject })
    })
  }

  async done(): Promise<void> {
    this.#settle.shift()?.done()
    await settle()
  }

  async fail(code: string): Promise<void> {
    this.#settle.shift()?.fail(Object.assign(new Error(`${code}: no space left`), { code }))
    await settle()
  }
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

function setUp(changes: Partial<GroupCommitOptions> = {}) {
  const log = new HeldLog()
  const time = createVirtualTime({ startMs: 0, settle })
  const flushes: Flush[] = []
  const faults: string[] = []
  const commit = new GroupCommit({
    log,
    clock: time.clock,
    timers: time.timers,
    flushDeadlineMs: 100,
    recordBytesMax: 1_000,
    waitingRecordsMax: 10,
    waitingBytesMax: 2_000,
    onFlush: (flush) => flushes.push(flush),
    onFault: (reason) => faults.push(reason),
    ...changes,
  })
  const write = (text: string, isPatient = false) =>
    new Promise<number>((resolve, reject) => {
      commit.append(Buffer.from(text), { durable: resolve, failed: reject }, isPatient)
    })
  const written = () =>
    new Promise<number>((resolve, reject) => {
      commit.afterAppended({ durable: resolve, failed: reject })
    })
  return { log, time, commit, write, written, flushes, faults }
}

describe('group commit', () => {
  it('takes what one tick brings in one group, and what a flush keeps waiting in the next', async () => {
    const { log, write, flushes, time } = setUp()
    const first = Promise.all([write('a'), write('b')])
    await settle()
    const second = Promise.all([write('c'), write('d'), write('e')])
    await settle()
    assert.deepEqual(log.groups, [['a', 'b']])
    await time.advance(20)
    await log.done()
    assert.deepEqual(await first, [0, FRAME_BYTES + 1])
    assert.deepEqual(log.groups, [
      ['a', 'b'],
      ['c', 'd', 'e'],
    ])
    await log.done()
    assert.equal((await second)[0], 2 * (FRAME_BYTES + 1))
    assert.deepEqual(
      flushes.map(({ records, bytes }) => [records, bytes]),
      [
        [2, 26],
        [3, 39],
      ],
    )
    assert.equal(flushes[0]?.seconds, 0.02)
    assert.equal(time.pendingTimers, 0)
  })

  it('tells nobody before the flush has returned', async () => {
    const { log, write } = setUp()
    let isTold = false
    const told = write('a').then(() => {
      isTold = true
    })
    for (let i = 0; i < 5; i++) await settle()
    assert.equal(isTold, false)
    await log.done()
    await told
    assert.equal(isTold, true)
  })

  it('waits for what was appended before, not for what comes after', async () => {
    const { log, write, written } = setUp()
    assert.equal(await written(), -1)
    const flushing = write('a')
    await settle()
    const afterA = written()
    const waiting = write('b')
    const afterB = written()
    await log.done()
    assert.deepEqual([await flushing, await afterA], [0, -1])
    await log.done()
    assert.deepEqual([await waiting, await afterB], [FRAME_BYTES + 1, -1])
  })

  it('fails everything that waits, and everything later, at the first failed flush', async () => {
    const { log, commit, write, written, faults } = setUp()
    const waiting = [write('a')]
    await settle()
    waiting.push(write('b'), written())
    const rejected = Promise.allSettled(waiting)
    await log.fail('ENOSPC')
    for (const result of await rejected) {
      assert.ok(result.status === 'rejected' && result.reason instanceof StoreFault)
    }
    await assert.rejects(write('c'), StoreFault)
    await assert.rejects(written(), StoreFault)
    assert.deepEqual(faults, ['a flush failed: ENOSPC: no space left'])
    assert.equal(commit.isWritable, false)
    assert.deepEqual(log.groups, [['a']])
    await commit.close()
  })

  it('is faulted by a late flush, even if that succeeds afterwards', async () => {
    const { log, time, commit, write } = setUp()
    const late = assert.rejects(write('a'), /longer than 100 ms/)
    await settle()
    await time.advance(100)
    await late
    await log.done()
    assert.equal(commit.fault, 'a flush took longer than 100 ms')
    await assert.rejects(write('b'), StoreFault)
    await commit.close()
  })

  it('has the time again in which the whole process stood still, but not twice', async () => {
    let stillMs = 0
    const { log, time, commit, write } = setUp({
      clock: { now: () => 0, monotonic: () => time.clock.monotonic() + stillMs },
    })
    const woken = write('a')
    await settle()
    stillMs = 5_000
    await time.advance(150)
    assert.equal(commit.fault, null)
    await log.done()
    await woken
    const late = assert.rejects(write('b'), /longer than 100 ms/)
    await settle()
    stillMs = 10_000
    await time.advance(199)
    assert.equal(commit.fault, null)
    stillMs = 15_000
    await time.advance(1)
    await late
    await log.done()
    await commit.close()
  })

  it('a record is durable or refused within the time that the deadline was made for', async () => {
    const durabilityMs = 200
    const { log, time, write } = setUp({ flushDeadlineMs: flushDeadlineFor(durabilityMs) })
    void write('under way')
    await settle()
    const refused = assert.rejects(write('behind it'), StoreFault)
    await time.advance(99)
    await log.done()
    await time.advance(99)
    assert.equal(log.groups.length, 2)
    await time.advance(1)
    await refused
    assert.ok(time.clock.monotonic() <= durabilityMs)
  })

  it('throws over its limits, and stays whole', async () => {
    const { log, commit, write } = setUp()
    const waiter = { durable: () => {}, failed: () => {} }
    assert.throws(() => commit.append(new Uint8Array(1_001), waiter), /1000 at most/)
    const fits = Array.from({ length: 10 }, (_, i) => write(String(i)))
    assert.throws(() => commit.append(new Uint8Array(1), waiter), /10 records/)
    await settle()
    const large = write('x'.repeat(1_000))
    assert.throws(() => commit.append(new Uint8Array(1_000), waiter), /1012 bytes wait/)
    await log.done()
    await Promise.all(fits)
    await log.done()
    await large
  })

  it('grows its buffer for a large group without losing what was in it', async () => {
    const { log, write } = setUp({ waitingRecordsMax: 5_000, waitingBytesMax: 5_000_000 })
    const texts = Array.from({ length: 3_000 }, (_, i) => `${i}${'z'.repeat(900)}`)
    const all = Promise.all(texts.map((text) => write(text)))
    await settle()
    await log.done()
    await all
    assert.deepEqual(log.groups, [texts])
  })

  it('holds a group back as long as it is told to', async () => {
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const holds: (Promise<void> | undefined)[] = [held]
    const { log, write } = setUp({ hold: () => holds.shift() })
    const first = write('a')
    await settle()
    const second = write('b')
    await settle()
    assert.deepEqual(log.groups, [])
    release()
    await settle()
    assert.deepEqual(log.groups, [['a', 'b']])
    await log.done()
    await Promise.all([first, second])
  })

  it('starts no flush for what is patient, while there are others to go with', async () => {
    const { log, time, write, written } = setUp()
    const patient = write('p', true)
    await time.advance(PATIENT_MS - 1)
    assert.deepEqual(log.groups, [])
    const first = write('a')
    await settle()
    assert.deepEqual(log.groups, [['p', 'a']])
    // Behind a flush under way it waits for the next one that somebody starts, not for its end.
    const second = write('q', true)
    await log.done()
    assert.deepEqual([await patient, await first], [0, FRAME_BYTES + 1])
    assert.equal(log.groups.length, 1)
    const asked = written()
    await settle()
    assert.deepEqual(log.groups[1], ['q'])
    await log.done()
    await Promise.all([second, asked])
    assert.equal(time.pendingTimers, 0)
  })

  it('flushes what is patient after a while by itself, and at the end', async () => {
    const { log, time, commit, write, faults } = setUp()
    const patient = write('p', true)
    const another = write('q', true)
    await time.advance(PATIENT_MS)
    assert.deepEqual(log.groups, [['p', 'q']])
    await log.done()
    await Promise.all([patient, another])
    const last = write('r', true)
    const closed = commit.close()
    await settle()
    await log.done()
    await Promise.all([last, closed])
    assert.equal(time.pendingTimers, 0)
    const failing = setUp()
    const refused = assert.rejects(failing.write('p', true), StoreFault)
    failing.commit.fail('the disk is full')
    await refused
    assert.deepEqual([faults, failing.time.pendingTimers], [[], 0])
  })

  it('closes after what it took, and takes nothing more', async () => {
    const { log, commit, write } = setUp()
    const taken = write('a')
    const closed = commit.close()
    await assert.rejects(write('b'), /closed/)
    await settle()
    await log.done()
    assert.equal(await taken, 0)
    await closed
    assert.equal(commit.fault, null)
  })
})
