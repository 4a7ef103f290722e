// What a load run may be told on the command line.

import { parseArgs } from 'node:util'
import { isPeerName, PEERS } from '../peers/index.ts'
import { PROTOCOLS, type Protocol } from './door.ts'
import { connectionsMax, requestsMax } from './limits.ts'
import { type Replay, readReplay } from './replay.ts'
import { type Phase, readScenario, type Scenario, scenarioNames } from './scenario.ts'
import { readSweep, type Sweep } from './sweep.ts'
import { usage } from './usage.ts'

export interface LoadOptions {
  /** The file's name, or `none` where the flags alone say what is offered. */
  readonly scenarioName: string
  /** With what the flags change of it. */
  readonly scenario: Scenario
  readonly protocol: Protocol
  readonly arrivals: 'fixed' | 'poisson'
  readonly connections: number
  readonly cards: number
  readonly seed: number
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
  /** Where report.html and its kin are written; absent: nowhere. */
  readonly reportFolder: string | undefined
  readonly json: boolean
  /** A peer's name or a URL that the switch is held against; undefined: nobody. */
  readonly against: string | undefined
  /** Sizes to measure at; undefined: one run. */
  readonly sweep: Sweep | undefined
  /** Past traffic in place of the mix. */
  readonly replay: Replay | undefined
  /** Profile the switch, and tell where the microseconds of a message go. */
  readonly where: boolean
  /** How often `against` and `sweep` measure each side. */
  readonly turns: number
}

export type OptionsResult =
  | { readonly kind: 'run'; readonly options: LoadOptions }
  | { readonly kind: 'help'; readonly text: string }
  | {
      readonly kind: 'compare'
      readonly one: string
      readonly other: string
      readonly json: boolean
    }
  | { readonly kind: 'wrong'; readonly message: string }

