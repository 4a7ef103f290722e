import assert from 'node:assert/strict'
import path from 'node:path'
import test from 'node:test'
import { pathToFileURL } from 'node:url'
import { type AllocationProfile, bytesByRoom, type CpuProfile, cpuByRoom } from './profile-rooms.ts'

const ROOT = '/project'
const frame = (functionName: string, file = '') => ({
  functionName,
  url: file === '' ? '' : pathToFileURL(path.join(ROOT, file)).href,
  lineNumber: 0,
  columnNumber: 0,
})

test('what Node.js and libraries do belongs to the line of ours that asked for it', () => {
  const profile: CpuProfile = {
    nodes: [
      { id: 1, callFrame: frame('(root)'), children: [2, 5, 6, 7] },
      { id: 2, callFrame: frame('seal', 'switch/card-data/card-vault.ts'), children: [3] },
      { id: 3, callFrame: frame('pack', 'node_modules/msgpackr/pack.js'), children: [4] },
      { id: 4, callFrame: frame('toString') },
      { id: 5, callFrame: frame('authorize', 'switch/authorize.ts') },
      { id: 6, callFrame: frame('(idle)') },
      { id: 7, callFrame: frame('(garbage collector)') },
    ],
    samples: [2, 3, 4, 5, 6, 7, 1],
    timeDeltas: [1, 2, 4, 8, 16, 32, 64],
  }
  assert.deepEqual(Object.fromEntries(cpuByRoom(profile, ROOT)), {
    'switch/card-data': 7,
    'switch/*.ts': 8,
    'garbage collection': 32,
    'Node.js and V8': 64,
  })
})

test('the same of bytes', () => {
  const leaf = { callFrame: frame('alloc'), selfSize: 100, children: [] }
  const own = { callFrame: frame('append', 'switch/store/log.ts'), selfSize: 5, children: [leaf] }
  const profile: AllocationProfile = {
    head: { callFrame: frame('(root)'), selfSize: 1, children: [own, leaf] },
  }
  assert.deepEqual(Object.fromEntries(bytesByRoom(profile, ROOT)), {
    'Node.js and V8': 101,
    'switch/store': 105,
  })
})
