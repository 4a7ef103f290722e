// Starts an issuer simulator as a process of its own and talks to its control port.

import type { Behaviour, LedgerEntry, LedgerSummary } from '../issuer/index.ts'
import { Child } from './child.ts'
import { readyTimeoutMs } from './limits.ts'

export interface StartIssuerOptions {
  readonly name: string
  /** 0, the default: any free port. Name the old one to come back after a kill. */
  readonly port?: number
  /** NDJSON file; one that exists is read back. Without it the ledger is in memory only. */
  readonly ledgerFile?: string
  readonly behaviour?: Partial<Behaviour>
  readonly seed?: number
  /** Absent: iso8583-1987-ascii. */
  readonly dialect?: string
  readonly framing?: object
  /** `x9.19:` and the key in hex, or another algorithm. */
  readonly mac?: string
  /** JSON by HTTP instead of ISO 8583. `key`: keyid, colon, secret in base64. */
  readonly http?: { readonly key: string }
  /** PEM files: certificate, key, and the CA of clients. */
  readonly tls?: readonly string[]
}

/** GET /ledger/summary. */
export interface IssuerStatus extends LedgerSummary {
  readonly name: string
  readonly pid: number
  readonly messages: number
  readonly connections: number
  readonly unreadable: number
  /** CPU of the whole process over messages. */
  readonly cpuMicrosPerMessage: number
}

export interface RunningIssuer {
  readonly name: string
  readonly port: number
  readonly controlUrl: string
  readonly pid: number
  readonly logs: string
  /** Entries after that sequence number. */
  ledger(after?: number): Promise<LedgerEntry[]>
  status(): Promise<IssuerStatus>
  setBehaviour(change: Partial<Behaviour>): Promise<void>
  /** SIGSTOP and SIGCONT: a host that hangs with its connections open. */
  pause(): void
  resume(): void
  kill(signal?: NodeJS.Signals): Promise<number>
  stop(): Promise<number>
}

export async function startIssuer(options: StartIssuerOptions): Promise<RunningIssuer> {
  const child = Child.start({
    title: `issuer ${options.name}`,
    args: [
      'switch/commands/program.js',
      'load-tests/issuer/main.ts',
      '--name',
      options.name,
      '--port',
      String(options.port ?? 0),
      '--behaviour',
      JSON.stringify(options.behaviour ?? {}),
      '--seed',
      String(options.seed ?? 1),
      ...(options.ledgerFile === undefined ? [] : ['--ledger', options.ledgerFile]),
      ...lineArguments(options),
    ],
  })
  const ready = await child.until('it was ready', readyTimeoutMs, async () => readReady(child.logs))
  const controlUrl = `http://127.0.0.1:${ready.controlPort}`
  return {
    name: options.name,
    port: ready.port,
    controlUrl,
    pid: child.pid,
    get logs() {
      return child.logs
    },
    ledger: (after = 0) => readLedger(controlUrl, after),
    status: () => readStatus(controlUrl),
    setBehaviour: (change) => changeBehaviour(controlUrl, change),
    pause: () => void child.signal('SIGSTOP'),
    resume: () => void child.signal('SIGCONT'),
    kill: (signal) => child.kill(signal),
    stop: () => child.stop(),
  }
}

/** How it is reached. */
function lineArguments({ dialect, framing, mac, http, tls }: StartIssuerOptions): string[] {
  return [
    ...(dialect === undefined ? [] : ['--dialect', dialect]),
    ...(framing === undefined ? [] : ['--framing', JSON.stringify(framing)]),
    ...(mac === undefined ? [] : ['--mac', mac]),
    ...(http === undefined ? [] : ['--http', '--http-key', http.key]),
    ...(tls === undefined ? [] : ['--tls', tls.join(',')]),
  ]
}

function readReady(logs: string): { port: number; controlPort: number } | undefined {
  const line = logs.split('\n').find((it) => it.startsWith('{"ready":true'))
  return line === undefined ? undefined : JSON.parse(line)
}

/** The ledger behind a control port: one entry a line, oldest first. */
export async function readLedger(controlUrl: string, after: number): Promise<LedgerEntry[]> {
  const response = await fetch(`${controlUrl}/ledger?after=${after}`)
  if (!response.ok || response.body === null) {
    throw new Error(`${controlUrl}/ledger: ${response.status}`)
  }
  // Line by line: the ledger of a long run is longer than a string may be.
  const entries: LedgerEntry[] = []
  let rest = ''
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) entries.push(JSON.parse(line) as LedgerEntry)
  }
  return entries
}

export async function readStatus(controlUrl: string): Promise<IssuerStatus> {
  const response = await fetch(`${controlUrl}/ledger/summary`)
  if (!response.ok) throw new Error(`${controlUrl}/ledger/summary: ${response.status}`)
  return (await response.json()) as IssuerStatus
}

async function changeBehaviour(controlUrl: string, change: Partial<Behaviour>): Promise<void> {
  const response = await fetch(`${controlUrl}/behaviour`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(change),
  })
  if (!response.ok) throw new Error(await response.text())
}
