// What a load run may be told on the command line.

import { parseArgs } from 'node:util'
import { PROTOCOLS, type Protocol } from './door.ts'
import { connectionsMax, requestsMax } from './limits.ts'

export interface LoadOptions {
  readonly ratePerSecond: number
  readonly durationSeconds: number
  readonly warmupSeconds: number
  readonly protocol: Protocol
  readonly connections: number
  readonly arrivals: 'fixed' | 'poisson'
  readonly seed: number
  readonly cards: number
  readonly secondIssuerPercent: number
  readonly apiKey: string
  /** Undefined: start what is needed. */
  readonly target: URL | undefined
  readonly ownsTarget: boolean
  /** Control ports of issuer simulators, where a target was named. */
  readonly issuerControls: readonly string[]
  /** A URL, `auto` (start one where redis-server is installed) or `none`. */
  readonly redis: string
  /** How long reversals may take to reach the issuers after the last answer. */
  readonly settleSeconds: number
  /** Keep everything that the run wrote in this folder; it must be empty or absent. */
  readonly folder: string | undefined
  readonly json: boolean
}

export type OptionsResult =
  | { readonly kind: 'run'; readonly options: LoadOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly message: string }

export const usage = `Usage: switchyard load-test [options]

Offers authorizations at a fixed rate, whatever the answers do, and balances the books from the
issuers' own ledgers. Without --target it starts issuers, redis-server (where installed) and the
switch on free ports and ends them. Latency counts from the intended send time.

  --rate N                 requests a second (500)
  --duration S             seconds measured (10)
  --warmup S               seconds before that, offered but not measured (5)
  --protocol P             json, msgpack (HTTP), websocket or iso8583 (json)
  --connections N          over HTTP, each with one request at a time (rate / 10, at least 32);
                           WebSocket and ISO 8583 carry 512 on each (4)
  --arrivals fixed|poisson evenly spaced, or independent (fixed)
  --seed N                 of the requests and of Poisson arrivals (1)
  --cards N                different cards (one for two requests, at least 10000)
  --second-issuer-percent N  share of cards in BIN 541333 (10)
  --redis URL|auto|none    velocity store of the switch that is started (auto)
  --keep FOLDER            keep logs, store and ledgers of what was started there
  --settle S               how long reversals may take to arrive before the books are judged (30)
  --target URL             an acquirer address that runs already: http://HOST:PORT, or
                           tcp://HOST:PORT with --protocol iso8583
  --api-key KEY            (demo-key)
  --issuer-control URL     control port of an issuer simulator behind the target; repeatable.
                           Without it the books can't be balanced, and the report says so
  --i-own-this-target      allow a target that is not on this machine
  --json                   one JSON object on standard output
  --help

Exit code 0; 1 when the run is void (books that don't balance, nothing answered); 2 for wrong use.

Example:
  switchyard load-test --rate 1000 --duration 20 --json
`

