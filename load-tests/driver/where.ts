// Where the microseconds of one message go: the profiles that V8 wrote of each thread of a switch
// under load, its allocations, and its own times a step, each over the messages that were answered.

import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { projectFolder } from '../processes/index.ts'
import type { ThreadCpu } from './cpu.ts'
import { type LoadReport, round } from './report.ts'
import type { Metrics } from './switch-metrics.ts'

/** A V8 CPU profile (Chrome DevTools protocol, Profiler.Profile). */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string }
    readonly children?: readonly number[]
  }[]
  /** Microseconds of the machine's monotonic clock. */
  readonly startTime: number
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** Microseconds of the monotonic clock. */
export interface Window {
  readonly from: number
  readonly to: number
}

/** Microseconds by room, idle time left out. */
export type RoomMicros = ReadonlyMap<string, number>

/**
 * Every sample of the window goes to the room of the innermost function of the project's own on its
 * stack, so that what a room calls in Node.js and in packages is its own; what no room called goes
 * to the runtime, collections of garbage to a row of their own.
 */
export function roomsOf(profile: CpuProfile, window: Window): RoomMicros {
  const parents = new Map<number, number>()
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  for (const { id, children = [] } of profile.nodes) {
    for (const child of children) parents.set(child, id)
  }
  const known = new Map<number, string | undefined>()
  const roomAt = (id: number): string | undefined => {
    if (known.has(id)) return known.get(id)
    const room = roomOfStack(id, nodes, parents)
    known.set(id, room)
    return room
  }
  const rooms = new Map<string, number>()
  let at = profile.startTime
  for (let i = 0; i < profile.samples.length; i++) {
    at += profile.timeDeltas[i] ?? 0
    if (at < window.from || at > window.to) continue
    // A sample stands for the time until the next one.
    const micros = profile.timeDeltas[i + 1] ?? 0
    const room = roomAt(profile.samples[i] as number)
    if (room !== undefined) rooms.set(room, (rooms.get(room) ?? 0) + Math.max(0, micros))
  }
  return rooms
}

function roomOfStack(
  id: number,
  nodes: ReadonlyMap<number, CpuProfile['nodes'][number]>,
  parents: ReadonlyMap<number, number>,
): string | undefined {
  const leaf = nodes.get(id)?.callFrame.functionName
  if (leaf === '(idle)') return undefined
  if (leaf === '(garbage collector)') return 'garbage collection'
  for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
    const room = roomOfUrl(nodes.get(at)?.callFrame.url ?? '')
    if (room !== undefined) return room
  }
  return leaf === '(program)' ? 'native code (sockets, event loop)' : 'Node.js and packages'
}

/** `switch/store`, `scoring/velocity`; undefined for what is not the project's own. */
export function roomOfUrl(url: string): string | undefined {
  const root = `file://${projectFolder}`
  if (!url.startsWith(root)) return undefined
  const parts = url.slice(root.length).split('/')
  if (parts[0] === 'node_modules') return undefined
  return parts.length > 2 ? `${parts[0]}/${parts[1]}` : parts[0]
}

/**
 * Bytes each isolate allocated between two times of its own clock, by lines of --trace-gc: what
 * a collection found above what the one before left. Isolates in order of their first line.
 */
export function allocatedBytes(trace: string, fromMs: number, toMs: number): readonly number[] {
  const line =
    /^\[\d+:(0x[0-9a-f]+)\] +(\d+) ms: .*? (\d+\.\d+) \(\d+\.\d+\) -> (\d+\.\d+) \(\d+\.\d+\) MB/
  const isolates = new Map<string, { left: number | undefined; bytes: number }>()
  for (const text of trace.split('\n')) {
    const [, name = '', atMs, before, after] = line.exec(text) ?? []
    if (after === undefined) continue
    const isolate = isolates.get(name) ?? { left: undefined, bytes: 0 }
    isolates.set(name, isolate)
    const isInside = Number(atMs) >= fromMs && Number(atMs) <= toMs
    if (isInside && isolate.left !== undefined) {
      isolate.bytes += Math.max(0, Number(before) - isolate.left) * 1_048_576
    }
    isolate.left = Number(after)
  }
  return [...isolates.values()].map(({ bytes }) => bytes)
}

