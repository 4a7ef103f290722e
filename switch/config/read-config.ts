// Turns the YAML text and the environment into a checked, frozen configuration, or into every
// reason why not.

import { createHash } from 'node:crypto'
import { Compile } from 'typebox/compile'
import { parseDocument } from 'yaml'
import { nearestName } from '../nearest-name.ts'
import { type Config, ConfigSchema } from './schema.ts'

/** The environment variables that win over the file (CONTRACT), and where each belongs. */
const ENVIRONMENT: Readonly<Record<string, readonly [string, string?]>> = {
  PORT: ['http', 'port'],
  ADMIN_PORT: ['admin', 'port'],
  DATA_DIR: ['dataDir'],
  RULES_DIR: ['rulesDir'],
  MODEL_DIR: ['modelDir'],
  KEYS_FILE: ['keysFile'],
  REDIS_URL: ['redisUrl'],
  LOG_LEVEL: ['log', 'level'],
}

const DEMO_KEY_SHA256 = createHash('sha256').update('demo-key').digest('hex')

export type ConfigResult =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly string[] }

const validator = Compile(ConfigSchema)

/**
 * Reads a configuration. Each problem names the key, what was expected and, for an unknown key, the
 * nearest known one; none repeats a secret's value.
 */
export function readConfig(
  yamlText: string,
  environment: Readonly<Record<string, string | undefined>>,
): ConfigResult {
  const document = parseDocument(yamlText, { prettyErrors: true })
  if (document.errors.length > 0) {
    return { ok: false, problems: document.errors.map((error) => error.message) }
  }
  const value: unknown = document.toJS({ maxAliasCount: 0 })
  const problems = applyEnvironment(value, environment)
  if (problems.length > 0) return { ok: false, problems }
  if (!validator.Check(value)) return { ok: false, problems: explain(value) }
  const wrong = checkRelations(value, environment.NODE_ENV === 'production')
  return wrong.length > 0 ? { ok: false, problems: wrong } : { ok: true, config: freeze(value) }
}

function applyEnvironment(
  value: unknown,
  environment: Readonly<Record<string, string | undefined>>,
): string[] {
  if (typeof value !== 'object' || value === null) return []
  const problems: string[] = []
  for (const [variable, [group, member]] of Object.entries(ENVIRONMENT)) {
    const text = environment[variable]
    if (text === undefined || text === '') continue
    const isPort = member === 'port'
    if (isPort && !/^[0-9]{1,5}$/.test(text)) {
      problems.push(`${variable} must be a port number`)
      continue
    }
    const target = value as Record<string, unknown>
    if (member === undefined) {
      target[group] = text
    } else if (typeof target[group] === 'object' && target[group] !== null) {
      const inner = target[group] as Record<string, unknown>
      inner[member] = isPort ? Number(text) : text
    }
  }
  return problems
}

interface SchemaProblem {
  readonly keyword: string
  readonly instancePath: string
  readonly message: string
  readonly params: object
}

function explain(value: unknown): string[] {
  const problems = validator.Errors(value) as readonly SchemaProblem[]
  const lines = new Set<string>()
  for (const problem of problems) {
    const place = problem.instancePath.slice(1).replaceAll('/', '.')
    if (problem.keyword === 'boolean') continue
    if (problem.keyword === 'additionalProperties') {
      const unknown = (problem.params as { additionalProperties: string[] }).additionalProperties
      for (const key of unknown) lines.add(unknownKey(place, key))
    } else if (problem.keyword === 'enum') {
      const { allowedValues } = problem.params as { allowedValues?: readonly string[] }
      lines.add(`${place} must be one of ${(allowedValues ?? []).join(', ')}`)
    } else {
      lines.add(`${place === '' ? 'the configuration' : place} ${problem.message}`)
    }
  }
  return [...lines]
}

function unknownKey(place: string, key: string): string {
  const path = place === '' ? key : `${place}.${key}`
  const near = nearestName(key, knownKeys(place))
  return `${path} is not a known key${near === undefined ? '' : `; did you mean ${near}?`}`
}

