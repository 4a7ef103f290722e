// `switchyard doctor`: is this machine, and this configuration, fit to run the switch?

import {
  closeSync,
  existsSync,
  fdatasyncSync,
  mkdirSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import path from 'node:path'
import type { Command } from 'commander'
import { loadRules } from '#rules'
import { DEFAULT_CONFIG_FILE, readConfigFile } from '../adapters/config-files.ts'
import { readDialect } from '../adapters/dialect-files.ts'
import { holdsStore, isInside, parseKeyFileAt } from '../adapters/key-files.ts'
import type { Config, IssuerConfig } from '../config/index.ts'
import type { ProgramRunner } from './compile.ts'
import { DEMO_HINT, DEMO_ISSUERS } from './demo.ts'
import { findRunningSwitch, type RunningSwitch } from './operations-port.ts'
import { PROJECT_ROOT } from './run-tool.ts'

interface Finding {
  readonly check: string
  readonly verdict: 'ok' | 'warning' | 'problem'
  readonly detail: string
  /** What to do; empty where all is well. */
  readonly advice: string
}

const FLUSHES = 50
/** Above it one flush alone eats the score's deadline. */
const FLUSH_SLOW_MS = 30
/** A TCP connection to an issuer takes a round trip. */
const ISSUER_ANSWER_MS = 2000

export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('check this machine and configuration, and say what to do')
    .option('--json', 'a line a finding: {check, verdict, detail, advice}')
    .addHelpText(
      'after',
      '\nExample:\n  $ npx switchyard doctor\n  $ REDIS_URL=redis://127.0.0.1:6379 npx switchyard doctor',
    )
    .action(async (options: { json?: boolean }) => {
      const findings = await examine()
      const width = Math.max(...findings.map(({ check }) => check.length))
      for (const finding of findings) {
        console.log(options.json ? JSON.stringify(finding) : textOf(finding, width))
      }
      process.exitCode = findings.some(({ verdict }) => verdict === 'problem') ? 1 : 0
    })
}

/** `width`: of the longest check, an issuer's or a listener's name among them. */
function textOf({ check, verdict, detail, advice }: Finding, width: number): string {
  const mark = { ok: 'ok     ', warning: 'warning', problem: 'PROBLEM' }[verdict]
  const head = `${mark}  ${check.padEnd(width)} `
  return `${head}${detail}${advice === '' ? '' : `\n${' '.repeat(head.length)}-> ${advice}`}`
}

async function examine(): Promise<Finding[]> {
  const read = readConfigFile(process.env)
  if (!read.ok) {
    const findings = read.problems.map((problem) =>
      bad(
        'configuration',
        `${read.file}: ${problem}`,
        read.source === 'file' ? 'mend the file, or SWITCHYARD_CONFIG' : 'mend the variable',
      ),
    )
    return [examineNode(), await examineCopy(), ...findings]
  }
  const { config } = read
  const running = await findRunningSwitch(config.dataDir)
  const port = (check: string, at: At) => examinePort(check, at, running)
  return [
    examineNode(),
    await examineCopy(),
    fine('configuration', read.file),
    ...(running === undefined ? [] : [await examineRunning(running)]),
    await port('PORT', config.http),
    await port('ADMIN_PORT', config.admin),
    ...(await Promise.all(
      (config.iso?.listeners ?? []).map((one) => port(`ISO 8583 listener ${one.name}`, one)),
    )),
    examineDisk(config),
    examineKeys(config),
    await examineRules(config),
    ...examineDialects(config),
    ...(await Promise.all(config.issuers.map((issuer) => examineIssuer(issuer, read.file)))),
    await examineModel(config),
    await examineRedis(config),
    await examineDatabase(config),
  ]
}

const fine = (check: string, detail: string): Finding => ({
  check,
  verdict: 'ok',
  detail,
  advice: '',
})
const bad = (check: string, detail: string, advice: string): Finding => ({
  check,
  verdict: 'problem',
  detail,
  advice,
})
const odd = (check: string, detail: string, advice: string): Finding => ({
  check,
  verdict: 'warning',
  detail,
  advice,
})

function examineNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const isNewEnough = major > 20 || (major === 20 && minor >= 19)
  const detail = `Node.js ${process.versions.node}`
  if (!isNewEnough) return bad('Node.js', detail, 'install 20.19 or newer')
  if (major === 20) {
    return odd(
      'Node.js',
      `${detail}, past its end of life`,
      'use 22 or 24 where glibc is 2.38 or newer',
    )
  }
  return fine('Node.js', detail)
}

