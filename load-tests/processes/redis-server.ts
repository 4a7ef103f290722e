// A real Redis for tests and load runs: on a free port of loopback, in a folder of its own, without
// persistence. Ended by its handle.

import { accessSync, constants } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { Child } from './child.ts'
import { freePort } from './free-port.ts'

export interface RunningRedis {
  /** `redis://127.0.0.1:port` */
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Stops it from running (SIGSTOP): it keeps its connections and says nothing. */
  pause(): void
  resume(): void
  /** SIGKILL; `startRedis({ port })` comes back in its place, empty. */
  kill(): Promise<void>
  /** Ends it and removes its folder. */
  stop(): Promise<void>
}

export interface StartRedisOptions {
  /** Its port; a free one by default. */
  readonly port?: number
  /** More options as on its command line: `['--maxmemory', '100mb']`. */
  readonly args?: readonly string[]
}

const READY_TIMEOUT_MS = 10_000
const PORT_TRIES_MAX = 5

/** Where redis-server is: `REDIS_SERVER`, or on the PATH; undefined where there is none. */
export function findRedisServer(): string | undefined {
  const named = process.env.REDIS_SERVER
  if (named !== undefined && named !== '') return named
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const program = join(folder, 'redis-server')
    try {
      accessSync(program, constants.X_OK)
      return program
    } catch {
      // Not in this folder.
    }
  }
  return undefined
}

/** False, or why tests that need Redis are skipped: `test(name, { skip: redisMissing() }, ...)`. */
export function redisMissing(): string | false {
  if (findRedisServer() !== undefined) return false
  return 'no redis-server on the PATH and none named by REDIS_SERVER'
}

/** True when it answers PING; undefined otherwise. */
function answersPing(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const end = (answer: true | undefined) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(1_000, () => end(undefined))
    socket.once('error', () => end(undefined))
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', (bytes) => end(bytes.toString().startsWith('+PONG') ? true : undefined))
  })
}

async function startOn(program: string, port: number, args: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-redis-'))
  const child = Child.start({
    title: `redis-server on ${port}`,
    program,
    args: [
      ...['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--daemonize', 'no'],
      ...['--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction'],
      ...args,
    ],
  })
  try {
    await child.until('it answered PING', READY_TIMEOUT_MS, () => answersPing(port))
  } catch (error) {
    await child.kill()
    await rm(folder, { recursive: true, force: true })
    throw error
  }
  return { child, folder }
}

/** Starts redis-server; throws where there is none (`redisMissing`) or it does not get ready. */
export async function startRedis(options: StartRedisOptions = {}): Promise<RunningRedis> {
  const program = findRedisServer()
  if (program === undefined) throw new Error(String(redisMissing()))
  for (let tries = 1; ; tries++) {
    const port = options.port ?? (await freePort())
    try {
      const { child, folder } = await startOn(program, port, options.args ?? [])
      return {
        url: `redis://127.0.0.1:${port}`,
        port,
        pid: child.pid,
        pause: () => void child.signal('SIGSTOP'),
        resume: () => void child.signal('SIGCONT'),
        async kill() {
          await child.kill()
          await rm(folder, { recursive: true, force: true })
        },
        async stop() {
          await child.stop()
          await rm(folder, { recursive: true, force: true })
        },
      }
    } catch (error) {
      // Somebody else may have taken the port meanwhile.
      if (options.port !== undefined || tries >= PORT_TRIES_MAX) throw error
    }
  }
}
