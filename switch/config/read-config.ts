// Turns the YAML text and the environment into a checked, frozen configuration, or into every
// reason why not.

import { createHash } from 'node:crypto'
import { Compile } from 'typebox/compile'
import { LineCounter, parseDocument } from 'yaml'
import { currencyByCode, nearest } from '#rules'
import { parseRedisUrl } from '#scoring'
import { type MacKey, macKeyProblem } from '../iso8583/index.ts'
import { CONNECTIONS_MAX } from '../issuers/index.ts'
import { DAY_MS, PREAUTHORIZATION_VALID_MS } from '../limits.ts'
import { DEFAULT_LEASE_MS, UPKEEP } from '../store/index.ts'
import { type Config, ConfigSchema, type IssuerConfig } from './schema.ts'

/** The environment variables that win over the file (default.yaml), and where each belongs. */
const ENVIRONMENT: Readonly<Record<string, readonly [string, string?]>> = {
  PORT: ['http', 'port'],
  ADMIN_PORT: ['admin', 'port'],
  DATA_DIR: ['dataDir'],
  RULES_DIR: ['rulesDir'],
  MODEL_DIR: ['modelDir'],
  KEYS_FILE: ['keysFile'],
  REDIS_URL: ['redisUrl'],
  DATABASE_URL: ['databaseUrl'],
  LOG_LEVEL: ['log', 'level'],
}

const PORT_MAX = 65_535

const DEMO_KEY_SHA256 = createHash('sha256').update('demo-key').digest('hex')
const DEMO_SIGNATURE_KEY_ID = 'demo-hmac'

export type ConfigResult =
  | { readonly ok: true; readonly config: Config }
  | {
      readonly ok: false
      /** Who is to blame: a problem of the environment names its variable. */
      readonly source: 'file' | 'environment'
      readonly problems: readonly string[]
    }

const validator = Compile(ConfigSchema)

/**
 * Reads a configuration. Each problem names the key, what was expected and, for an unknown key, the
 * nearest known one; none repeats a secret's value.
 */
export function readConfig(
  yamlText: string,
  environment: Readonly<Record<string, string | undefined>>,
): ConfigResult {
  // Not the parser's pretty errors: they quote the line, and a line may hold a secret.
  const lineCounter = new LineCounter()
  const document = parseDocument(yamlText, { prettyErrors: false, lineCounter })
  if (document.errors.length > 0) {
    const problems = document.errors.map(({ pos, message }) => {
      const { line, col } = lineCounter.linePos(pos[0])
      return `line ${line}, column ${col}: ${message}`
    })
    return refuse('file', problems)
  }
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: 0 })
  } catch {
    return refuse('file', ['YAML aliases (*name) are not taken: write it out'])
  }
  const problems = checkEnvironment(environment)
  if (problems.length > 0) return refuse('environment', problems)
  applyEnvironment(value, environment)
  applyIsoPort(value, environment)
  if (!validator.Check(value)) return refuse('file', explain(value))
  const wrong = checkRelations(value, environment.NODE_ENV === 'production')
  return wrong.length > 0 ? refuse('file', wrong) : { ok: true, config: freeze(value) }
}

function refuse(source: 'file' | 'environment', problems: readonly string[]): ConfigResult {
  return { ok: false, source, problems }
}

const LOG_LEVELS: readonly string[] = ConfigSchema.properties.log.properties.level.enum

/** What each variable must look like. No message repeats a value: a URL may hold a password. */
function checkEnvironment(environment: Readonly<Record<string, string | undefined>>): string[] {
  const problems: string[] = []
  for (const variable of ['PORT', 'ISO_PORT', 'ADMIN_PORT']) {
    const text = environment[variable] ?? ''
    if (text === '' || (/^[0-9]{1,5}$/.test(text) && Number(text) <= PORT_MAX)) continue
    problems.push(`${variable} must be a port number, 0 to ${PORT_MAX}`)
  }
  const { LOG_LEVEL: level = '', REDIS_URL: redisUrl = '', DATABASE_URL = '' } = environment
  if (level !== '' && !LOG_LEVELS.includes(level)) {
    problems.push(`LOG_LEVEL must be one of ${LOG_LEVELS.join(', ')}`)
  }
  if (redisUrl !== '' && parseRedisUrl(redisUrl) === undefined) {
    problems.push(
      'REDIS_URL must look like redis://host:port, redis+sentinel://host:port,host:port/name or ' +
        'redis+cluster://host:port,host:port; rediss instead of redis for TLS',
    )
  }
  if (
    DATABASE_URL !== '' &&
    !(/^postgres(ql)?:\/\/./.test(DATABASE_URL) && URL.canParse(DATABASE_URL))
  ) {
    problems.push('DATABASE_URL must look like postgres://user:password@host:port/database')
  }
  return problems
}