const flags = {
  scenario: { type: 'string' },
  rate: { type: 'string' },
  duration: { type: 'string' },
  warmup: { type: 'string' },
  protocol: { type: 'string' },
  connections: { type: 'string' },
  arrivals: { type: 'string' },
  seed: { type: 'string', default: '1' },
  cards: { type: 'string' },
  'attack-percent': { type: 'string' },
  'second-issuer-percent': { type: 'string' },
  'warm-events': { type: 'string' },
  rules: { type: 'string' },
  config: { type: 'string' },
  redis: { type: 'string' },
  settle: { type: 'string', default: '30' },
  keep: { type: 'string' },
  report: { type: 'string' },
  compare: { type: 'boolean', default: false },
  against: { type: 'string' },
  sweep: { type: 'string' },
  turns: { type: 'string', default: '3' },
  where: { type: 'boolean', default: false },
  replay: { type: 'string' },
  speed: { type: 'string', default: '1' },
  target: { type: 'string' },
  'api-key': { type: 'string', default: 'demo-key' },
  'issuer-control': { type: 'string', multiple: true, default: [] as string[] },
  'i-own-this-target': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

type Flags = ReturnType<typeof parseFlags>['values']

/** What is offered where no scenario is named. */
const plainScenario: Scenario = {
  title: 'Load as the command line says',
  secondIssuerPercent: 10,
  phases: [
    { name: 'warm-up', seconds: 5, ratePerSecond: 500, measured: false },
    { name: 'measured', seconds: 10, ratePerSecond: 500 },
  ],
}

/** Reads the arguments; a wrong one is named. */
export function readLoadOptions(args: readonly string[]): OptionsResult {
  let values: Flags
  let places: readonly string[]
  try {
    const parsed = parseFlags(args)
    values = parsed.values
    places = parsed.positionals
  } catch (error) {
    return { kind: 'wrong', message: (error as Error).message }
  }
  if (values.help) return { kind: 'help', text: usage(scenarioNames()) }
  if (values.compare) {
    const [one, other] = places
    if (one === undefined || other === undefined || places.length > 2) {
      return { kind: 'wrong', message: '--compare takes two reports: --compare BEFORE AFTER' }
    }
    return { kind: 'compare', one, other, json: values.json }
  }
  if (places.length > 0) return { kind: 'wrong', message: `what is ${places.join(' ')}?` }
  const read: ReturnType<typeof readScenario> =
    values.scenario === undefined
      ? { ok: true, scenario: plainScenario }
      : readScenario(values.scenario)
  if (!read.ok) return { kind: 'wrong', message: read.message }
  const problems: string[] = []
  const options = optionsFrom(values, read.scenario, problems)
  const [message] = problems
  return message === undefined ? { kind: 'run', options } : { kind: 'wrong', message }
}

function parseFlags(args: readonly string[]) {
  return parseArgs({ args: [...args], options: flags, allowPositionals: true })
}

type NumberOf = (name: keyof Flags & string, min: number, max: number, whole?: boolean) => number

function optionsFrom(values: Flags, file: Scenario, problems: string[]): LoadOptions {
  const number: NumberOf = (name, min, max, whole = true) => {
    const text = String(values[name])
    const value = Number(text)
    const fits = text.trim() !== '' && value >= min && value <= max
    if (!fits || (whole && !Number.isInteger(value))) {
      problems.push(`--${name} takes a ${whole ? 'whole ' : ''}number from ${min} to ${max}`)
    }
    return value
  }
  const protocol = wordOf('protocol', values.protocol, PROTOCOLS, problems) ?? file.protocol
  const arrivals = wordOf('arrivals', values.arrivals, ['fixed', 'poisson'] as const, problems)
  const replay = replayFrom(values, protocol ?? 'json', number, problems)
  const phases =
    replay === undefined
      ? phasesFrom(values, file.phases, number, problems)
      : [phaseOf(replay.timesMs)]
  const scenario: Scenario = {
    ...file,
    phases,
    ...(values['attack-percent'] === undefined
      ? {}
      : { attackPercent: number('attack-percent', 0, 100, false) }),
    ...(values['second-issuer-percent'] === undefined
      ? {}
      : { secondIssuerPercent: number('second-issuer-percent', 0, 100) }),
    ...(values['warm-events'] === undefined ? {} : { warmEvents: number('warm-events', 0, 48) }),
    ...(values.rules === undefined ? {} : { rules: values.rules }),
    ...configFrom(values.config, file, problems),
  }
  const options: LoadOptions = {
    scenarioName: values.scenario ?? 'none',
    scenario,
    protocol: protocol ?? 'json',
    arrivals: arrivals ?? file.arrivals ?? 'fixed',
    connections:
      values.connections === undefined
        ? (file.connections ?? connectionsFor(highestRate(phases), protocol ?? 'json'))
        : number('connections', 1, connectionsMax),
    seed: number('seed', 0, 2 ** 32 - 1),
    cards:
      values.cards === undefined
        ? (file.cards ?? cardsFor(requestsOf(phases)))
        : number('cards', 1, cardsMax),
    settleSeconds: number('settle', 0, 3_600, false),
    apiKey: values['api-key'],
    target:
      values.target === undefined ? undefined : urlOf(values.target, protocol ?? 'json', problems),
    ownsTarget: values['i-own-this-target'],
    issuerControls: values['issuer-control'],
    redis: values.redis ?? file.redis ?? 'auto',
    folder: values.keep,
    reportFolder: values.report,
    json: values.json,
    against: values.against,
    sweep: sweepFrom(values.sweep, problems),
    turns: number('turns', 1, 100),
    where: values.where,
    replay,
  }
  checkRelations(options, problems)
  return options
}

function wordOf<T extends string>(
  name: string,
  value: string | undefined,
  words: readonly T[],
  problems: string[],
): T | undefined {
  if (value === undefined) return undefined
  const word = words.find((known) => known === value)
  if (word === undefined) problems.push(`--${name} is one of ${words.join(', ')}`)
  return word
}

function replayFrom(
  values: Flags,
  protocol: Protocol,
  number: NumberOf,
  problems: string[],
): Replay | undefined {
  const { replay: file } = values
  if (file === undefined) return undefined
  const before = problems.length
  if (protocol === 'iso8583') problems.push('--replay goes by json, msgpack or websocket')
  const fixed = [values.rate, values.duration, values.warmup, values.scenario]
  if (fixed.some((value) => value !== undefined)) {
    problems.push('--replay says itself what is offered when: --speed is its rate')
  }
  const speed = number('speed', 0.001, 100_000, false)
  if (problems.length > before) return undefined
  const replay = readReplay(file, speed)
  if (typeof replay !== 'string') return replay
  problems.push(replay)
  return undefined
}

/** As long as the replay takes, and one phase. */
function phaseOf(timesMs: readonly number[]): Phase {
  const seconds = Math.max(0.1, ((timesMs.at(-1) ?? 0) + 1) / 1000)
  return { name: 'replay', seconds, ratePerSecond: timesMs.length / seconds }
}

function sweepFrom(text: string | undefined, problems: string[]): Sweep | undefined {
  if (text === undefined) return undefined
  const sweep = readSweep(text)
  if (typeof sweep !== 'string') return sweep
  problems.push(sweep)
  return undefined
}

function configFrom(
  text: string | undefined,
  file: Scenario,
  problems: string[],
): Pick<Scenario, 'config'> {
  if (text === undefined) return {}
  try {
    const change: unknown = JSON.parse(text)
    if (typeof change === 'object' && change !== null && !Array.isArray(change)) {
      return { config: { ...file.config, ...change } }
    }
  } catch {
    // Said below.
  }
  problems.push(`--config takes an object in JSON: '{"scoring":{"workers":2}}'`)
  return {}
}

/** `--rate` is that of the first measured phase; the others keep their proportion to it. */
function phasesFrom(
  values: Flags,
  phases: readonly Phase[],
  number: NumberOf,
  problems: string[],
): Phase[] {
  const isMeasured = (phase: Phase) => phase.measured !== false
  const seconds = (wanted: (phase: Phase) => boolean) =>
    phases.filter(wanted).reduce((sum, phase) => sum + phase.seconds, 0)
  let rateFactor = 1
  if (values.rate !== undefined) {
    const rate = number('rate', 0.1, 1_000_000, false)
    const base = phases.find((phase) => isMeasured(phase) && phase.ratePerSecond)?.ratePerSecond
    if (base === undefined) problems.push('--rate: no measured phase of the scenario has a rate')
    else rateFactor = rate / base
  }
  const measuredFactor =
    values.duration === undefined ? 1 : number('duration', 0.1, 86_400, false) / seconds(isMeasured)
  const warmupSeconds = seconds((phase) => !isMeasured(phase))
  const warmupFactor =
    values.warmup === undefined || warmupSeconds === 0
      ? 1
      : number('warmup', 0, 3_600, false) / warmupSeconds
  return phases
    .map((phase) => ({
      ...phase,
      seconds: phase.seconds * (isMeasured(phase) ? measuredFactor : warmupFactor),
      ...scaled('ratePerSecond', phase, rateFactor),
      ...scaled('toRatePerSecond', phase, rateFactor),
    }))
    .filter(({ seconds }) => seconds > 0)
}

function scaled(name: 'ratePerSecond' | 'toRatePerSecond', phase: Phase, factor: number) {
  const value = phase[name]
  return value === undefined ? {} : { [name]: value * factor }
}

function checkRelations(options: LoadOptions, problems: string[]): void {
  if (requestsOf(options.scenario.phases) > requestsMax) {
    problems.push(`rate times duration is above ${requestsMax} requests`)
  }
  if (!/^[\x21-\x7e]+$/.test(options.apiKey)) problems.push('--api-key takes visible ASCII')
  if (!/^(auto|none|rediss?:\/\/.+)$/.test(options.redis)) {
    problems.push('--redis is auto, none or a redis:// URL')
  }
  checkModes(options, problems)
  if (options.target === undefined) {
    if (options.issuerControls.length > 0) problems.push('--issuer-control goes with --target')
    return
  }
  const fault = options.scenario.phases.find((phase) => phase.fault !== undefined)
  if (fault !== undefined) {
    problems.push(`phase ${fault.name} breaks what it was started with: not with --target`)
  }
  if (!isLoopback(options.target) && !options.ownsTarget) {
    problems.push(refusalOf(options.target))
  }
}

function checkModes(options: LoadOptions, problems: string[]): void {
  const { against, sweep, target, ownsTarget } = options
  const modes = [against, sweep, options.where || undefined].filter((mode) => mode !== undefined)
  if (modes.length > 1) problems.push('--against, --sweep or --where, one of them')
  if (target !== undefined && modes.length > 0) {
    problems.push('--against, --sweep and --where start the switch themselves: no --target')
  }
  if (against === undefined || isPeerName(against)) return
  if (!/^http:\/\//.test(against) || !URL.canParse(against)) {
    problems.push(`--against takes ${PEERS.join(', ')} or an http:// URL`)
  } else if (!isLoopback(new URL(against)) && !ownsTarget) {
    problems.push(refusalOf(new URL(against)))
  }
}

function refusalOf(url: URL): string {
  return (
    `${url.host} is not this machine: load on a system of others is an attack. ` +
    'Say --i-own-this-target where it is yours'
  )
}

function urlOf(text: string, protocol: Protocol, problems: string[]): URL | undefined {
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

/** A closed loop and what counts from its peak: guessed, for the limits only. */
const peakGuessPerSecond = 10_000

function rateOf(phase: Phase): number {
  if (phase.ratePerSecond !== undefined) {
    return (phase.ratePerSecond + (phase.toRatePerSecond ?? phase.ratePerSecond)) / 2
  }
  return peakGuessPerSecond * (phase.timesPeak ?? 1)
}

/** How many requests phases come to, about. */
export function requestsOf(phases: readonly Phase[]): number {
  return phases.reduce((sum, phase) => sum + rateOf(phase) * phase.seconds, 0)
}

function highestRate(phases: readonly Phase[]): number {
  return Math.max(...phases.map((phase) => Math.max(rateOf(phase), phase.toRatePerSecond ?? 0)))
}

/** Enough that 100 ms of answers fit, within what a process may usually open. */
function connectionsFor(ratePerSecond: number, protocol: Protocol): number {
  if (protocol === 'websocket' || protocol === 'iso8583') return 4
  return Math.min(1_000, Math.max(32, Math.ceil(ratePerSecond / 10)))
}