/** The compiled copy of the source, as this user finds it: it is made by who first may write it. */
async function examineCopy(): Promise<Finding> {
  const check = 'compiled copy'
  if (process.env.SWITCHYARD_AS_WRITTEN === '1') {
    return odd(
      check,
      'not used: SWITCHYARD_AS_WRITTEN is 1',
      'unset it: a start takes twice the CPU',
    )
  }
  const runner = new URL('./program.js', import.meta.url).href
  const { cacheFolder, findCompiled } = (await import(runner)) as ProgramRunner
  const cache = cacheFolder(PROJECT_ROOT)
  const file = findCompiled(PROJECT_ROOT, cache, 'switch/commands/main.ts')
  if (file !== undefined) return fine(check, `current, in ${path.dirname(file)}`)
  return odd(
    check,
    `none in ${cache} that is current and that this user may read: a start takes twice the CPU`,
    'run npx switchyard --version once as a user who may write there',
  )
}

type At = { readonly host: string; readonly port: number }
type Running = RunningSwitch | 'starting'

/** One that holds the data folder: a second one would be refused. */
async function examineRunning(running: Running): Promise<Finding> {
  if (running === 'starting') return fine('switch', 'one is just starting on this DATA_DIR')
  const { pid, http, admin } = running
  const detail = `process ${pid} runs on this DATA_DIR and listens at ${http}`
  const ready = await fetch(`${admin}/readyz`, {
    signal: AbortSignal.timeout(ISSUER_ANSWER_MS),
  }).catch(() => undefined)
  if (ready?.ok === true) return fine('switch', `${detail}, ready`)
  const why = ready === undefined ? 'does not answer' : 'is not ready'
  return odd('switch', `${detail}, and ${why}`, `curl '${admin}/readyz?verbose' says why`)
}

function isOwn(running: Running | undefined, port: number): boolean {
  if (running === undefined || running === 'starting') return false
  const { http, admin, isoListeners } = running
  const urls = [http, admin, ...Object.values(isoListeners ?? {})]
  return urls.some((url) => url.endsWith(`:${port}`))
}

function examinePort(
  variable: string,
  { host, port }: At,
  running: Running | undefined,
): Promise<Finding> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      const isTaken = error.code === 'EADDRINUSE'
      if (isTaken && isOwn(running, port)) {
        resolve(fine(variable, `${host}:${port} is the running switch's`))
        return
      }
      const advice = isTaken
        ? `another program has it, or a switch with another DATA_DIR: set ${variable} to a free port`
        : `choose another address or ${variable}`
      resolve(bad(variable, `${host}:${port} can't be listened on (${error.code})`, advice))
    })
    server.listen(port, host, () => {
      server.close(() => resolve(fine(variable, `${host}:${port} is free`)))
    })
  })
}

/** The time of one small append and fdatasync: what every group of records waits for. */
function examineDisk(config: Config): Finding {
  const file = path.join(config.dataDir, `doctor-${process.pid}.tmp`)
  try {
    mkdirSync(config.dataDir, { recursive: true, mode: 0o700 })
    const handle = openSync(file, 'w', 0o600)
    const times: number[] = []
    for (let i = 0; i < FLUSHES; i++) {
      const startedMs = performance.now()
      writeSync(handle, Buffer.alloc(512))
      fdatasyncSync(handle)
      times.push(performance.now() - startedMs)
    }
    closeSync(handle)
    rmSync(file)
    times.sort((a, b) => a - b)
    const median = times[FLUSHES / 2] as number
    const worst = times.at(-1) as number
    const detail = `${config.dataDir}: a flush takes ${median.toFixed(2)} ms, at worst ${worst.toFixed(2)} ms of ${FLUSHES}`
    return median < FLUSH_SLOW_MS
      ? fine('disk', detail)
      : odd('disk', detail, 'use a disk that flushes faster: every answer waits for two flushes')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return bad(
      'disk',
      `${config.dataDir} can't be written (${code})`,
      'set DATA_DIR to a writable folder',
    )
  }
}

/** As the start checks them (adapters/key-files.ts), but makes none. */
function examineKeys({ keysFile, dataDir }: Config): Finding {
  const file = path.resolve(keysFile)
  if (isInside(file, path.resolve(dataDir))) {
    return bad('keys', `${file} lies in DATA_DIR`, 'set KEYS_FILE to a place outside of it')
  }
  if (!existsSync(file)) {
    if (process.env.NODE_ENV === 'production') {
      return bad('keys', `${file} is missing`, 'npx switchyard keys create, or set KEYS_FILE')
    }
    return holdsStore(dataDir)
      ? bad('keys', `${file} is missing, and a store needs it`, 'restore it, or set KEYS_FILE')
      : fine('keys', `${file} will be made at the first start`)
  }
  const result = parseKeyFileAt(file)
  return result.ok
    ? fine('keys', file)
    : bad('keys', `${file}: ${result.problem}`, 'mend it, or restore the file from its backup')
}

async function examineRules(config: Config): Promise<Finding> {
  try {
    const result = await loadRules(config.rulesDir)
    if (result.ok)
      return fine('rules', `${result.ruleSet.rules.length} rules, set ${result.ruleSet.hash}`)
    const [first] = result.problems
    const place =
      first === undefined ? '' : `${first.file}:${first.line}:${first.column} ${first.message}`
    return bad('rules', `${config.rulesDir}: ${place}`, 'npx switchyard rules lint shows all of it')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return bad('rules', `${config.rulesDir} can't be read (${code})`, 'set RULES_DIR')
  }
}

