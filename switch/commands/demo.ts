// The demo of `npm start`: two issuer simulators as processes of their own, and curl lines to try.

import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { programArguments } from './run-tool.ts'

const ISSUERS = [
  { name: 'demo-a', behaviour: 'approve' },
  { name: 'demo-b', behaviour: 'cents' },
] as const

export const DEMO_ISSUERS: ReadonlySet<string> = new Set(ISSUERS.map(({ name }) => name))

/** For a configuration that names them, and a switch that was started without them. */
export const DEMO_HINT = '(--demo starts the demo issuers)'

const START_TIMEOUT_MS = 15_000

export interface Demo {
  /** Where each demo issuer listens. */
  readonly ports: ReadonlyMap<string, number>
  stop(): void
}

/** Starts both issuers side by side; they end with this process. */
export async function startDemo(dataDir: string): Promise<Demo> {
  const started = await Promise.all(
    ISSUERS.map(async ({ name, behaviour }) => {
      const ledger = path.join(dataDir, `ledger-${name}.ndjson`)
      const child = spawn(
        process.execPath,
        [
          ...programArguments('load-tests/issuer/main.ts'),
          ...['--name', name, '--port', '0', '--behaviour', behaviour, '--ledger', ledger],
        ],
        // Its standard input ends with this process, however this process ends.
        { stdio: ['pipe', 'pipe', 'inherit'] },
      )
      return { name, child, port: await readPort(child, name) }
    }),
  )
  return {
    ports: new Map(started.map(({ name, port }) => [name, port])),
    stop: () => {
      for (const { child } of started) child.kill('SIGTERM')
    },
  }
}

/** The first line of a simulator: `{"ready":true,"port":...}`. */
function readPort(child: ChildProcess, name: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`the demo issuer ${name} did not start: ${why}`))
    const timer = setTimeout(() => fail('no word in time'), START_TIMEOUT_MS)
    child.once('exit', (code) => fail(`exit code ${code}`))
    if (child.stdout === null) throw new Error('the simulator was spawned without a pipe')
    createInterface(child.stdout).once('line', (line) => {
      clearTimeout(timer)
      child.removeAllListeners('exit')
      const { port } = JSON.parse(line) as { port: number }
      resolve(port)
    })
  })
}

interface Example {
  readonly title: string
  readonly body: Record<string, unknown>
}

const MERCHANT = { id: 'M-1001', name: 'Corner Shop', mcc: '5411', country: 'DE' }

const EXAMPLES: readonly Example[] = [
  {
    title: 'approved by the issuer demo-a',
    body: {
      amount: 2599,
      currency: 'EUR',
      channel: 'pos',
      card: { pan: '4761739001010119', expiry: '2912' },
      merchant: MERCHANT,
      terminal: { id: 'T-0001', entryMode: 'contactless' },
    },
  },
  {
    title: 'declined by a rule: card, address and customer are from three countries',
    body: {
      amount: 95000,
      currency: 'EUR',
      channel: 'ecommerce',
      card: { pan: '4761739001010010', expiry: '2912' },
      merchant: { id: 'M-2002', name: 'Gift Cards Online', mcc: '5815', country: 'US' },
      device: { id: 'D-77', ipCountry: 'BR' },
      customer: { id: 'C-42', country: 'FR' },
    },
  },
  {
    title: 'declined by the issuer demo-b: the amount ends in 51, insufficient funds',
    body: {
      amount: 1051,
      currency: 'EUR',
      channel: 'pos',
      card: { pan: '5413330089020011', expiry: '2912' },
      merchant: MERCHANT,
      terminal: { id: 'T-0001', entryMode: 'chip' },
    },
  },
  {
    title: 'refused with 422: the card number fails its check digit',
    body: {
      amount: 2599,
      currency: 'EUR',
      channel: 'pos',
      card: { pan: '4761739001010110', expiry: '2912' },
      merchant: MERCHANT,
    },
  },
]

/** One curl line an example. The clock gives each run a key of its own, in any shell. */
export function curlLines(url: string): string {
  return EXAMPLES.map(
    ({ title, body }) =>
      `# ${title}\ncurl -s ${url}/v1/authorizations -H 'Authorization: Bearer demo-key' ` +
      `-H "Idempotency-Key: $(date +%s%N)" -H 'Content-Type: application/json' ` +
      `-d '${JSON.stringify(body)}'\n`,
  ).join('\n')
}
