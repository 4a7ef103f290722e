import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createSeededRandom, SimulatedDisk } from '../simulation/index.ts'
import { FRAME_BYTES, HEADER_BYTES, writeFrame } from './segment.ts'
import { LogDamage, type OpenedLog, SegmentLog, type SegmentLogOptions } from './segment-log.ts'

const RECORD_BYTES_MAX = 4_096

function optionsFor(disk: SimulatedDisk, changes: Partial<SegmentLogOptions> = {}) {
  return {
    disk,
    random: createSeededRandom(1),
    segmentBytes: 1_000,
    recordBytesMax: RECORD_BYTES_MAX,
    ...changes,
  }
}

function newDisk(): SimulatedDisk {
  return new SimulatedDisk({ random: createSeededRandom(2) })
}

async function open(disk: SimulatedDisk, changes: Partial<SegmentLogOptions> = {}) {
  const opened = await SegmentLog.open(optionsFor(disk, changes))
  assert.ok(opened.ok, opened.ok ? '' : opened.problem.message)
  return opened
}

function problemOf(opened: OpenedLog) {
  assert.ok(!opened.ok)
  return opened.problem
}

/** One group with a record of each text. Returns the records' positions. */
async function append(log: SegmentLog, ...texts: string[]): Promise<number[]> {
  const group = Buffer.alloc(texts.join('').length * 3 + texts.length * FRAME_BYTES)
  const offsets: number[] = []
  let end = 0
  for (const text of texts) {
    offsets.push(end)
    end += writeFrame(group, end, Buffer.from(text), end, log.seed)
  }
  const position = await log.append(group.subarray(0, end))
  return offsets.map((offset) => position + offset)
}

async function texts(log: SegmentLog, from = 0): Promise<string[]> {
  const found: string[] = []
  const problem = await log.scan(from, (_, payload) => {
    found.push(Buffer.from(payload).toString())
    return undefined
  })
  assert.equal(problem, undefined, problem?.message)
  return found
}

const NAME = '0000000000000000.log'