function applyEnvironment(
  value: unknown,
  environment: Readonly<Record<string, string | undefined>>,
): void {
  if (typeof value !== 'object' || value === null) return
  for (const [variable, [group, member]] of Object.entries(ENVIRONMENT)) {
    const text = environment[variable]
    if (text === undefined || text === '') continue
    const target = value as Record<string, unknown>
    if (member === undefined) {
      target[group] = text
    } else if (typeof target[group] === 'object' && target[group] !== null) {
      const inner = target[group] as Record<string, unknown>
      inner[member] = member === 'port' ? Number(text) : text
    }
  }
}

/** ISO_PORT is the first listener's. */
function applyIsoPort(
  value: unknown,
  { ISO_PORT: text }: Readonly<Record<string, string | undefined>>,
): void {
  if (text === undefined || text === '') return
  const { iso } = (value ?? {}) as { iso?: { listeners?: unknown[] } }
  const first = iso?.listeners?.[0]
  if (typeof first === 'object' && first !== null) {
    Object.assign(first, { port: Number(text) })
  }
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
  const near = nearest(key, knownKeys(place))
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
  problems.push(...checkAccess(config, isProduction), ...checkIso(config))
  for (const route of config.routes) {
    const named = [route.issuer, ...(route.failOver ?? [])]
    if (new Set(named).size < named.length) {
      problems.push(`routes: ${named.join(', ')}: each issuer of a route once`)
    }
    for (const name of named) {
      if (issuers.has(name)) continue
      const near = nearest(name, issuers)
      const hint = near === undefined ? '' : `; did you mean ${near}?`
      problems.push(`routes: there is no issuer ${name}${hint}`)
    }
  }
  problems.push(...checkIssuers(config), ...checkStandIn(config), ...checkRetention(config))
  const bins = config.routes.flatMap((route) => route.bins)
  if (new Set(bins).size < bins.length) problems.push('routes: each BIN once')
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

/** The key of the authentication codes of a link or a peer. */
export function macKeyOf({ algorithm, key }: NonNullable<IssuerConfig['mac']>): MacKey {
  return { algorithm, key: Buffer.from(key, 'hex') }
}

/** A sum that one purchase may pass, or a card alone, limits nothing. */
function checkStandIn({ issuers }: Config): string[] {
  const problems: string[] = []
  for (const { name, standIn } of issuers) {
    if (standIn === undefined) continue
    const { currency, amountMax, card, bin } = standIn
    const place = `issuers: ${name}.standIn`
    if (currencyByCode(currency) === undefined) {
      problems.push(`${place}.currency must be an active ISO 4217 code`)
    }
    if (amountMax > card.sumMax) problems.push(`${place}.amountMax must not be above card.sumMax`)
    for (const limit of ['countMax', 'sumMax'] as const) {
      if (card[limit] <= bin[limit]) continue
      problems.push(`${place}.card.${limit} must not be above bin.${limit}`)
    }
  }
  return problems
}

/** Nothing that may still be captured, retried or reversed is dropped for its age. */
function checkRetention(config: Config): string[] {
  const problems: string[] = []
  const { retentionDays, panRetentionDays } = retentionOf(config)
  const leastDays = longestValidityDays(config) + KEY_DAYS
  if (retentionDays < leastDays) {
    const why = 'the longest of validity and a day for retries'
    problems.push(`store.retentionDays must be at least ${leastDays}: ${why}`)
  }
  if (panRetentionDays < leastDays) {
    const why = 'a capture or a reversal needs the card until then'
    problems.push(`store.panRetentionDays must be at least ${leastDays}: ${why}`)
  }
  if (panRetentionDays > retentionDays) {
    problems.push('store.panRetentionDays must not be above store.retentionDays')
  }
  return problems
}

/** Idempotency keys are kept for a day. */
const KEY_DAYS = 1

/** What the embedded store keeps, with what the configuration leaves out. */
export function retentionOf({ store }: Config) {
  return {
    retentionDays: store?.retentionDays ?? UPKEEP.retentionDays,
    panRetentionDays: store?.panRetentionDays ?? UPKEEP.panRetentionDays,
    bytesKeptMax: store?.bytesMax ?? UPKEEP.bytesKeptMax,
    freeBytesMin: store?.freeBytesMin ?? UPKEEP.freeBytesMin,
  }
}

/** Days in which a payment may still be captured. */
export function longestValidityDays({ validity }: Config): number {
  if (validity === undefined) return PREAUTHORIZATION_VALID_MS / DAY_MS
  return Math.max(validity.authorizationDays, validity.preauthorizationDays)
}

/** Issuer links: what belongs together. */
function checkIssuers({ issuers }: Config): string[] {
  const problems: string[] = []
  for (const issuer of issuers) {
    const { name, breaker, tls, mac, http, dialect, framing, connections = 1 } = issuer
    if ((dialect === undefined) === (http === undefined)) {
      problems.push(`issuers: ${name} needs a dialect (ISO 8583) or http, one of them`)
    }
    if (http !== undefined && (mac !== undefined || framing !== undefined)) {
      problems.push(`issuers: ${name}: mac and framing belong to a dialect, not to http`)
    }
    if (http === undefined && connections > CONNECTIONS_MAX) {
      problems.push(`issuers: ${name}.connections must be 1 to ${CONNECTIONS_MAX} over ISO 8583`)
    }
    const macProblem = mac === undefined ? undefined : macKeyProblem(macKeyOf(mac))
    if (macProblem !== undefined) problems.push(`issuers: ${name}.mac.key: ${macProblem}`)
    if (breaker !== undefined && breaker.openMinMs > breaker.openMaxMs) {
      problems.push(`issuers: ${name}.breaker.openMinMs must not be above openMaxMs`)
    }
    if (tls !== undefined && (tls.certFile === undefined) !== (tls.keyFile === undefined)) {
      problems.push(`issuers: ${name}.tls.certFile and keyFile: both or none`)
    }
  }
  return problems
}

/** ISO 8583 listeners: names, who their peers are, and nothing in clear beyond loopback. */
function checkIso(config: Config): string[] {
  const problems: string[] = []
  const listeners = config.iso?.listeners ?? []
  const names = [listeners, listeners.flatMap(({ peers }) => peers)] as const
  for (const [i, named] of names.entries()) {
    if (new Set(named.map((one) => one.name)).size === named.length) continue
    problems.push(`iso.listeners: each ${i === 0 ? 'listener' : "peer's"} name once`)
  }
  const acquirers = new Set(config.acquirers.map(({ id }) => id))
  for (const { name, host, tls, peers } of listeners) {
    if (tls === undefined && !config.behindTlsTerminator && !isLoopback(host)) {
      problems.push(`iso.listeners: ${name}.host must be loopback without tls`)
    }
    for (const peer of peers) {
      const place = `iso.listeners: ${name}, peer ${peer.name}`
      const macProblem = peer.mac === undefined ? undefined : macKeyProblem(macKeyOf(peer.mac))
      if (macProblem !== undefined) problems.push(`${place}: mac.key: ${macProblem}`)
      if (!acquirers.has(peer.acquirer)) {
        const near = nearest(peer.acquirer, acquirers)
        const hint = near === undefined ? '' : `; did you mean ${near}?`
        problems.push(`${place}: there is no acquirer ${peer.acquirer}${hint}`)
      }
      if (peer.addresses === undefined && peer.certificateSha256 === undefined) {
        problems.push(`${place}: say who it is by addresses or certificateSha256`)
      }
      if (peer.certificateSha256 !== undefined && tls === undefined) {
        problems.push(`${place}: certificateSha256 needs tls on the listener`)
      }
    }
  }
  return problems
}

/** Who may come in, and by what: each key is one acquirer's, and each acquirer has a way in. */
function checkAccess(config: Config, isProduction: boolean): string[] {
  const problems: string[] = []
  const keys = config.acquirers.flatMap((acquirer) => acquirer.apiKeySha256)
  if (new Set(keys).size < keys.length) problems.push('acquirers: each API key once')
  const keyIds = config.acquirers.flatMap((one) => (one.signatureKeys ?? []).map((k) => k.keyId))
  if (new Set(keyIds).size < keyIds.length) problems.push('acquirers: each signature keyId once')
  const peers = (config.iso?.listeners ?? []).flatMap((listener) => listener.peers)
  for (const { id, apiKeySha256, signatureKeys } of config.acquirers) {
    if (apiKeySha256.length > 0 || (signatureKeys ?? []).length > 0) continue
    if (peers.some(({ acquirer }) => acquirer === id)) continue
    problems.push(`acquirers: ${id} has no way in: give it apiKeySha256, signatureKeys or a peer`)
  }
  if (isProduction && keys.includes(DEMO_KEY_SHA256)) {
    problems.push('acquirers: the demo key is public: refused when NODE_ENV is production')
  }
  if (isProduction && keyIds.includes(DEMO_SIGNATURE_KEY_ID)) {
    problems.push('acquirers: the demo signature key is public: refused in production')
  }
  return problems
}

/**
 * The longest way to an answer: claim and score side by side, one attempt at the slowest issuer,
 * the outcome made durable. A drain waits for whoever was asking last.
 */
function checkDeadlines(config: Config): string[] {
  const { scoreMs, velocityMs, durabilityMs, acquirerMs, drainMs } = config.deadlines
  const slowest = Math.max(...config.issuers.map((issuer) => issuer.timeoutMs))
  const problems: string[] = []
  const answerMs = Math.max(scoreMs, durabilityMs) + slowest + durabilityMs
  if (answerMs >= acquirerMs) {
    problems.push(
      `deadlines: the longer of scoreMs ${scoreMs} and durabilityMs ${durabilityMs}, the slowest ` +
        `issuer's timeoutMs ${slowest} and durabilityMs again are ${answerMs}: ` +
        `that must be below acquirerMs ${acquirerMs}`,
    )
  }
  if (drainMs <= slowest + durabilityMs) {
    problems.push(
      `deadlines: drainMs ${drainMs} must be above the slowest issuer's timeoutMs ${slowest} ` +
        `+ durabilityMs ${durabilityMs}`,
    )
  }
  problems.push(...checkLease(config, slowest))
  if (velocityMs >= scoreMs) problems.push('deadlines: velocityMs must be below scoreMs')
  return problems
}

/** A sixth is the time between renewals: one may fail, and a request may still leave. */
function checkLease({ database }: Config, slowestMs: number): string[] {
  const leaseMs = database?.leaseMs ?? DEFAULT_LEASE_MS
  const leastMs = Math.ceil((slowestMs * 3) / 2)
  if (leaseMs > leastMs) return []
  return [
    `database: leaseMs ${leaseMs} must be above ${leastMs}, half as much again as the slowest ` +
      `issuer's timeoutMs ${slowestMs}: a request leaves only where the lease outlives its answer`,
  ]
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.[0-9]{1,3}){3}$/.test(host)
}

