// `switchyard start`: the switch, with two demo issuers where the shipped configuration is used.

import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import { DEFAULT_CONFIG_FILE, readConfigFile } from '../adapters/config-files.ts'
import { type Config, maskConfig } from '../config/index.ts'
import { type RunningSwitch, startSwitch } from '../main.ts'
import { curlLines, DEMO_HINT, DEMO_ISSUERS, type Demo, startDemo } from './demo.ts'

interface StartFlags {
  /** Undefined: as `wantsDemo` decides. */
  readonly demo?: boolean
  readonly printConfig?: boolean
}

/** An issuer link signs on within milliseconds; after this the banner says what is missing. */
const READY_WAIT_MS = 3000
const READY_POLL_MS = 25

export function registerStart(program: Command): void {
  program
    .command('start')
    .description('run the switch')
    .option('--demo', 'with the two demo issuers, also when SWITCHYARD_CONFIG is set')
    .option('--no-demo', 'without them, also with the shipped configuration')
    .option('--print-config', 'print the configuration in force, secrets masked, and end')
    .addHelpText(
      'after',
      '\nExample:\n  $ npx switchyard start\n  $ PORT=9000 npx switchyard start --no-demo',
    )
    .action(async (flags: StartFlags) => {
      // Everything is closed by then; a handle that someone forgot must not keep the process.
      process.exit(await start(flags))
    })
}

async function start(flags: StartFlags): Promise<number> {
  const startedMs = performance.now()
  if (process.stderr.isTTY && !flags.printConfig) console.error('starting ...')
  const read = readConfigFile(process.env)
  if (!read.ok)
    return refuse(
      2,
      read.problems.map((problem) => `${read.file}: ${problem}`),
    )
  if (flags.printConfig) {
    console.log(JSON.stringify(maskConfig(read.config), null, 2))
    return 0
  }
  const isProduction = process.env.NODE_ENV === 'production'
  if (flags.demo === true && isProduction) {
    return refuse(2, ['--demo is refused where NODE_ENV is production'])
  }
  const folderProblem = makeDataFolder(read.config.dataDir)
  if (folderProblem !== undefined) return refuse(1, [folderProblem])
  const wantsDemo = flags.demo ?? (read.file === DEFAULT_CONFIG_FILE && !isProduction)
  const demo = wantsDemo ? await startDemo(read.config.dataDir) : undefined
  const config = demo === undefined ? read.config : withDemoIssuers(read.config, demo)
  const result = await startSwitch(config, process.env)
  if (!result.ok) {
    demo?.stop()
    return refuse(
      1,
      result.problems.map((problem) => adviseOnPort(problem, config)),
    )
  }
  const { running } = result
  // The demo issuers outlive the drain: an authorization in flight still gets its answer.
  void running.ended.then(() => demo?.stop())
  closeAddresses(config.dataDir)
  const namesDemo = config.issuers.some(({ name }) => DEMO_ISSUERS.has(name))
  await announce(running, config, startedMs, demo === undefined && !isProduction && namesDemo)
  if (demo !== undefined) console.log(`\nTry:\n\n${curlLines(running.url)}`)
  return running.ended
}

function refuse(exitCode: number, problems: readonly string[]): number {
  for (const problem of problems) console.error(problem)
  return exitCode
}

/** Made before anybody else makes it: what lies in it is for its owner's eyes. */
function makeDataFolder(dataDir: string): string | undefined {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return `${dataDir} can't be made (${code}): set DATA_DIR to a writable folder`
  }
}

function closeAddresses(dataDir: string): void {
  const file = path.join(dataDir, 'addresses.json')
  if (existsSync(file)) chmodSync(file, 0o600)
}

/** What the problem of a taken port leaves out: which variable moves it. */
function adviseOnPort(problem: string, config: Config): string {
  const [iso, ...others] = config.iso?.listeners ?? []
  const places = [
    { ...config.http, advice: 'set PORT to a free one' },
    { ...config.admin, advice: 'set ADMIN_PORT to a free one' },
    ...(iso === undefined ? [] : [{ ...iso, advice: 'set ISO_PORT to a free one' }]),
    ...others.map((one) => ({ ...one, advice: `change the port of iso.listeners ${one.name}` })),
  ]
  const place = places.find(({ host, port }) => problem.startsWith(`${host}:${port} can't be`))
  return place === undefined ? problem : `${problem} Perhaps by another switch: ${place.advice}.`
}

/** Says where everything is, once traffic may come or `READY_WAIT_MS` have passed. */
async function announce(
  running: RunningSwitch,
  config: Config,
  startedMs: number,
  lacksDemo: boolean,
): Promise<void> {
  const seconds = () => ((performance.now() - startedMs) / 1000).toFixed(1)
  const listensAfter = seconds()
  const failing = (await failingChecks(running, config)).map((line) =>
    lacksDemo && line.startsWith('issuers: ') ? `${line} ${DEMO_HINT}` : line,
  )
  console.log(
    failing.length === 0
      ? `Switchyard is ready after ${seconds()} s.`
      : `Switchyard listens after ${listensAfter} s, but is not ready: ${failing.join('; ')}`,
  )
  for (const [name, value] of running.facts) console.log(`  ${name.padEnd(12)} ${value}`)
}

/** What `/readyz` still finds missing after the wait, a line a check; empty once it is ready. */
async function failingChecks(running: RunningSwitch, config: Config): Promise<readonly string[]> {
  const { host } = config.admin
  const { port } = /:(?<port>[0-9]+)$/.exec(running.adminUrl)?.groups ?? {}
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}/readyz?verbose`
  const deadlineMs = performance.now() + READY_WAIT_MS
  for (;;) {
    const failing = await askReadiness(url)
    if (failing.length === 0 || performance.now() >= deadlineMs) return failing
    await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS))
  }
}

async function askReadiness(url: string): Promise<readonly string[]> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(READY_WAIT_MS) })
    const lines = (await response.text()).split('\n')
    if (response.ok) return []
    return lines.filter((line) => line.startsWith('[-] ')).map((line) => line.slice(4))
  } catch (error) {
    return [`the operations port does not answer (${(error as Error).message})`]
  }
}

/** The configuration with the demo issuers where they listen, whatever it says of their links. */
function withDemoIssuers(config: Config, demo: Demo): Config {
  return {
    ...config,
    issuers: config.issuers.map((issuer) => {
      const port = demo.ports.get(issuer.name)
      return port === undefined ? issuer : { ...issuer, host: '127.0.0.1', port }
    }),
  }
}
