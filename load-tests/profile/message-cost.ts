// Where the microseconds of one authorization go: a switch, Redis and two issuers as processes of
// their own, a closed loop of connections that keeps them busy, and three windows of equal length:
// CPU by process and thread from /proc, then a CPU profile of the switch, then its allocations.
//
//   node --import tsx load-tests/profile/message-cost.ts --seconds 10 --connections 128 [--json]
//
// The first window is the cost; the profiles only say how it is divided: they cost themselves.

import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import net from 'node:net'
import { cpus, tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import {
  jsonBodyOf,
  type MixOptions,
  mixedRequest,
  threadDifference,
  threadMicrosOf,
} from '../driver/index.ts'
import {
  pause,
  projectFolder,
  redisMissing,
  startIssuer,
  startRedis,
  startSwitch,
} from '../processes/index.ts'
import {
  type AllocationProfile,
  type ByRoom,
  bytesByRoom,
  type CpuProfile,
  cpuByRoom,
} from './profile-rooms.ts'

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    connections: { type: 'string', default: '128' },
    json: { type: 'boolean', default: false },
  },
})
const windowMs = Number(flags.seconds) * 1_000
const SAMPLE_MICROS = 500
const SAMPLE_BYTES = 8_192

/** Runs in each thread of the switch: a file that appears starts a profile, another ends it. */
const observer = `
import { Session } from 'node:inspector'
import { existsSync, writeFileSync } from 'node:fs'
import { threadId } from 'node:worker_threads'
const folder = process.env.PROFILE_FOLDER
const session = new Session()
session.connect()
const states = { cpu: 0, bytes: 0 }
const start = {
  cpu: () => {
    session.post('Profiler.enable')
    session.post('Profiler.setSamplingInterval', { interval: ${SAMPLE_MICROS} })
    session.post('Profiler.start')
  },
  bytes: () => session.post('HeapProfiler.startSampling', { samplingInterval: ${SAMPLE_BYTES},
    includeObjectsCollectedByMajorGC: true, includeObjectsCollectedByMinorGC: true }),
}
const end = { cpu: 'Profiler.stop', bytes: 'HeapProfiler.stopSampling' }
setInterval(() => {
  for (const kind of ['cpu', 'bytes']) {
    if (states[kind] === 0 && existsSync(folder + '/' + kind + '.start')) {
      states[kind] = 1
      start[kind]()
    } else if (states[kind] === 1 && existsSync(folder + '/' + kind + '.end')) {
      states[kind] = 2
      session.post(end[kind], (_, { profile }) =>
        writeFileSync(folder + '/' + threadId + '.' + kind, JSON.stringify(profile)))
    }
  }
}, 50).unref()`

/** One connection: the next request when the last one is answered. */
class Lane {
  readonly #socket: net.Socket
  readonly #next: () => string
  readonly #onAnswer: () => void
  #read = ''

  constructor(port: number, next: () => string, onAnswer: () => void) {
    this.#next = next
    this.#onAnswer = onAnswer
    this.#socket = net.connect(port, '127.0.0.1')
    this.#socket.setNoDelay(true)
    this.#socket.setEncoding('latin1')
    this.#socket.on('connect', () => this.#socket.write(next()))
    this.#socket.on('data', (chunk: string) => this.#take(chunk))
    this.#socket.on('error', () => {})
  }

  end(): void {
    this.#socket.destroy()
  }

