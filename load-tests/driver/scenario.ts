// A load scenario: what is offered, to which switch, and what goes wrong meanwhile. Files lie in
// `load-tests/scenarios/`; the schema is theirs.

import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { type Static, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { parse } from 'yaml'
import { nearest } from '#rules'
import { projectFolder } from '../processes/index.ts'
import { PROTOCOLS } from './door.ts'
import { connectionsMax } from './limits.ts'
import { MIX_ENTITIES } from './mix.ts'

const closed = { additionalProperties: false }
const oneOf = <T extends string>(words: readonly T[]) =>
  Type.Union(words.map((word) => Type.Literal(word)))

const FaultSchema = Type.Object(
  {
    /**
     * What is wrong during the phase. `redis-stall`: Redis keeps its connections and says nothing.
     * `issuer-slow`: every answer waits `delayMs`. `issuer-dead`: nobody listens there.
     * `reload-rules`: other rules every `everySeconds`. `swap-model`: the same of the model.
     */
    kind: oneOf([
      'redis-stall',
      'issuer-slow',
      'issuer-dead',
      'reload-rules',
      'swap-model',
    ] as const),
    delayMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 60_000 })),
    everySeconds: Type.Optional(Type.Number({ minimum: 0.5, maximum: 3_600 })),
  },
  closed,
)

const rate = { minimum: 0, maximum: 1_000_000 }

const PhaseSchema = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9-]{1,30}$' }),
    seconds: Type.Number({ minimum: 0.1, maximum: 86_400 }),
    /** Requests a second. One of this, `timesPeak` and `inFlight` says what is offered. */
    ratePerSecond: Type.Optional(Type.Number(rate)),
    /** Where the rate goes to by the end of the phase. */
    toRatePerSecond: Type.Optional(Type.Number(rate)),
    /** So many times what the closed loop before served. */
    timesPeak: Type.Optional(Type.Number({ minimum: 0.01, maximum: 100 })),
    /** A closed loop: as fast as answers come, with so many under way. */
    inFlight: Type.Optional(Type.Integer({ minimum: 1, maximum: connectionsMax })),
    /** False: offered and balanced, left out of the figures. */
    measured: Type.Optional(Type.Boolean()),
    fault: Type.Optional(FaultSchema),
  },
  closed,
)

export const ScenarioSchema = Type.Object(
  {
    title: Type.String({ minLength: 1, maxLength: 120 }),
    /** What it shows, and what to look at. */
    description: Type.Optional(Type.String()),
    protocol: Type.Optional(oneOf(PROTOCOLS)),
    arrivals: Type.Optional(oneOf(['fixed', 'poisson'] as const)),
    connections: Type.Optional(Type.Integer({ minimum: 1, maximum: connectionsMax })),
    phases: Type.Array(PhaseSchema, { minItems: 1, maxItems: 50 }),
    cards: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000_000 })),
    terminals: Type.Optional(Type.Integer({ minimum: 1, maximum: 2_000_000 })),
    /** What a request names beside its card, merchant and BIN. */
    entities: Type.Optional(Type.Array(oneOf(MIX_ENTITIES))),
    /** Share of requests that are part of an attack. */
    attackPercent: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
    secondIssuerPercent: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
    /** Issuers that share the cards of 476173, 1 to 50, each with its own BINs. */
    issuers: Type.Optional(Type.Integer({ minimum: 1, maximum: 50 })),
    /** Events in the ring of every card, device and terminal before the run; 0: none. */
    warmEvents: Type.Optional(Type.Integer({ minimum: 0, maximum: 48 })),
    /** A pack that takes the place of the shipped ones, from the project's folder. */
    rules: Type.Optional(Type.String({ pattern: '\\.yaml$' })),
    /** Laid over the configuration of the switch. */
    config: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    redis: Type.Optional(oneOf(['auto', 'none'] as const)),
    /** The least share of approvals among outcomes; below it the run is void. */
    approvedPercentMin: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
  },
  closed,
)

export type Scenario = Static<typeof ScenarioSchema>
export type Phase = Static<typeof PhaseSchema>
export type Fault = Static<typeof FaultSchema>

export type ScenarioResult =
  | { readonly ok: true; readonly scenario: Scenario }
  | { readonly ok: false; readonly message: string }

const folder = path.join(projectFolder, 'load-tests', 'scenarios')
const validator = Compile(ScenarioSchema)