export interface Where {
  readonly messages: number
  /** CPU by thread, microseconds a message, as the kernel counts it. */
  readonly threads: ThreadCpu | null
  /** By thread and room, microseconds a message, as V8 samples it. */
  readonly rooms: readonly {
    readonly thread: string
    readonly room: string
    readonly micros: number
  }[]
  /** Bytes a message that each thread allocated on its heap. */
  readonly allocatedBytes: Readonly<Record<string, number>>
  /** Mean time of each step, milliseconds: waiting is part of it. */
  readonly stepMs: Readonly<Record<string, number>>
}

export interface WhereParts {
  readonly report: LoadReport
  /** Answered in the measured phases. */
  readonly messages: number
  readonly profileFolder: string
  readonly trace: string
  readonly window: Window
  /** When the process was started, microseconds of the monotonic clock. */
  readonly startedAt: number
  readonly before: Metrics
  readonly after: Metrics
}

export async function whereOf(parts: WhereParts): Promise<Where> {
  const { messages, window, startedAt } = parts
  const rooms: { thread: string; room: string; micros: number }[] = []
  for (const file of (await readdir(parts.profileFolder)).sort()) {
    const text = await readFile(path.join(parts.profileFolder, file), 'utf8')
    const found = roomsOf(JSON.parse(text) as CpuProfile, window)
    const thread = threadOf(file)
    for (const [room, micros] of found) {
      rooms.push({ thread, room, micros: round(micros / messages, 1) })
    }
  }
  const msOf = (micros: number) => (micros - startedAt) / 1000
  const [main = 0, ...others] = allocatedBytes(parts.trace, msOf(window.from), msOf(window.to))
  return {
    messages,
    threads: parts.report.switchThreadMicrosPerMessage,
    rooms: rooms.filter(({ micros }) => micros > 0).sort((a, b) => b.micros - a.micros),
    allocatedBytes: {
      main: Math.round(main / messages),
      worker: Math.round(Math.max(0, ...others) / messages),
    },
    stepMs: stepMeans(parts.before, parts.after),
  }
}

/** `CPU.20261122.122858.15602.1.002.cpuprofile`: date, time, process, thread, file. */
function threadOf(file: string): string {
  const thread = Number(file.split('.')[4])
  return thread === 0 ? 'main' : `worker ${thread}`
}

function stepMeans(before: Metrics, after: Metrics): Readonly<Record<string, number>> {
  const means: Record<string, number> = {}
  const since = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0)
  for (const key of after.keys()) {
    const step = /^switchyard_step_duration_seconds_count\{step="([^"]+)"\}$/.exec(key)?.[1]
    if (step === undefined) continue
    const count = since(key)
    const seconds = since(key.replace('_count', '_sum'))
    if (count > 0) means[step] = round((seconds * 1000) / count, 3)
  }
  return means
}

export function whereText(where: Where): string {
  const row = (name: string, value: number | string, unit: string) =>
    `  ${name.padEnd(52)}${String(value).padStart(9)} ${unit}`
  const lines = [`One message of ${where.messages}, on average`, '', 'CPU by thread (kernel)']
  const { threads } = where
  if (threads !== null) {
    lines.push(row('main', threads.main, 'us'), row('worker', threads.worker, 'us'))
    lines.push(row('V8 and libuv', threads.rest, 'us'))
    const all = round(threads.main + threads.worker + threads.rest, 1)
    lines.push(row('together', all, 'us'))
  }
  for (const thread of [...new Set(where.rooms.map((it) => it.thread))].sort()) {
    lines.push('', `CPU of ${thread} by room (sampled by V8, with what the room calls)`)
    const own = where.rooms.filter((it) => it.thread === thread)
    for (const { room, micros } of own) lines.push(row(room, micros, 'us'))
  }
  lines.push('', 'Allocated on the heap')
  for (const [thread, bytes] of Object.entries(where.allocatedBytes)) {
    lines.push(row(thread, bytes.toLocaleString('en'), 'bytes'))
  }
  lines.push('', 'Time of each step, with its waiting')
  for (const [step, ms] of Object.entries(where.stepMs)) lines.push(row(step, ms, 'ms'))
  return `${lines.join('\n')}\n`
}
