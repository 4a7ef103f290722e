// Starts the switch as a process of its own, as an operator would: `switchyard start --no-demo`
// with a configuration file, everything that it writes below one folder.

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { parse, stringify } from 'yaml'
import { Child, projectFolder } from './child.ts'
import { readyTimeoutMs } from './limits.ts'

export interface StartSwitchOptions {
  /** Holds configuration, store, keys and `switch.log`. The same folder again is a restart. */
  readonly folder: string
  /** Where the issuers of the default configuration listen. */
  readonly issuers: readonly { readonly name: string; readonly port: number }[]
  readonly redisUrl?: string | undefined
  /** Laid over the default configuration, object by object; arrays are replaced. */
  readonly config?: Readonly<Record<string, unknown>>
  /** How long the switch waits for an issuer. */
  readonly issuerTimeoutMs?: number
  /** Further settings of issuers, by their names. */
  readonly issuerSettings?: Readonly<Record<string, object>>
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly args?: readonly string[]
  /** Options of Node.js itself: `['--cpu-prof']`. */
  readonly nodeArgs?: readonly string[]
  /** False: returns once it listens, without waiting for readiness. */
  readonly waitReady?: boolean
}

export interface RunningSwitch {
  readonly url: string
  readonly adminUrl: string
  /** Of the first ISO 8583 listener. */
  readonly isoPort: number | undefined
  /** Of each, by its name. */
  readonly isoPorts: Readonly<Record<string, number>>
  readonly pid: number
  readonly dataDir: string
  /** Standard output and error of all starts in this folder. */
  readonly logs: string
  /** Until /readyz says 200. */
  waitReady(): Promise<void>
  /** SIGTERM, and the exit code once it is gone. */
  stop(): Promise<number>
  kill(signal?: NodeJS.Signals): Promise<number>
  signal(signal: NodeJS.Signals): void
  readonly exited: Promise<number>
}

const SWITCHYARD = 'switch/commands/switchyard.js'
/** The flags of `npm start` and of switch/ops/switchyard.service. */
const AS_THE_UNIT = ['--max-semi-space-size=32', '--v8-pool-size=1']

/** What the switch writes to `addresses.json` in its data folder once it listens. */
interface Addresses {
  readonly http: string
  readonly admin: string
  readonly iso?: string
  readonly isoListeners?: Readonly<Record<string, string>>
}

export async function startSwitch(options: StartSwitchOptions): Promise<RunningSwitch> {
  const dataDir = path.join(options.folder, 'data')
  const addressesFile = path.join(dataDir, 'addresses.json')
  await mkdir(dataDir, { recursive: true })
  await rm(addressesFile, { force: true })
  const configFile = path.join(options.folder, 'switchyard.yaml')
  await writeFile(configFile, await configText(options))
  const child = Child.start({
    title: 'the switch',
    logFile: path.join(options.folder, 'switch.log'),
    args: [
      ...[...AS_THE_UNIT, ...(options.nodeArgs ?? [])],
      ...[SWITCHYARD, 'start', '--no-demo', ...(options.args ?? [])],
    ],
    env: {
      SWITCHYARD_CONFIG: configFile,
      PORT: '0',
      ADMIN_PORT: '0',
      ISO_PORT: '0',
      DATA_DIR: dataDir,
      KEYS_FILE: path.join(options.folder, 'keys', 'keys.json'),
      REDIS_URL: options.redisUrl,
      ...options.env,
    },
  })
  const addresses = await child.until('it listened', readyTimeoutMs, () => readJson(addressesFile))
  const { http: url, admin: adminUrl, iso, isoListeners = {} } = addresses as Addresses
  const portOf = (address: string) => Number(new URL(address).port)
  const waitReady = async () => {
    await child.until('it was ready', readyTimeoutMs, () => isReady(adminUrl))
  }
  if (options.waitReady !== false) await waitReady()
  return {
    url,
    adminUrl,
    isoPort: iso === undefined ? undefined : portOf(iso),
    isoPorts: Object.fromEntries(
      Object.entries(isoListeners).map(([name, address]) => [name, portOf(address)]),
    ),
    pid: child.pid,
    dataDir,
    get logs() {
      return child.logs
    },
    waitReady,
    stop: () => child.stop(),
    kill: (signal) => child.kill(signal),
    signal: (signal) => void child.signal(signal),
    exited: child.exited,
  }
}

async function configText(options: StartSwitchOptions): Promise<string> {
  const file = path.join(projectFolder, 'switch', 'config', 'default.yaml')
  const base = parse(await readFile(file, 'utf8')) as Record<string, unknown>
  const ports = new Map(options.issuers.map(({ name, port }) => [name, port]))
  const issuers = (base.issuers as Record<string, unknown>[]).map((issuer) => ({
    ...issuer,
    port: ports.get(String(issuer.name)) ?? issuer.port,
    timeoutMs: options.issuerTimeoutMs ?? issuer.timeoutMs,
    ...options.issuerSettings?.[String(issuer.name)],
  }))
  const config = overlay({ ...base, issuers }, options.config ?? {})
  // Two places may share an object; the switch takes no aliases.
  return stringify(config, { aliasDuplicateObjects: false })
}

function overlay(base: unknown, change: unknown): unknown {
  if (!isRecord(base) || !isRecord(change)) return change
  const result: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(change)) result[key] = overlay(base[key], value)
  return result
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

async function readJson(file: string): Promise<unknown | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch {
    // Not there yet, or half written.
    return undefined
  }
}

async function isReady(adminUrl: string): Promise<true | undefined> {
  try {
    const response = await fetch(`${adminUrl}/readyz`)
    await response.arrayBuffer()
    return response.ok ? true : undefined
  } catch {
    return undefined
  }
}