  #take(chunk: string): void {
    this.#read += chunk
    const head = this.#read.indexOf('\r\n\r\n')
    if (head < 0) return
    const length = /content-length: (\d+)/i.exec(this.#read)?.[1]
    if (this.#read.length < head + 4 + Number(length ?? 0)) return
    if (!this.#read.startsWith('HTTP/1.1 200')) throw new Error(`answered: ${this.#read}`)
    this.#read = ''
    this.#onAnswer()
    this.#socket.write(this.#next())
  }
}

interface Cost {
  readonly messages: number
  readonly messagesPerSecond: number
  /** CPU microseconds a message. */
  readonly processes: Readonly<Record<string, number>>
  readonly threads: Readonly<Record<string, number>>
  /** Of the profiled windows, scaled to a message: thread, room, figure. */
  readonly cpuMicros: Readonly<Record<string, Readonly<Record<string, number>>>>
  readonly allocatedBytes: Readonly<Record<string, Readonly<Record<string, number>>>>
}

const folder = mkdtempSync(path.join(tmpdir(), 'switchyard-message-cost-'))
try {
  const cost = await measure()
  if (flags.json) console.log(JSON.stringify(cost))
  else print(cost)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exit(0)

async function measure(): Promise<Cost> {
  const missing = redisMissing()
  if (missing !== false) throw new Error(missing)
  const issuers = await Promise.all([
    startIssuer({ name: 'demo-a' }),
    startIssuer({ name: 'demo-b', behaviour: { answers: 'cents' } }),
  ])
  const redis = await startRedis()
  const running = await startSwitch({
    folder,
    issuers,
    redisUrl: redis.url,
    // A machine that others use may stand still for longer than a disk that is broken.
    config: {
      log: { oneLineIn: 100 },
      deadlines: { durabilityMs: 9_000, acquirerMs: 40_000, drainMs: 20_000 },
    },
    env: {
      PROFILE_FOLDER: folder,
      NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(observer)}`,
    },
  })
  let answered = 0
  const next = requests()
  const lanes = Array.from(
    { length: Number(flags.connections) },
    () => new Lane(Number(new URL(running.url).port), next, () => answered++),
  )
  const count = () => answered
  try {
    // Twice a window: compiled code is then the code that stays.
    await pause(2 * windowMs)
    const pids = { switch: running.pid, redis: redis.pid, issuers: issuers.map(({ pid }) => pid) }
    const plain = await measurePlain(pids, count)
    const cpu = await profiled('cpu', count)
    const bytes = await profiled('bytes', count)
    const cpuMicros = divided(cpu, (text) => cpuByRoom(JSON.parse(text) as CpuProfile, home()))
    const allocatedBytes = divided(bytes, (text) =>
      bytesByRoom(JSON.parse(text) as AllocationProfile, home()),
    )
    return { ...plain, cpuMicros, allocatedBytes }
  } finally {
    for (const lane of lanes) lane.end()
    await running.stop()
    await Promise.all([redis.stop(), ...issuers.map((issuer) => issuer.stop())])
  }
}

function home(): string {
  return realpathSync(projectFolder)
}

interface Pids {
  readonly switch: number
  readonly redis: number
  readonly issuers: readonly number[]
}

async function measurePlain(pids: Pids, count: () => number) {
  const read = () => ({
    atMs: performance.now(),
    messages: count(),
    own: process.cpuUsage(),
    threads: threadMicrosOf(pids.switch),
    redis: sum(threadMicrosOf(pids.redis)),
    issuers: pids.issuers.reduce((total, pid) => total + sum(threadMicrosOf(pid)), 0),
  })
  const before = read()
  await pause(windowMs)
  const after = read()
  const messages = after.messages - before.messages
  const each = (micros: number) => Math.round((micros / messages) * 10) / 10
  const { main, worker, rest } = threadDifference(pids.switch, before.threads, after.threads)
  return {
    messages,
    messagesPerSecond: Math.round((messages * 1_000) / (after.atMs - before.atMs)),
    processes: {
      switch: each(sum(after.threads) - sum(before.threads)),
      redis: each(after.redis - before.redis),
      issuers: each(after.issuers - before.issuers),
      generator: each(after.own.user + after.own.system - before.own.user - before.own.system),
    },
    threads: { main: each(main), worker: each(worker), 'V8 and I/O': each(rest) },
  }
}

function sum(threads: ReadonlyMap<number, number>): number {
  let total = 0
  for (const micros of threads.values()) total += micros
  return total
}

interface Profiled {
  readonly messages: number
  /** The texts that the threads wrote, by thread. */
  readonly texts: ReadonlyMap<string, string>
}

async function profiled(kind: 'cpu' | 'bytes', count: () => number): Promise<Profiled> {
  writeFileSync(path.join(folder, `${kind}.start`), '')
  await pause(100)
  const before = count()
  await pause(windowMs)
  const messages = count() - before
  writeFileSync(path.join(folder, `${kind}.end`), '')
  const files = () =>
    readdirSync(folder).filter((name) => new RegExp(`^\\d+\\.${kind}$`).test(name))
  for (let tries = 0; files().length < 2 && tries < 100; tries++) await pause(100)
  // The second may be half written.
  await pause(1_000)
  return {
    messages,
    texts: new Map(
      files().map((name) => [
        name.startsWith('0.') ? 'main' : `worker ${name.split('.')[0]}`,
        readFileSync(path.join(folder, name), 'utf8'),
      ]),
    ),
  }
}

function divided({ messages, texts }: Profiled, byRoom: (text: string) => ByRoom) {
  const result: Record<string, Record<string, number>> = {}
  for (const [thread, text] of texts) {
    const rooms = [...byRoom(text)].sort(([, a], [, b]) => b - a)
    result[thread] = Object.fromEntries(
      rooms.map(([room, total]) => [room, Math.round((total / messages) * 10) / 10]),
    )
  }
  return result
}

function requests(): () => string {
  const startedAtMs = Date.now()
  const options: MixOptions = {
    seed: 1,
    cards: 1_000_000,
    secondIssuerPercent: 10,
    startedAtMs,
    ratePerSecond: 5_000,
  }
  let index = 0
  return () => {
    const number = index++
    const body = jsonBodyOf(mixedRequest(options, number))
    return (
      'POST /v1/authorizations HTTP/1.1\r\nHost: switch\r\nAuthorization: Bearer demo-key\r\n' +
      `Idempotency-Key: cost-${startedAtMs.toString(36)}-${number}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    )
  }
}

function print(cost: Cost): void {
  const cpu = cpus()
  console.log(`${cpu.length} x ${cpu[0]?.model ?? 'CPU'}, Node.js ${process.version}`)
  console.log(
    `${cost.messages} authorizations on ${flags.connections} connections, ` +
      `${cost.messagesPerSecond}/s, ${flags.seconds} s a window`,
  )
  table('CPU of a message by process, µs', cost.processes)
  table('of the switch by thread, µs', cost.threads)
  for (const [thread, rooms] of Object.entries(cost.cpuMicros)) {
    table(`${thread}: time by room, µs (profiled, waiting for a core included)`, rooms)
  }
  for (const [thread, rooms] of Object.entries(cost.allocatedBytes)) {
    table(`${thread}: bytes allocated for a message by room`, rooms)
  }
}

function table(title: string, rows: Readonly<Record<string, number>>): void {
  console.log(`\n${title}`)
  const total = Object.values(rows).reduce((a, b) => a + b, 0)
  for (const [name, value] of [...Object.entries(rows), ['together', total] as const]) {
    console.log(`  ${name.padEnd(28)} ${value.toFixed(1).padStart(10)}`)
  }
}