const flags = {
  rate: { type: 'string', default: '500' },
  duration: { type: 'string', default: '10' },
  warmup: { type: 'string', default: '5' },
  protocol: { type: 'string', default: 'json' },
  connections: { type: 'string' },
  arrivals: { type: 'string', default: 'fixed' },
  seed: { type: 'string', default: '1' },
  cards: { type: 'string' },
  'second-issuer-percent': { type: 'string', default: '10' },
  redis: { type: 'string', default: 'auto' },
  settle: { type: 'string', default: '30' },
  keep: { type: 'string' },
  target: { type: 'string' },
  'api-key': { type: 'string', default: 'demo-key' },
  'issuer-control': { type: 'string', multiple: true, default: [] as string[] },
  'i-own-this-target': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

/** Reads the arguments; a wrong one is named. */
export function readLoadOptions(args: readonly string[]): OptionsResult {
  const problems: string[] = []
  const number = (name: string, text: string, min: number, max: number, whole = true): number => {
    const value = Number(text)
    const fits = text.trim() !== '' && value >= min && value <= max
    if (!fits || (whole && !Number.isInteger(value))) {
      problems.push(`--${name} takes a ${whole ? 'whole ' : ''}number from ${min} to ${max}`)
    }
    return value
  }
  let values: ReturnType<typeof parseFlags>
  try {
    values = parseFlags(args)
  } catch (error) {
    return { kind: 'wrong', message: (error as Error).message }
  }
  if (values.help) return { kind: 'help' }
  const ratePerSecond = number('rate', values.rate, 0.1, 1_000_000, false)
  const durationSeconds = number('duration', values.duration, 0.1, 86_400, false)
  const warmupSeconds = number('warmup', values.warmup, 0, 3_600, false)
  const protocol = PROTOCOLS.find((known) => known === values.protocol)
  if (protocol === undefined) problems.push(`--protocol is one of ${PROTOCOLS.join(', ')}`)
  const options: LoadOptions = {
    protocol: protocol ?? 'json',
    ratePerSecond,
    durationSeconds,
    warmupSeconds,
    connections:
      values.connections === undefined
        ? connectionsFor(ratePerSecond, protocol ?? 'json')
        : number('connections', values.connections, 1, connectionsMax),
    arrivals: values.arrivals === 'poisson' ? 'poisson' : 'fixed',
    seed: number('seed', values.seed, 0, 2 ** 32 - 1),
    cards:
      values.cards === undefined
        ? cardsFor(ratePerSecond * (durationSeconds + warmupSeconds))
        : number('cards', values.cards, 1, cardsMax),
    secondIssuerPercent: number('second-issuer-percent', values['second-issuer-percent'], 0, 100),
    settleSeconds: number('settle', values.settle, 0, 3_600, false),
    apiKey: values['api-key'],
    target: values.target === undefined ? undefined : urlOf(values.target, protocol, problems),
    ownsTarget: values['i-own-this-target'],
    issuerControls: values['issuer-control'],
    redis: values.redis,
    folder: values.keep,
    json: values.json,
  }
  if (values.arrivals !== 'fixed' && values.arrivals !== 'poisson') {
    problems.push('--arrivals is fixed or poisson')
  }
  checkRelations(options, problems)
  const [message] = problems
  return message === undefined ? { kind: 'run', options } : { kind: 'wrong', message }
}

function parseFlags(args: readonly string[]) {
  return parseArgs({ args: [...args], options: flags }).values
}

function checkRelations(options: LoadOptions, problems: string[]): void {
  const seconds = options.warmupSeconds + options.durationSeconds
  if (options.ratePerSecond * seconds > requestsMax) {
    problems.push(`rate times duration is above ${requestsMax} requests`)
  }
  if (!/^[\x21-\x7e]+$/.test(options.apiKey)) problems.push('--api-key takes visible ASCII')
  if (!/^(auto|none|rediss?:\/\/.+)$/.test(options.redis)) {
    problems.push('--redis is auto, none or a redis:// URL')
  }
  if (options.target === undefined) {
    if (options.issuerControls.length > 0) problems.push('--issuer-control goes with --target')
    return
  }
  if (!isLoopback(options.target) && !options.ownsTarget) {
    problems.push(
      `${options.target.host} is not this machine: load on a system of others is an attack. ` +
        'Say --i-own-this-target where it is yours',
    )
  }
}

function urlOf(text: string, protocol: Protocol | undefined, problems: string[]): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const scheme = protocol === 'iso8583' ? 'tcp:' : 'http:'
  if (url?.protocol !== scheme) {
    problems.push(`--target takes ${scheme === 'tcp:' ? 'a tcp' : 'an http'}:// URL here`)
    return undefined
  }
  return url
}

/** Names and addresses of this machine that can't be another's. */
export function isLoopback(url: URL): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return host === 'localhost' || host === '::1' || /^127(\.[0-9]{1,3}){3}$/.test(host)
}

/** What `panOf` can tell apart with room to spare. */
const cardsMax = 10_000_000

/** A card is used twice in a run: used more often, rules would rightly find it odd. */
function cardsFor(requests: number): number {
  return Math.min(cardsMax, Math.max(10_000, Math.ceil(requests / 2)))
}

/** Enough that 100 ms of answers fit, within what a process may usually open. */
function connectionsFor(ratePerSecond: number, protocol: Protocol): number {
  if (protocol === 'websocket' || protocol === 'iso8583') return 4
  return Math.min(1_000, Math.max(32, Math.ceil(ratePerSecond / 10)))
}