/** The keys that the schema knows at a place such as `issuers.0`. */
function knownKeys(place: string): readonly string[] {
  interface Node {
    properties?: Record<string, Node>
    items?: Node
  }
  let node: Node | undefined = ConfigSchema as unknown as Node
  for (const part of place === '' ? [] : place.split('.')) {
    node = /^[0-9]+$/.test(part) ? node?.items : node?.properties?.[part]
  }
  return Object.keys(node?.properties ?? {})
}

/** What a schema can't say: references, uniqueness, deadlines that fit into each other, safety. */
function checkRelations(config: Config, isProduction: boolean): string[] {
  const problems: string[] = []
  const issuers = new Set(config.issuers.map((issuer) => issuer.name))
  if (issuers.size < config.issuers.length) problems.push('issuers: each name once')
  if (new Set(config.acquirers.map((one) => one.id)).size < config.acquirers.length) {
    problems.push('acquirers: each id once')
  }
  const keys = config.acquirers.flatMap((acquirer) => acquirer.apiKeySha256)
  if (new Set(keys).size < keys.length) problems.push('acquirers: each API key once')
  for (const route of config.routes) {
    const named = [route.issuer, ...(route.failOver ?? [])]
    if (new Set(named).size < named.length) {
      problems.push(`routes: ${named.join(', ')}: each issuer of a route once`)
    }
    for (const name of named) {
      if (issuers.has(name)) continue
      const near = nearestName(name, issuers)
      const hint = near === undefined ? '' : `; did you mean ${near}?`
      problems.push(`routes: there is no issuer ${name}${hint}`)
    }
  }
  for (const { name, breaker } of config.issuers) {
    if (breaker === undefined || breaker.openMinMs <= breaker.openMaxMs) continue
    problems.push(`issuers: ${name}.breaker.openMinMs must not be above openMaxMs`)
  }
  const bins = config.routes.flatMap((route) => route.bins)
  if (new Set(bins).size < bins.length) problems.push('routes: each BIN once')
  if (isProduction && keys.includes(DEMO_KEY_SHA256)) {
    problems.push('acquirers: the demo key is public: refused when NODE_ENV is production')
  }
  if (!config.behindTlsTerminator) {
    for (const listener of ['http', 'admin'] as const) {
      if (!isLoopback(config[listener].host)) {
        problems.push(
          `${listener}.host must be loopback without TLS: set behindTlsTerminator where TLS ends in front`,
        )
      }
    }
  }
  return [...problems, ...checkDeadlines(config)]
}

/**
 * SEMANTICS, Deadlines: score + durability + issuer < acquirer. Durability twice: claim, outcome.
 */
function checkDeadlines(config: Config): string[] {
  const { scoreMs, velocityMs, durabilityMs, acquirerMs } = config.deadlines
  const slowest = Math.max(...config.issuers.map((issuer) => issuer.timeoutMs))
  const problems: string[] = []
  if (scoreMs + durabilityMs + slowest >= acquirerMs) {
    problems.push(
      `deadlines: scoreMs ${scoreMs} + durabilityMs ${durabilityMs} + the slowest issuer's timeoutMs ` +
        `${slowest} must be below acquirerMs ${acquirerMs}`,
    )
  }
  if (velocityMs >= scoreMs) problems.push('deadlines: velocityMs must be below scoreMs')
  return problems
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.[0-9]{1,3}){3}$/.test(host)
}

/** The configuration for printing: hashes of keys and the credentials in URLs are masked. */
export function maskConfig(config: Config): unknown {
  return {
    ...config,
    ...(config.redisUrl === undefined
      ? {}
      : { redisUrl: config.redisUrl.replace(/\/\/[^@/]*@/, '//***@') }),
    acquirers: config.acquirers.map((acquirer) => ({
      ...acquirer,
      apiKeySha256: acquirer.apiKeySha256.map(() => '***'),
    })),
  }
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) freeze(member)
    Object.freeze(value)
  }
  return value
}
