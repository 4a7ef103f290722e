// What commands ask of a switch that runs: where it listens, and its operations port.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { readConfigFile } from '../adapters/config-files.ts'
import { findHolder } from '../adapters/folder-lock.ts'

/** The configured data folder, or undefined after saying what is wrong with the configuration. */
export function configuredDataDir(): string | undefined {
  const read = readConfigFile(process.env)
  if (read.ok) return read.config.dataDir
  for (const problem of read.problems) console.error(`${read.file}: ${problem}`)
  return undefined
}

/** A switch on a data folder, as it wrote down its addresses. */
export interface RunningSwitch {
  readonly pid: number
  readonly http: string
  readonly admin: string
  readonly isoListeners: Readonly<Record<string, string>>
}

/** The operations port of the switch that holds a data folder; undefined where none runs. */
export async function runningAdminUrl(dataDir: string): Promise<string | undefined> {
  const running = await findRunningSwitch(dataDir)
  if (running !== 'starting') return running?.admin
  console.error('the switch is just starting: wait until it listens, then try again')
  return undefined
}

/** `starting`: it holds the folder and does not listen yet. Undefined: none runs. */
export async function findRunningSwitch(
  dataDir: string,
): Promise<RunningSwitch | 'starting' | undefined> {
  const holder = await findHolder(path.join(dataDir, 'store')).catch(() => undefined)
  if (holder === undefined) return runningBesideDatabase(dataDir)
  try {
    return readAddresses(dataDir)
  } catch {
    return 'starting'
  }
}

/**
 * With PostgreSQL no lock says who uses the folder: whoever wrote its addresses, if that process
 * lives and answers there.
 */
async function runningBesideDatabase(dataDir: string): Promise<RunningSwitch | undefined> {
  try {
    const running = readAddresses(dataDir)
    process.kill(running.pid, 0)
    return (await fetch(`${running.admin}/livez`)).ok ? running : undefined
  } catch {
    return undefined
  }
}

/** Throws where there are none to read. */
function readAddresses(dataDir: string): RunningSwitch {
  const text = readFileSync(path.join(dataDir, 'addresses.json'), 'utf8')
  return JSON.parse(text) as RunningSwitch
}

export interface PortAnswer {
  readonly status: number
  readonly body: unknown
}

/**
 * Posts JSON with the ADMIN_TOKEN. Undefined after saying why there is no answer, or why it was no
 * JSON: no token, a wrong one, a switch that does not answer.
 */
export async function order(
  adminUrl: string,
  pathName: string,
  body: object,
): Promise<PortAnswer | undefined> {
  const token = process.env.ADMIN_TOKEN
  if (token === undefined || token === '') {
    console.error(
      'the switch is running: set ADMIN_TOKEN to the token that it was started with; ' +
        'if it was started without one it takes no orders: start it again with one',
    )
    return undefined
  }
  try {
    const response = await fetch(`${adminUrl}${pathName}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const text = await response.text()
    if (response.headers.get('content-type') === 'application/json') {
      return { status: response.status, body: JSON.parse(text) }
    }
    console.error(`the switch refused: ${response.status} ${text.trim()}`)
  } catch (error) {
    const { cause, message } = error as Error
    console.error(
      `${adminUrl} does not answer: ${(cause as Error | undefined)?.message ?? message}`,
    )
  }
  return undefined
}