/** The scenarios that are shipped, by name. */
export function scenarioNames(): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => name.slice(0, -'.yaml'.length))
    .sort()
}

/** Reads a shipped scenario by its name, or a file by its path. */
export function readScenario(nameOrFile: string): ScenarioResult {
  const isFile = /\.ya?ml$/.test(nameOrFile)
  if (!isFile && !scenarioNames().includes(nameOrFile)) {
    const near = nearest(nameOrFile, scenarioNames())
    const hint = near === undefined ? '' : `: did you mean ${near}?`
    const message = `there is no scenario ${nameOrFile}${hint} (${scenarioNames().join(', ')})`
    return { ok: false, message }
  }
  const file = isFile ? path.resolve(nameOrFile) : path.join(folder, `${nameOrFile}.yaml`)
  try {
    const read = parseScenario(readFileSync(file, 'utf8'))
    return read.ok ? read : { ok: false, message: `${nameOrFile}: ${read.message}` }
  } catch (error) {
    return {
      ok: false,
      message: `${file} can't be read (${(error as NodeJS.ErrnoException).code})`,
    }
  }
}

/** Checks the text of a scenario; a wrong key is named, with the nearest known one. */
export function parseScenario(text: string): ScenarioResult {
  let value: unknown
  try {
    value = parse(text)
  } catch (error) {
    return { ok: false, message: `not readable as YAML: ${(error as Error).message}` }
  }
  if (!validator.Check(value)) return { ok: false, message: explain(value) }
  const message = phaseProblem(value.phases)
  return message === undefined ? { ok: true, scenario: value } : { ok: false, message }
}

function explain(value: unknown): string {
  const problems = [...validator.Errors(value)]
  for (const problem of problems) {
    if (problem.keyword !== 'additionalProperties') continue
    const { additionalProperties } = problem.params as { additionalProperties: string[] }
    const [key = ''] = additionalProperties
    const near = nearest(key, knownKeys(problem.instancePath))
    const place = placeOf(problem.instancePath)
    return `unknown key ${place}${key}${near === undefined ? '' : `: did you mean ${near}?`}`
  }
  // The deepest place says most: of a union every branch complains.
  const [first] = problems.sort((a, b) => b.instancePath.length - a.instancePath.length)
  if (first === undefined) return 'it is no scenario'
  return `${placeOf(first.instancePath).replace(/\.$/, '') || 'the scenario'} ${first.message}`
}

function placeOf(instancePath: string): string {
  const parts = instancePath.split('/').slice(1)
  return parts.map((part) => `${part}.`).join('')
}

function knownKeys(instancePath: string): readonly string[] {
  if (instancePath.endsWith('/fault')) return Object.keys(FaultSchema.properties)
  if (/^\/phases\/[0-9]+$/.test(instancePath)) return Object.keys(PhaseSchema.properties)
  return Object.keys(ScenarioSchema.properties)
}

function phaseProblem(phases: readonly Phase[]): string | undefined {
  let hasPeak = false
  for (const [i, phase] of phases.entries()) {
    const ways = [phase.ratePerSecond, phase.timesPeak, phase.inFlight]
    if (ways.filter((way) => way !== undefined).length !== 1) {
      return `phases.${i} (${phase.name}) needs one of ratePerSecond, timesPeak and inFlight`
    }
    if (phase.toRatePerSecond !== undefined && phase.ratePerSecond === undefined) {
      return `phases.${i} (${phase.name}): toRatePerSecond goes with ratePerSecond`
    }
    if (phase.timesPeak !== undefined && !hasPeak) {
      return `phases.${i} (${phase.name}): timesPeak needs a phase with inFlight before it`
    }
    if (phase.inFlight !== undefined) hasPeak = true
    const wrong = faultProblem(phase.fault)
    if (wrong !== undefined) return `phases.${i} (${phase.name}): ${wrong}`
  }
  if (phases.every(({ measured }) => measured === false)) return 'no phase is measured'
  return undefined
}

function faultProblem(fault: Fault | undefined): string | undefined {
  if (fault?.kind === 'issuer-slow' && fault.delayMs === undefined) {
    return 'issuer-slow needs delayMs'
  }
  const isRepeated = fault?.kind === 'reload-rules' || fault?.kind === 'swap-model'
  if (isRepeated && fault.everySeconds === undefined) return `${fault.kind} needs everySeconds`
  return undefined
}
