// A whole system of real processes for an end-to-end test: two issuers and a switch, below one
// temporary folder, on free ports.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { panOf } from '../driver/mix.ts'
import type { LedgerEntry } from '../issuer/index.ts'
import {
  pause,
  type RunningIssuer,
  type RunningSwitch,
  type StartSwitchOptions,
  startIssuer,
  startSwitch,
} from '../processes/index.ts'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Buffer
  /** Of a JSON answer. */
  readonly body: Readonly<Record<string, unknown>>
}

export interface System {
  readonly folder: string
  /** Approves. */
  demoA: RunningIssuer
  /** Answers with the amount's last two digits. */
  readonly demoB: RunningIssuer
  /** The switch that runs now. */
  running: RunningSwitch
  /** Starts the switch again on the same folder and issuers; `change` is laid over its settings. */
  restart(change?: SystemOptions['config']): Promise<void>
  post(key: string, body: object, headers?: Readonly<Record<string, string>>): Promise<Answer>
  /** A payment that was decided without its issuer. */
  advise(key: string, body: object): Promise<Answer>
  /** Starts a killed issuer again, on its port and with its books. */
  revive(issuer: RunningIssuer): Promise<RunningIssuer>
  /** A step of a payment: `captures`, `reversals`, `refunds` or `increments`. */
  step(id: unknown, steps: string, key: string, body?: object): Promise<Answer>
  get(pathAndQuery: string): Promise<Answer>
  stop(): Promise<void>
}

export type SystemOptions = Omit<StartSwitchOptions, 'folder' | 'issuers'>

/**
 * A score may take half a second here: tests share few cores with each other, and what they ask is
 * what is decided, not how fast.
 */
const patient = { deadlines: { scoreMs: 500, velocityMs: 400 } }

export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-e2e-'))
  const ledgerFile = (name: string) => path.join(folder, `${name}.ndjson`)
  const [demoA, demoB] = await Promise.all([
    startIssuer({ name: 'demo-a', ledgerFile: ledgerFile('demo-a') }),
    startIssuer({
      name: 'demo-b',
      ledgerFile: ledgerFile('demo-b'),
      behaviour: { answers: 'cents' },
    }),
  ])
  let config = { ...patient, ...options.config }
  const start = () => startSwitch({ ...options, config, folder, issuers: [demoA, demoB] })
  const stopIssuers = () => Promise.all([demoA.stop(), demoB.stop()])
  const running = await start().catch(async (error) => {
    // Left running, they would keep the test process from ending.
    await stopIssuers()
    throw error
  })
  const system: System = {
    folder,
    demoA,
    demoB,
    running,
    restart: async (change) => {
      config = { ...config, ...change }
      system.running = await start()
    },
    post: async (key, body, headers) => {
      try {
        return await post(system.running.url, key, body, headers)
      } catch (error) {
        const said = system.running.logs.slice(-2_000)
        throw new Error(`no answer to ${key}; the switch said:\n${said}`, { cause: error })
      }
    },
    advise: (key, body) => post(system.running.url, key, body, {}, '/v1/advices'),
    revive: ({ name, port }) => startIssuer({ name, port, ledgerFile: ledgerFile(name) }),
    step: (id, steps, key, body = {}) =>
      post(system.running.url, key, body, {}, `/v1/authorizations/${id}/${steps}`),
    get: (pathAndQuery) => get(system.running.url, pathAndQuery),
    stop: async () => {
      await system.running.stop()
      await Promise.all([system.demoA.stop(), demoB.stop()])
      await rm(folder, { recursive: true, force: true })
    },
  }
  return system
}

const authorization = { authorization: 'Bearer demo-key' }

export async function post(
  url: string,
  key: string,
  body: object | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
  path = '/v1/authorizations',
): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: {
      ...authorization,
      'content-type': 'application/json',
      'idempotency-key': key,
      ...headers,
    },
    body: body instanceof Uint8Array ? body : JSON.stringify(body),
  })
  return readAnswer(response)
}

export async function get(url: string, pathAndQuery: string): Promise<Answer> {
  return readAnswer(await fetch(`${url}${pathAndQuery}`, { headers: authorization }))
}

async function readAnswer(response: Response): Promise<Answer> {
  const bytes = Buffer.from(await response.arrayBuffer())
  const isJson = response.headers.get('content-type')?.includes('json') === true
  const body = isJson ? JSON.parse(bytes.toString('utf8')) : {}
  return { status: response.status, headers: response.headers, bytes, body }
}

/**
 * A purchase that no rule minds: a card of its own, small money, at the counter. `number` names the
 * card; `amount` in minor units tells the purchase apart in a ledger.
 */
export function purchase(number: number, amount: number, bin = '476173') {
  return {
    type: 'authorization',
    amount,
    currency: 'EUR',
    channel: 'pos',
    card: { pan: panOf(bin, number), expiry: '2912' },
    merchant: { id: `M-${number % 50}`, name: 'Corner Shop', mcc: '5411', country: 'DE' },
    terminal: { id: `T-${number % 100}`, entryMode: 'contactless' },
    device: { id: `D-${number}`, ip: `198.18.${(number >> 8) & 255}.${number & 255}` },
    customer: { id: `C-${number}` },
    rrn: String(number).padStart(12, '0'),
    transmittedAt: '2026-11-22T10:00:00Z',
  }
}

/** Entries of one amount: tests give every purchase an amount of its own. */
export async function entriesOf(issuer: RunningIssuer, amount: number): Promise<LedgerEntry[]> {
  return (await issuer.ledger()).filter((entry) => entry.amount === amount)
}

/**
 * Looks until `check` passes; its last failure is the test's. An `assert.ok` in it needs a message:
 * without one Node.js 20 reads the source for it at every failure, which takes minutes where that
 * is one line.
 */
export async function eventually(check: () => Promise<void>, timeoutMs = 20_000): Promise<void> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (!(error instanceof assert.AssertionError) || performance.now() > deadline) throw error
    }
    await pause(100)
  }
}
