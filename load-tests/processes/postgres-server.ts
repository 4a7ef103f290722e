// A real PostgreSQL for tests and load runs: a cluster of its own in a temporary folder, on a free
// port of loopback. Ended by its handle. As root it runs as another user, because it refuses root.

import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs'
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { Child, pause as sleep } from './child.ts'
import { freePort } from './free-port.ts'

export interface RunningPostgres {
  /** `postgres://switchyard:...@127.0.0.1:port/switchyard` */
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Runs SQL as its superuser, in the database `name` or the first one; the rows as text. */
  sql(text: string, database?: string): string
  /** Another empty database; its URL. */
  createDatabase(name: string, template?: string): string
  /** SIGSTOP to all of its processes, so that it hangs with its connections open; and SIGCONT. */
  pause(): void
  resume(): void
  /** SIGKILL to its main process; the others end by themselves. */
  kill(): Promise<void>
  /** Starts it again on the same folder and port. */
  restart(): Promise<void>
  /** Ends it and removes its folder. */
  stop(): Promise<void>
}

export interface StartPostgresOptions {
  /** Settings as on its command line: `{ synchronous_commit: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>
  /** PEM texts of its certificate and key: it then takes connections in TLS, too. */
  readonly tls?: { readonly cert: string; readonly key: string }
}

interface User {
  readonly uid: number
  readonly gid: number
}

const READY_TIMEOUT_MS = 30_000
/** Debian's packages keep the server's programs here, beside the PATH. */
const PACKAGES_FOLDER = '/usr/lib/postgresql'
/** Nobody checks it; nothing may print it. */
const PASSWORD = 'switchyard-test'

/** The folder of initdb and postgres: `POSTGRES_BIN`, the newest package's, or on the PATH. */
export function findPostgres(): string | undefined {
  const candidates = [
    process.env.POSTGRES_BIN ?? '',
    ...packageFolders(),
    ...(process.env.PATH ?? '').split(delimiter),
  ]
  return candidates.find((folder) => folder !== '' && isProgram(join(folder, 'initdb')))
}

function packageFolders(): string[] {
  try {
    const versions = readdirSync(PACKAGES_FOLDER).sort((a, b) => Number(b) - Number(a))
    return versions.map((version) => join(PACKAGES_FOLDER, version, 'bin'))
  } catch {
    return []
  }
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** False, or why tests that need it are skipped: `test(name, { skip: postgresMissing() }, ...)`. */
export function postgresMissing(): string | false {
  if (findPostgres() !== undefined) return false
  return 'no PostgreSQL server on the PATH and none named by POSTGRES_BIN'
}

/** Starts a server; throws where there is none (`postgresMissing`) or it does not get ready. */
export async function startPostgres(options: StartPostgresOptions = {}): Promise<RunningPostgres> {
  const programs = findPostgres()
  if (programs === undefined) throw new Error(String(postgresMissing()))
  const user = process.getuid?.() === 0 ? userOf('postgres') : undefined
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-postgres-'))
  const data = join(folder, 'data')
  if (user !== undefined) await chown(folder, user.uid, user.gid)
  await chmod(folder, 0o700)
  run(join(programs, 'initdb'), user, [
    // SCRAM would cost more than most tests; who reaches loopback may read what tests write.
    ...['-D', data, '-U', 'switchyard', '-A', 'trust'],
    // The flush of the new folder is not what a test waits for.
    ...['-E', 'UTF8', '--locale', 'C', '--no-sync'],
  ])
  if (options.tls !== undefined) await giveCertificate(data, options.tls, user)
  const port = await freePort()
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: folder,
    max_connections: '60',
    shared_buffers: '32MB',
    log_min_messages: 'warning',
    ...(options.tls === undefined ? {} : { ssl: 'on' }),
    ...options.settings,
  }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const url = (database: string) =>
    `postgres://switchyard:${PASSWORD}@127.0.0.1:${port}/${database}`
  const sql = (text: string, database = 'switchyard') =>
    run('psql', undefined, ['-qAtX', '-v', 'ON_ERROR_STOP=1', '-c', text, url(database)])
  const start = async () => {
    const child = Child.start({
      title: `postgres on ${port}`,
      program: join(programs, 'postgres'),
      args: ['-D', data, ...args],
      ...(user === undefined ? {} : { user }),
    })
    await child.until('it answered', READY_TIMEOUT_MS, () => answers(url('postgres')))
    return child
  }
  let child = await start()
  const createDatabase = (name: string, template = 'template0') => {
    sql(`CREATE DATABASE ${name} TEMPLATE ${template}`, 'postgres')
    return url(name)
  }
  createDatabase('switchyard')
  // Its main process first, which then starts no others, and last to go on.
  const pause = () => {
    child.signal('SIGSTOP')
    for (const pid of childrenOf(child.pid)) process.kill(pid, 'SIGSTOP')
  }
  const resume = () => {
    for (const pid of childrenOf(child.pid)) process.kill(pid, 'SIGCONT')
    child.signal('SIGCONT')
  }
  return {
    url: url('switchyard'),
    port,
    get pid() {
      return child.pid
    },
    sql,
    createDatabase,
    pause,
    resume,
    async kill() {
      await child.kill()
      // Its other processes notice that it is gone, and end by themselves.
      await sleep(50)
    },
    async restart() {
      for (let tries = 0; ; tries++) {
        try {
          child = await start()
          return
        } catch (error) {
          // The old ones' shared memory is freed when the last of them has ended.
          if (tries === 10) throw error
          await sleep(200)
        }
      }
    },
    async stop() {
      child.signal('SIGINT')
      await child.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Of one that is stopped: none comes or goes. */
function childrenOf(pid: number): readonly number[] {
  const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return list === '' ? [] : list.split(' ').map(Number)
}

/** By the names that it looks for in its folder. */
async function giveCertificate(
  data: string,
  { cert, key }: NonNullable<StartPostgresOptions['tls']>,
  user: User | undefined,
): Promise<void> {
  for (const [name, text] of [
    ['server.crt', cert],
    ['server.key', key],
  ] as const) {
    const file = join(data, name)
    await writeFile(file, text, { mode: 0o600 })
    if (user !== undefined) await chown(file, user.uid, user.gid)
  }
}

function userOf(name: string): User {
  const [uid, gid] = ['-u', '-g'].map((flag) => Number(run('id', undefined, [flag, name])))
  return { uid: uid as number, gid: gid as number }
}

/** Runs a program to its end; its output. Throws with what it said where it fails. */
function run(program: string, user: User | undefined, args: readonly string[]): string {
  const result = spawnSync(program, args, { encoding: 'utf8', cwd: '/', ...user })
  if (result.status === 0) return result.stdout.trim()
  throw new Error(`${program}: ${result.error?.message ?? result.stderr}`)
}

/** Asks in a process of its own and waits for it without holding up this one. */
function answers(url: string): Promise<true | undefined> {
  return new Promise((resolve) => {
    const asking = spawn('psql', ['-qAtX', '-c', 'SELECT 1', url], { stdio: 'ignore' })
    asking.once('error', () => resolve(undefined))
    asking.once('exit', (code) => resolve(code === 0 ? true : undefined))
  })
}
