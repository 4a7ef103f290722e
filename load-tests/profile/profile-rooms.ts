// Charges a CPU or allocation profile of the switch to the rooms of the source: what a library or
// Node.js itself does belongs to the innermost line of ours that asked for it.

import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

interface CallFrame {
  readonly functionName: string
  readonly url: string
  /** Both count from 0. */
  readonly lineNumber: number
  readonly columnNumber: number
}

/** As the inspector's `Profiler.stop` gives it. Times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: CallFrame
    readonly children?: readonly number[]
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** As `HeapProfiler.stopSampling` gives it. */
export interface AllocationProfile {
  readonly head: AllocationNode
}

interface AllocationNode {
  readonly callFrame: CallFrame
  readonly selfSize: number
  readonly children: readonly AllocationNode[]
}

/** Microseconds or bytes, by room. */
export type ByRoom = Map<string, number>

/** What V8 calls its own work, and what is no work. */
const PSEUDO: ReadonlyMap<string, string> = new Map([
  ['(garbage collector)', 'garbage collection'],
  ['(idle)', 'idle'],
  ['(program)', 'Node.js and V8'],
  ['(root)', 'Node.js and V8'],
])

/** Where none of our lines is on the stack. */
const NOBODY = 'Node.js and V8'

export function cpuByRoom(profile: CpuProfile, root: string): ByRoom {
  const roomOf = frames(root)
  const rooms = new Map<number, string>()
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const walk = (id: number, above: string) => {
    const node = nodes.get(id)
    if (node === undefined) return
    const room = PSEUDO.get(node.callFrame.functionName) ?? roomOf(node.callFrame) ?? above
    rooms.set(id, room)
    for (const child of node.children ?? []) walk(child, room)
  }
  walk(profile.nodes[0]?.id ?? 0, NOBODY)
  const sums: ByRoom = new Map()
  for (const [i, id] of profile.samples.entries()) {
    const room = rooms.get(id) ?? NOBODY
    sums.set(room, (sums.get(room) ?? 0) + (profile.timeDeltas[i] ?? 0))
  }
  sums.delete('idle')
  return sums
}

export function bytesByRoom(profile: AllocationProfile, root: string): ByRoom {
  const roomOf = frames(root)
  const sums: ByRoom = new Map()
  const walk = (node: AllocationNode, above: string) => {
    const room = roomOf(node.callFrame) ?? above
    sums.set(room, (sums.get(room) ?? 0) + node.selfSize)
    for (const child of node.children) walk(child, room)
  }
  walk(profile.head, NOBODY)
  return sums
}

/** The room of a frame: its folder, two names deep; undefined where it is not ours. */
function frames(root: string): (frame: CallFrame) => string | undefined {
  const maps = new Map<string, SourceMap | undefined>()
  const known = new Map<string, string | undefined>()
  return (frame) => {
    if (!frame.url.startsWith('file:')) return undefined
    const key = `${frame.url}:${frame.lineNumber}:${frame.columnNumber}`
    if (!known.has(key)) known.set(key, roomOfSource(sourceOf(frame, maps), root))
    return known.get(key)
  }
}

/** The source file of a frame: through its map where the file is a compiled one. */
function sourceOf(frame: CallFrame, maps: Map<string, SourceMap | undefined>): string {
  const file = fileURLToPath(frame.url)
  if (!maps.has(file)) maps.set(file, readMap(file))
  const entry = maps.get(file)?.findEntry(frame.lineNumber, frame.columnNumber)
  return entry !== undefined && 'originalSource' in entry
    ? path.resolve(path.dirname(file), entry.originalSource)
    : file
}

function readMap(file: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${file}.map`, 'utf8')))
  } catch {
    return undefined
  }
}

function roomOfSource(source: string, root: string): string | undefined {
  const name = path.relative(root, source)
  const isForeign = name.startsWith('..') || name.includes('node_modules')
  if (isForeign) return undefined
  const [first = '', second = ''] = name.split(path.sep)
  return second.endsWith('.ts') ? `${first}/*.ts` : `${first}/${second}`
}