describe('segment log', () => {
  it('goes on in its newest segment where the next one could not be begun', async () => {
    for (const call of ['sync', 'append', 'open'] as const) {
      const disk = newDisk()
      const { log } = await open(disk)
      await append(log, 'before')
      disk.failWith('EIO', call)
      await assert.rejects(log.seal())
      disk.failWith(null)
      await append(log, 'after')
      assert.deepEqual(await texts((await open(disk.restart('kill'))).log), ['before', 'after'])
    }
  })

  it('gives back what was appended, by scan and by position, across segments', async () => {
    const disk = newDisk()
    const { log } = await open(disk)
    const written: string[] = []
    const positions: number[] = []
    for (let i = 0; i < 40; i++) {
      const group = [`record ${i}`, 'x'.repeat(i * 5 + 1)]
      positions.push(...(await append(log, ...group)))
      written.push(...group)
    }
    assert.ok(log.segments > 3)
    assert.deepEqual(await texts(log), written)
    const half = positions[written.length / 2] as number
    assert.deepEqual(await texts(log, half), written.slice(written.length / 2))
    const { log: again, cutTail } = await open(disk)
    assert.equal(cutTail, null)
    assert.deepEqual([again.endPosition, again.bytes], [log.endPosition, log.bytes])
    for (const [index, position] of positions.entries()) {
      assert.equal(Buffer.from(await again.read(position)).toString(), written[index])
    }
  })

  it('reads records longer than its first read', async () => {
    const { log } = await open(newDisk(), { recordBytesMax: 100_000 })
    const long = 'é'.repeat(20_000)
    const [, position] = await append(log, 'short', long)
    assert.equal(Buffer.from(await log.read(position as number)).toString(), long)
  })

  it('refuses a position that is no record', async () => {
    const { log } = await open(newDisk())
    const [position] = await append(log, 'one', 'two')
    await assert.rejects(log.read((position as number) + 1), LogDamage)
    await assert.rejects(log.read(log.endPosition), LogDamage)
  })

  it('cuts a torn last record wherever it was torn, and says where', async () => {
    const disk = newDisk()
    const { log } = await open(disk)
    await append(log, 'kept')
    const end = log.endPosition
    await append(log, 'torn away')
    const full = disk.contents(NAME)
    for (let size = end + 1; size < full.length; size++) {
      disk.damage(NAME, 0, () => full.slice(0, size))
      const { log: again, cutTail } = await open(disk)
      assert.deepEqual(cutTail, { segment: NAME, offset: end, bytes: size - end })
      assert.deepEqual(await texts(again), ['kept'])
      assert.equal(disk.contents(NAME).length, end)
    }
  })

  it('goes on after a cut as if nothing had been there', async () => {
    const disk = newDisk()
    await append((await open(disk)).log, 'one')
    disk.damage(NAME, disk.contents(NAME).length, () => new Uint8Array(600).fill(3))
    const { log, cutTail } = await open(disk)
    assert.equal(cutTail?.bytes, 600)
    await append(log, 'two')
    assert.deepEqual(await texts((await open(disk)).log), ['one', 'two'])
  })

  it('cuts a torn group although a later record of it is whole', async () => {
    const disk = newDisk()
    const { log } = await open(disk)
    await append(log, 'kept')
    const [first] = await append(log, 'a1', 'a2', 'a3')
    disk.damage(NAME, first as number, (bytes) => bytes.map((b, i) => (i < 3 ? 0 : b)))
    const { log: again, cutTail } = await open(disk)
    assert.equal(cutTail?.offset, first)
    assert.deepEqual(await texts(again), ['kept'])
  })

  it('refuses damage before a later group, at every byte, and changes nothing', async () => {
    const disk = newDisk()
    const { log } = await open(disk)
    const [first] = await append(log, 'damaged', 'second')
    await append(log, 'later')
    const good = disk.contents(NAME)
    for (let at = first as number; at < good.length - FRAME_BYTES - 'later'.length; at++) {
      disk.damage(NAME, at, (bytes) => bytes.map((byte, i) => (i === 0 ? byte ^ 0x10 : byte)))
      const damaged = disk.contents(NAME)
      const problem = problemOf(await SegmentLog.open(optionsFor(disk)))
      assert.equal(problem.code, 'log_damaged')
      assert.equal(problem.segment, NAME)
      assert.ok((problem.offset ?? -1) <= at && at < (problem.offset ?? 0) + FRAME_BYTES + 7)
      assert.deepEqual(disk.contents(NAME), damaged)
      disk.damage(NAME, 0, () => good)
    }
  })

  it('refuses damage, gaps and strangers in older segments', async () => {
    const disk = newDisk()
    const { log } = await open(disk)
    for (let i = 0; i < 30; i++) await append(log, 'y'.repeat(100))
    const names = await disk.list()
    const [, second, third] = names as [string, string, string]
    const good = disk.contents(second)
    disk.damage(second, 200, (bytes) => bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte)))
    const damaged = await (await open(disk)).log.scan(0, () => undefined)
    assert.equal(damaged?.segment, second)
    disk.damage(second, 0, () => good.slice(0, -1))
    assert.equal(problemOf(await SegmentLog.open(optionsFor(disk))).segment, third)
    disk.damage(second, 0, () => good)
    await disk.remove(second)
    assert.equal(problemOf(await SegmentLog.open(optionsFor(disk))).segment, third)
  })

  it('lets the oldest segments be removed', async () => {
    const disk = newDisk()
    const { log } = await open(disk)
    for (let i = 0; i < 30; i++) await append(log, `${i} ${'y'.repeat(100)}`)
    const [oldest] = await disk.list()
    await disk.remove(oldest as string)
    const { log: shorter } = await open(disk)
    assert.ok(shorter.firstPosition > HEADER_BYTES)
    const left = await texts(shorter)
    assert.equal(left.at(-1)?.split(' ')[0], '29')
    assert.ok(left.length < 30)
  })

  it('refuses a newer format, and writes nothing', async () => {
    const disk = newDisk()
    await append((await open(disk)).log, 'one')
    disk.damage(NAME, 8, (bytes) => bytes.map((byte, i) => (i === 0 ? 9 : byte)))
    const before = disk.contents(NAME)
    const problem = problemOf(await SegmentLog.open(optionsFor(disk)))
    assert.equal(problem.code, 'log_newer')
    assert.match(problem.message, /format 9/)
    assert.deepEqual(disk.contents(NAME), before)
    assert.deepEqual(await disk.list(), [NAME])
  })

  it('begins again a segment whose header was torn', async () => {
    const disk = newDisk()
    await disk.open(NAME)
    for (const bytes of [0, 10, HEADER_BYTES]) {
      disk.damage(NAME, 0, () => new Uint8Array(bytes))
      const { log, cutTail } = await open(disk)
      assert.deepEqual([cutTail?.segment, cutTail?.bytes], [NAME, bytes])
      await append(log, 'one')
      assert.deepEqual(await texts((await open(disk)).log), ['one'])
    }
    disk.damage(NAME, 0, () => new Uint8Array(HEADER_BYTES + 1))
    assert.equal(problemOf(await SegmentLog.open(optionsFor(disk))).code, 'log_damaged')
  })

  it('writes nothing when read-only', async () => {
    const empty = newDisk()
    const absent = await SegmentLog.open(optionsFor(empty, { readOnly: true }))
    assert.equal(problemOf(absent).code, 'log_absent')
    assert.deepEqual(await empty.list(), [])
    const disk = newDisk()
    await append((await open(disk)).log, 'one')
    disk.damage(NAME, disk.contents(NAME).length, () => new Uint8Array(7))
    const before = disk.contents(NAME)
    const { log, cutTail } = await open(disk, { readOnly: true })
    assert.equal(cutTail?.bytes, 7)
    assert.deepEqual(await texts(log), ['one'])
    assert.deepEqual(disk.contents(NAME), before)
  })

  it('keeps what a killed process left in the page cache, through a power cut', async () => {
    const disk = newDisk()
    await append((await open(disk)).log, 'one')
    const file = await disk.open(NAME)
    const bytes = Buffer.alloc(200)
    const { log: probe } = await open(disk)
    await file.append(bytes.subarray(0, writeFrame(bytes, 0, Buffer.from('two'), 0, probe.seed)))
    const afterKill = disk.restart('kill')
    assert.deepEqual(await texts((await open(afterKill)).log), ['one', 'two'])
    const afterPower = afterKill.restart('power')
    assert.deepEqual(await texts((await open(afterPower)).log), ['one', 'two'])
  })

  it('has every group that was durable after any crash, and only whole records', async () => {
    const groups = fc.array(fc.array(fc.string({ minLength: 1, maxLength: 300 }), { minLength: 1 }))
    const crash = fc.constantFrom('kill' as const, 'power' as const)
    await fc.assert(
      fc.asyncProperty(fc.nat(), groups, fc.integer({ min: 1, max: 40 }), crash, crashesOnce),
      { numRuns: 200 },
    )
  })
})

async function crashesOnce(
  seed: number,
  groups: string[][],
  crashCall: number,
  kind: 'kill' | 'power',
): Promise<void> {
  const disk = new SimulatedDisk({ random: createSeededRandom(seed) })
  const durable: string[] = []
  const all: string[] = []
  const run = async () => {
    const { log } = await open(disk)
    for (const group of groups) {
      all.push(...group)
      await append(log, ...group)
      durable.push(...group)
    }
  }
  await Promise.race([disk.crashAt(crashCall), run()])
  const { log } = await open(disk.restart(kind))
  const found = await texts(log)
  assert.deepEqual(found.slice(0, durable.length), durable)
  assert.deepEqual(found, all.slice(0, found.length))
}

it('is closed only after the reads under way', async () => {
  const disk = newDisk()
  const { log } = await open(disk)
  const [first = 0] = await append(log, 'first')
  const reading = log.read(first)
  await log.close()
  assert.equal(Buffer.from(await reading).toString(), 'first')
})