function examineDialects(config: Config): Finding[] {
  const listeners = config.iso?.listeners ?? []
  const byAcquirers = listeners.flatMap((one) => [
    one.dialect,
    ...one.peers.flatMap((p) => p.dialect ?? []),
  ])
  const byIssuers = config.issuers.flatMap((issuer) => issuer.dialect ?? [])
  return [...new Set([...byIssuers, ...byAcquirers])].map((name) => {
    const result = readDialect(name)
    if (!result.ok) {
      const [first] = result.problems
      return bad('dialect', `${name}: ${first?.path} ${first?.reason}`, 'mend the dialect file')
    }
    return fine('dialect', `${name}, ISO 8583:${result.dialect.version}`)
  })
}

/** Only whether somebody answers there: signing on is the switch's. */
function examineIssuer({ name, host, port }: IssuerConfig, file: string): Promise<Finding> {
  const check = `issuer ${name}`
  if (file === DEFAULT_CONFIG_FILE) {
    return Promise.resolve(fine(check, 'a demo issuer, started with the switch'))
  }
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: ISSUER_ANSWER_MS })
    const end = (finding: Finding) => {
      socket.destroy()
      resolve(finding)
    }
    const hint = DEMO_ISSUERS.has(name) ? ` ${DEMO_HINT}` : ''
    const advice = `start it, or mend its address${hint}`
    const silent = (why: string) =>
      end(odd(check, `${host}:${port} does not answer (${why})`, advice))
    socket.once('connect', () => end(fine(check, `${host}:${port} answers`)))
    socket.once('timeout', () => silent(`within ${ISSUER_ANSWER_MS} ms`))
    socket.once('error', ({ code }: NodeJS.ErrnoException) => silent(code ?? 'an error'))
  })
}

async function examineModel(config: Config): Promise<Finding> {
  const folder = path.join(config.modelDir, config.scoring.model)
  const { checkModel } = await import('#scoring')
  const result = await checkModel(folder)
  return result.ok
    ? fine('model', `${result.name} ${result.version}, parity holds`)
    : bad(
        'model',
        `${folder}: ${result.problem}`,
        'npx switchyard model check shows it; or set MODEL_DIR',
      )
}

/** Enough to tell a wrong address from a wrong password. */
async function examineRedis(config: Config): Promise<Finding> {
  const { redisUrl: url } = config
  if (url === undefined) {
    return fine('Redis', 'not configured: velocity is embedded, for one process')
  }
  try {
    const { loadRedisProbe } = await import('#scoring')
    const { probeRedis } = await loadRedisProbe()
    const facts = await probeRedis({ url, commandTimeoutMs: 2000, connectTimeoutMs: 2000 })
    const lossy = facts.maxmemoryPolicies.filter((policy) => policy !== 'noeviction')
    return lossy.length === 0
      ? fine('Redis', `version ${facts.version}`)
      : odd(
          'Redis',
          `version ${facts.version}, maxmemory-policy ${lossy.join(', ')}`,
          'set noeviction: else velocity is silently forgotten',
        )
  } catch (error) {
    const why = (error as Error).message
    return bad('Redis', why, 'check REDIS_URL; without Redis decisions say degraded: velocity')
  }
}

/** As the start checks it, but takes nothing: reachable, durable, migrated. */
async function examineDatabase({ databaseUrl }: Config): Promise<Finding> {
  const check = 'PostgreSQL'
  if (databaseUrl === undefined) {
    return fine(check, 'not configured: the store is embedded, for one process')
  }
  const { openPostgresDatabase } = await import('../adapters/postgres-database.ts')
  const { findUnfitness } = await import('../store/index.ts')
  const database = openPostgresDatabase(databaseUrl, 'switchyard doctor')
  try {
    const session = await database.connect(2000)
    try {
      const problem = await findUnfitness(session)
      if (problem !== undefined) return bad(check, database.address, problem.message)
    } finally {
      session.destroy()
    }
    return isPlain(databaseUrl)
      ? odd(check, `${database.address}, without TLS`, 'set sslmode=verify-full in DATABASE_URL')
      : fine(check, database.address)
  } catch (error) {
    const advice = 'see that it runs, or mend DATABASE_URL'
    return bad(check, `${database.address}: ${(error as Error).message}`, advice)
  }
}

/** In clear, and beyond this machine. */
function isPlain(url: string): boolean {
  const { hostname, searchParams } = new URL(url)
  const isLocal = /^(|localhost|127\..*|\[::1\])$/.test(hostname) || searchParams.has('host')
  const mode = searchParams.get('sslmode')
  return !isLocal && (mode === null || mode === 'disable' || mode === 'no-verify')
}