function maskMac<T extends { readonly mac?: IssuerConfig['mac'] }>(one: T): T {
  return one.mac === undefined ? one : { ...one, mac: { ...one.mac, key: '***' } }
}

function maskIso({ listeners }: NonNullable<Config['iso']>): NonNullable<Config['iso']> {
  return { listeners: listeners.map((one) => ({ ...one, peers: one.peers.map(maskMac) })) }
}

/** The configuration for printing: hashes of keys and the credentials in URLs are masked. */
export function maskConfig(config: Config): unknown {
  return {
    ...config,
    ...(config.redisUrl === undefined ? {} : { redisUrl: maskUrl(config.redisUrl) }),
    ...(config.databaseUrl === undefined ? {} : { databaseUrl: maskUrl(config.databaseUrl) }),
    issuers: config.issuers.map((issuer) => ({
      ...maskMac(issuer),
      ...(issuer.http === undefined ? {} : { http: { ...issuer.http, secret: '***' } }),
    })),
    ...(config.iso === undefined ? {} : { iso: maskIso(config.iso) }),
    acquirers: config.acquirers.map((acquirer) => ({
      ...acquirer,
      apiKeySha256: acquirer.apiKeySha256.map(() => '***'),
      ...(acquirer.signatureKeys === undefined
        ? {}
        : { signatureKeys: acquirer.signatureKeys.map((key) => ({ ...key, secret: '***' })) }),
    })),
  }
}

/** Credentials stand before the last @ of the authority, or in a parameter (libpq's `password`). */
function maskUrl(url: string): string {
  return url
    .replace(/\/\/[^/?#]*@/, '//***@')
    .replace(/([?&](?:user|password|sslpassword)=)[^&#]*/g, '$1***')
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) freeze(member)
    Object.freeze(value)
  }
  return value
}
