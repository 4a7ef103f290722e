import assert from 'node:assert/strict'
import test from 'node:test'
import { projectFolder } from '../processes/index.ts'
import { allocatedBytes, type CpuProfile, roomOfUrl, roomsOf } from './where.ts'

const url = (file: string) => `file://${projectFolder}${file}`
const node = (id: number, functionName: string, file: string, children: number[] = []) => ({
  ...{ id, children },
  callFrame: { functionName, url: file },
})

/** root > authorize > append > node:fs; root > idle, collector, program. A sample every 10 us. */
const profile: CpuProfile = {
  nodes: [
    node(1, '(root)', '', [2, 5, 6, 7]),
    node(2, 'authorize', url('switch/authorize.ts'), [3]),
    node(3, 'append', url('switch/store/segment-log.ts'), [4]),
    node(4, 'writev', 'node:fs'),
    node(5, '(idle)', ''),
    node(6, '(garbage collector)', ''),
    node(7, '(program)', ''),
  ],
  startTime: 1_000,
  samples: [2, 4, 3, 5, 6, 7, 2],
  timeDeltas: [0, 10, 10, 10, 10, 10, 10],
}

test('a sample goes to the innermost room on its stack, idle time to nobody', () => {
  assert.deepEqual(
    new Map(roomsOf(profile, { from: 0, to: 10_000 })),
    new Map([
      ['switch', 10],
      ['switch/store', 20],
      ['garbage collection', 10],
      ['native code (sockets, event loop)', 10],
    ]),
  )
})

test('only samples of the window count', () => {
  assert.deepEqual([...roomsOf(profile, { from: 1_010, to: 1_015 })], [['switch/store', 10]])
})

test('rooms are folders of the project, packages are none', () => {
  assert.equal(roomOfUrl(url('scoring/velocity/ring.ts')), 'scoring/velocity')
  assert.equal(roomOfUrl(url('switch/claim.ts')), 'switch')
  assert.equal(roomOfUrl(url('node_modules/msgpackr/pack.js')), undefined)
  assert.equal(roomOfUrl('node:net'), undefined)
})

test('allocations are what a collection finds above what the one before left', () => {
  const line = (isolate: string, ms: number, before: string, after: string) =>
    `[77:0x${isolate}]   ${ms} ms: Scavenge ${before} (9.5) -> ${after} (9.5) MB, 0.1 / 0.0 ms`
  const trace = [
    line('aa', 100, '7.0', '5.0'),
    line('aa', 200, '9.0', '5.5'),
    'a line of the log',
    line('bb', 250, '3.0', '1.0'),
    line('aa', 300, '6.5', '5.0'),
    line('bb', 350, '4.0', '1.0'),
    line('aa', 900, '9.0', '5.0'),
  ].join('\n')
  const mebibyte = 1_048_576
  assert.deepEqual(allocatedBytes(trace, 150, 500), [5 * mebibyte, 3 * mebibyte])
})
