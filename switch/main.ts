// Puts the world together, starts it, and ends it: the only place where adapters meet the path.

import { readFileSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { keptSetsFolder } from '#rules'
import { createScorerPool, readModelSnapshot, type ScorerPool, type ScoringProblem } from '#scoring'
import { type ConfiguredStore, openConfiguredStore } from './adapters/configured-store.ts'
import { readDialect } from './adapters/dialect-files.ts'
import { openFileDisk } from './adapters/file-disk.ts'
import { listen } from './adapters/http-server.ts'
import { readKeyFile } from './adapters/key-files.ts'
import { createLogger, type LogOutput } from './adapters/log-output.ts'
import { listenForStreams, type NetListener } from './adapters/net-listener.ts'
import { createNetTransport } from './adapters/net-transport.ts'
import {
  appendRuleEvent,
  readRuleHistory,
  removePinnedSet,
  writePinnedSet,
} from './adapters/rule-record.ts'
import { keepStartSet, type RulesAtStart, rulesAtStart } from './adapters/rules-at-start.ts'
import { RulesChecker } from './adapters/rules-checker.ts'
import { RulesWatch } from './adapters/rules-watch.ts'
import { createSystemRandom, systemClock, systemTimers } from './adapters/system-clock.ts'
import { readTlsClient } from './adapters/tls-files.ts'
import { createHttpClient } from './adapters/undici-http-client.ts'
import { assemble, recoverWorld } from './assemble.ts'
import type { KeyRing } from './card-data/index.ts'
import type { Config, IsoListenerConfig } from './config/index.ts'
import { ENDINGS_MS_MAX, endWorld, within } from './end-world.ts'
import {
  createAcquirerApi,
  createIsoDoor,
  createOperationsApi,
  ExchangedKeys,
  type HttpServer,
  ISO_BUFFERED_BYTES_MAX,
  ISO_CONNECTIONS_MAX,
  type OperatorCommand,
} from './ingress/index.ts'
import type { Dialect } from './iso8583/index.ts'
import {
  assertRelations,
  BODY_BYTES_MAX,
  HTTP_CONNECTIONS_MAX,
  MODEL_MAX_AGE_DAYS,
  SCORING_QUEUE_CAPACITY,
} from './limits.ts'
import { ModelSwaps } from './model-swaps.ts'
import { Journal } from './observe/index.ts'
import { operatorCommands } from './operator-commands.ts'
import type { Random, TlsClient } from './ports.ts'
import { readiness } from './readiness.ts'
import type { RecoveryReport } from './recover.ts'
import { requeue } from './requeue.ts'
import { lineOf, RuleReloads } from './rule-reloads.ts'
import { StoreFault, type UpkeepEvent } from './store/index.ts'
import { VelocityWatch } from './velocity-watch.ts'
import type { World } from './world.ts'

/** A switch that takes traffic. */
export interface RunningSwitch {
  /** Where acquirers reach it. */
  readonly url: string
  readonly adminUrl: string
  /** ISO 8583 listeners by name: `tcp://` or `tls://`, host and port. */
  readonly isoUrls: Readonly<Record<string, string>>
  /** What an operator wants to see at the start, name and value. */
  readonly facts: readonly (readonly [name: string, value: string])[]
  /** The process's exit code, once everything is closed: 0 after a drain, 1 after a fault. */
  readonly ended: Promise<number>
}

export type StartResult =
  | { readonly ok: true; readonly running: RunningSwitch }
  | { readonly ok: false; readonly problems: readonly string[] }

/**
 * Starts a switch in this process: opens store and scoring side by side, recovers what a crash left
 * open, dials the issuers, listens. Each problem says what is wrong and what to do; none names a
 * secret. It takes SIGTERM and SIGINT, and ends the process on a bug, so that recovery decides.
 */
export async function startSwitch(
  config: Config,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<StartResult> {
  assertRelations()
  const random = createSystemRandom()
  const output = createLogger(config.log.level)
  const keyFile = readKeyFile({
    file: config.keysFile,
    dataDir: config.dataDir,
    isProduction: environment.NODE_ENV === 'production',
    random,
  })
  if (!keyFile.ok) return { ok: false, problems: [keyFile.problem] }
  const version = await readVersion()
  const journal = new Journal({ log: output.log, oneLineIn: config.log.oneLineIn, version })
  const ending = new Ending(journal, output)
  const [store, scorer] = await Promise.all([
    openConfiguredStore({
      config,
      keys: keyFile.keys,
      random,
      onFlush: (flush) => journal.flushed(flush.seconds),
      onFault: (reason) => ending.afterFault(reason),
      onUpkeep: (event) => noteUpkeep(journal, event),
    }),
    openScorer(config, keyFile.keys, output.log),
  ])
  if (!store.ok || !scorer.ok) {
    if (store.ok) await store.opened.store.close()
    if (scorer.ok) await scorer.pool.close()
    return { ok: false, problems: [...problemsOf(store), ...problemsOf(scorer)] }
  }
  const adminToken = environment.ADMIN_TOKEN
  const parts = { config, keys: keyFile.keys, random, journal, ending, adminToken }
  return putTogether({
    ...parts,
    opened: store.opened,
    scorer: scorer.pool,
    rules: scorer.rules,
  })
}

interface OpenParts {
  readonly config: Config
  readonly keys: KeyRing
  readonly random: Random
  readonly journal: Journal
  readonly ending: Ending
  readonly opened: ConfiguredStore
  readonly adminToken: string | undefined
  readonly scorer: ScorerPool
  readonly rules: RulesAtStart
}

/** What frees the disk is news; what keeps it from being freed wants somebody to look. */
function noteUpkeep({ log }: Journal, event: UpkeepEvent): void {
  if (event.kind === 'failed') log.error(event, 'the store was not compacted: tried again')
  else if (event.kind === 'room_low') log.error(event, 'too little room for the store')
  else log.info(event, event.kind === 'compacted' ? 'the store was compacted' : 'room again')
}

function problemsOf(part: { ok: true } | { ok: false; problems: readonly string[] }) {
  return part.ok ? [] : part.problems
}

async function openScorer(config: Config, keys: KeyRing, log: LogOutput['log']) {
  const started = await rulesAtStart(config.rulesDir, keptSetsFolder(config.dataDir), systemClock)
  if (!started.ok) return { ok: false as const, problems: started.problems.map(lineOf) }
  const { rules } = started
  if (rules.refused?.result === 'refused') {
    const problems = rules.refused.problems.map(lineOf)
    log.error({ problems }, 'the rules folder was refused: the set that decided last decides')
  }
  const result = await createScorerPool({
    rulesDir: config.rulesDir,
    ruleFiles: rules.files,
    modelFolder: path.join(config.modelDir, config.scoring.model),
    challengerFolders: (config.scoring.challengers ?? []).map((name) =>
      path.join(config.modelDir, name),
    ),
    entityKey: keys.entityKey,
    workers: config.scoring.workers,
    velocityDeadlineMaxMs: config.deadlines.velocityMs,
    queueDepthMax: SCORING_QUEUE_CAPACITY,
    clock: systemClock,
    timers: systemTimers,
    velocityFile: path.join(config.dataDir, 'velocity.snapshot'),
    ...(config.redisUrl === undefined ? {} : { redisUrl: config.redisUrl }),
  })
  if (result.ok) return { ...result, rules }
  return { ok: false as const, problems: result.problems.map(scoringProblem) }
}

function scoringProblem(problem: ScoringProblem): string {
  switch (problem.kind) {
    case 'rules':
      return lineOf(problem.problem)
    case 'model':
      return `the model was refused: ${problem.problem.code} ${problem.problem.message}`
    case 'worker':
      return `a scoring worker did not start: ${problem.message}`
  }
}

/** From open parts to a listening switch. */
async function putTogether(parts: OpenParts): Promise<StartResult> {
  const { config, journal, scorer, ending } = parts
  const { store } = parts.opened
  const dialects = readDialects(config)
  if (!dialects.ok) {
    await Promise.all([store.close(), scorer.close()])
    return dialects
  }
  const issuerTls = readIssuerTls(config)
  if (!issuerTls.ok) {
    await Promise.all([store.close(), scorer.close()])
    return issuerTls
  }
  const world = assemble({
    ...parts,
    store,
    transport: createNetTransport(),
    createHttpClient,
    clock: systemClock,
    timers: systemTimers,
    dialects: dialects.byName,
    issuerTls: issuerTls.byName,
    onBug: ending.afterBug,
  })
  const servers: HttpServer[] = []
  const isoListeners: NetListener[] = []
  // Before recovery, which a signal or a full disk may end.
  ending.takeOver(world, scorer, servers, isoListeners)
  const recovery = await recoverOrSay(world, parts.opened.place, ending)
  if (!recovery.ok) {
    await ending.drain(1)
    return recovery
  }
  const recovered = recovery.report
  journal.watch(gauges(world, scorer), () => scorer.info)
  const rules = await openRules(parts, world)
  if (!rules.ok) {
    await ending.drain(1)
    return rules
  }
  try {
    servers.push(await listenForAcquirers(world, ending))
    servers.push(await listenForOperators(world, scorer, rules.reloads, ending, parts.adminToken))
    isoListeners.push(...(await listenForIso(world, dialects.byName, ending)))
  } catch (error) {
    await ending.drain(1)
    return { ok: false, problems: [(error as Error).message] }
  }
  const [http, admin] = servers as [HttpServer, HttpServer]
  const running: RunningSwitch = {
    url: `http://${config.http.host}:${http.port}`,
    adminUrl: `http://${config.admin.host}:${admin.port}`,
    isoUrls: isoUrls(config, isoListeners),
    facts: facts(world, scorer, parts.opened, recovered),
    ended: ending.ended,
  }
  const unwritten = writeAddresses(config.dataDir, running)
  if (unwritten !== undefined) {
    await ending.drain(1)
    return { ok: false, problems: [unwritten] }
  }
  const started = {
    url: running.url,
    adminUrl: running.adminUrl,
    recovered,
    log: parts.opened.report,
  }
  journal.log.info(started, 'listening')
  const { cutTail } = parts.opened
  if (cutTail !== null) journal.log.warn(cutTail, 'a torn last record was cut')
  return { ok: true, running: { ...running, facts: [...addressFacts(running), ...running.facts] } }
}

/** Keeps the set that decides, and takes others from now on. */
async function openRules(
  { config, scorer, journal, ending, rules }: OpenParts,
  world: World,
): Promise<{ ok: true; reloads: RuleReloads } | { ok: false; problems: readonly string[] }> {
  const { rulesDir } = config
  const keptFolder = keptSetsFolder(config.dataDir)
  try {
    const { ruleSet } = scorer.info
    const event = await keepStartSet(keptFolder, rules, ruleSet, world.clock)
    await appendRuleEvent(keptFolder, event)
  } catch (error) {
    const { message } = error as Error
    return { ok: false, problems: [`${keptFolder}: ${message}: make room, or let it be written`] }
  }
  const checker = new RulesChecker({ rulesDir, keptFolder, timers: systemTimers })
  const { pinned, refused } = rules
  const reloads = new RuleReloads({
    pool: scorer,
    checker,
    record: {
      append: (event) => appendRuleEvent(keptFolder, event),
      history: () => readRuleHistory(keptFolder),
      pin: (set) => writePinnedSet(keptFolder, set),
      unpin: () => removePinnedSet(keptFolder),
    },
    journal,
    clock: world.clock,
    ...{ rulesDir, pinned, atStart: refused },
  })
  if (config.watchRules !== false) {
    const onChange = (files: readonly string[]) =>
      void reloads.reload(`a change of ${someOf(files)}`)
    const watch = await RulesWatch.start({ rulesDir, timers: systemTimers, onChange })
    ending.atEnd(async () => watch.close())
  }
  ending.atEnd(async () => {
    await within(systemTimers, ENDINGS_MS_MAX, reloads.idle())
    await checker.close()
  })
  return { ok: true, reloads }
}

function someOf(files: readonly string[]): string {
  const [first, second] = files
  const rest = files.length > 2 ? ` and ${files.length - 2} more` : ''
  return (second === undefined ? `${first}` : `${first}, ${second}`) + rest
}

/** Recovers; what the disk does to it is a problem to mend, and not a bug. */
async function recoverOrSay(
  world: World,
  place: string,
  ending: Ending,
): Promise<{ ok: true; report: RecoveryReport } | { ok: false; problems: readonly string[] }> {
  try {
    return { ok: true, report: await recoverWorld(world, ending.afterBug) }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    const advice = 'see that it has room and can be read, then start again: nothing was lost'
    return { ok: false, problems: [`${place}: recovery stopped (${message}): ${advice}`] }
  }
}

type Dialects = ReadonlyMap<
  string,
  Extract<ReturnType<typeof readDialect>, { ok: true }>['dialect']
>

function readDialects(
  config: Config,
): { ok: true; byName: Dialects } | { ok: false; problems: readonly string[] } {
  const byName = new Map<string, Dialect>()
  const problems: string[] = []
  const isoDialects = (config.iso?.listeners ?? []).flatMap(({ dialect, peers }) => [
    dialect,
    ...peers.flatMap((peer) => peer.dialect ?? []),
  ])
  for (const name of new Set([
    ...config.issuers.flatMap((one) => one.dialect ?? []),
    ...isoDialects,
  ])) {
    const result = readDialect(name)
    if (result.ok) byName.set(name, result.dialect)
    else
      for (const { source, path, reason } of result.problems) {
        problems.push(`dialect ${source}: ${path} ${reason}`)
      }
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, byName }
}

function readIssuerTls(
  config: Config,
):
  | { ok: true; byName: ReadonlyMap<string, TlsClient> }
  | { ok: false; problems: readonly string[] } {
  const byName = new Map<string, TlsClient>()
  const problems: string[] = []
  for (const { name, tls } of config.issuers) {
    if (tls === undefined) continue
    const result = readTlsClient(tls)
    if (result.ok) byName.set(name, result.tls)
    else problems.push(`issuers: ${name}.tls: ${result.problem}`)
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, byName }
}

function gauges(world: World, scorer: ScorerPool) {
  const each = (read: (issuer: string) => number) =>
    Object.fromEntries([...world.issuers.keys()].map((issuer) => [issuer, read(issuer)]))
  return {
    queueDepths: () => ({ scoring: scorer.queueDepth, in_flight: world.inFlight.size }),
    storeAndForwardDepths: () => each((issuer) => world.storeAndForward.depth(issuer)),
    deadLetters: () => each((issuer) => world.storeAndForward.deadLetters(issuer)),
    storeBytes: () => world.store.status.bytes,
    storeFreeBytes: () => world.store.status.freeBytes ?? null,
    issuerConnections: () =>
      Object.fromEntries([...world.issuers].map(([name, issuer]) => [name, issuer.connections])),
    featurePsi: () =>
      Object.fromEntries((scorer.drift()?.psi ?? []).map(({ name, psi }) => [name, psi])),
    featurePsiSamples: () => scorer.drift()?.samples ?? 0,
    modelAgeSeconds: () => (world.clock.now() - Date.parse(scorer.info.modelCreatedAt)) / 1000,
  }
}

function listenForAcquirers(world: World, ending: Ending): Promise<HttpServer> {
  const api = createAcquirerApi(world)
  const { host, port } = world.config.http
  return listen({
    host,
    port,
    // Any process on the same store may answer.
    isShared: world.store.sharing !== undefined,
    bodyBytesMax: BODY_BYTES_MAX,
    connectionsMax: HTTP_CONNECTIONS_MAX,
    api,
    stream: api.stream,
    onBug: ending.afterBug,
  })
}

/** One listener after the other; rejects where one can't be had. */
async function listenForIso(
  world: World,
  dialects: Dialects,
  ending: Ending,
): Promise<readonly NetListener[]> {
  const configured = world.config.iso?.listeners ?? []
  if (configured.length === 0) return []
  const keyFolder = await openFileDisk(path.join(world.config.dataDir, 'exchanged-keys'))
  if (!keyFolder.ok) throw new Error(keyFolder.problem.message)
  ending.atEnd(() => keyFolder.disk.close())
  const keys = await ExchangedKeys.open(keyFolder.disk, world.vault)
  const listeners: NetListener[] = []
  for (const listener of configured) {
    listeners.push(
      await listenForStreams({
        host: listener.host,
        port: listener.port,
        connectionsMax: ISO_CONNECTIONS_MAX,
        bufferedBytesMax: ISO_BUFFERED_BYTES_MAX,
        accept: createIsoDoor(world, listener, dialects, keys),
        onBug: ending.afterBug,
        ...(listener.tls === undefined ? {} : { tls: readTls(listener.tls) }),
      }),
    )
  }
  return listeners
}

function readTls({ certFile, keyFile, caFile }: NonNullable<IsoListenerConfig['tls']>) {
  const read = (file: string) => readFileSync(file, 'utf8')
  return { cert: read(certFile), key: read(keyFile), ca: read(caFile) }
}

function isoUrls(config: Config, listening: readonly NetListener[]): Record<string, string> {
  return Object.fromEntries(
    (config.iso?.listeners ?? []).map(({ name, host, tls }, i) => {
      const scheme = tls === undefined ? 'tcp' : 'tls'
      return [name, `${scheme}://${host}:${listening[i]?.port}`]
    }),
  )
}

function listenForOperators(
  world: World,
  scorer: ScorerPool,
  reloads: RuleReloads,
  ending: Ending,
  adminToken: string | undefined,
): Promise<HttpServer> {
  const { host, port } = world.config.admin
  const watch = new VelocityWatch(() => scorer.stats(), systemTimers, world.journal.log)
  ending.atEnd(async () => watch.stop())
  const checks = () =>
    readiness(world, {
      rules: reloads.status,
      model: scorer.info.model,
      workersReady: scorer.stats().workersReady,
      velocity: scorer.info.velocity,
      velocityFault: watch.fault,
    })
  world.journal.watchReadiness(checks)
  return listen({
    host,
    port,
    bodyBytesMax: BODY_BYTES_MAX,
    connectionsMax: 100,
    api: createOperationsApi({
      readiness: checks,
      metrics: () => world.journal.registry.metrics(),
      adminToken,
      rules: () => reloads.status,
      commands: {
        ...operatorCommands(reloads, world.store, world.clock),
        ...modelCommands(world, scorer),
      },
      requeue: (transactionId) =>
        requeue(world.store, transactionId, (delivery) => world.storeAndForward.requeue(delivery)),
    }),
    onBug: ending.afterBug,
  })
}

/** Another model without a restart: `switchyard model status | use | rollback`. */
function modelCommands(
  { config, clock, journal }: World,
  pool: ScorerPool,
): Readonly<Record<string, OperatorCommand>> {
  const { model, challengers = [], modelMaxAgeDays = MODEL_MAX_AGE_DAYS } = config.scoring
  const swaps = new ModelSwaps({
    ...{ pool, model, challengers, clock, journal },
    read: readModelSnapshot,
    modelDir: config.modelDir,
    maxAgeDays: modelMaxAgeDays,
  })
  return {
    '/v1/model/status': async () => ({ status: 200, body: swaps.status() }),
    '/v1/model/use': (body) => swaps.use(body),
    '/v1/model/rollback': () => swaps.rollback(),
  }
}

/** For scripts that start a switch on free ports. Says what keeps the file from being written. */
function writeAddresses(
  dataDir: string,
  { url, adminUrl, isoUrls }: RunningSwitch,
): string | undefined {
  const [iso] = Object.values(isoUrls)
  const addresses = { http: url, admin: adminUrl, iso, isoListeners: isoUrls, pid: process.pid }
  const file = path.join(dataDir, 'addresses.json')
  try {
    writeFileSync(file, `${JSON.stringify(addresses)}\n`)
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return `${file} can't be written (${code}): make room for it, or let the switch write there`
  }
}

function addressFacts(running: RunningSwitch): RunningSwitch['facts'] {
  return [
    ['acquirers', [running.url, ...Object.values(running.isoUrls)].join('  ')],
    ['operations', `${running.adminUrl}/readyz?verbose  ${running.adminUrl}/metrics`],
  ]
}

function facts(
  world: World,
  scorer: ScorerPool,
  { place, cutTail }: ConfiguredStore,
  recovered: RecoveryReport,
): RunningSwitch['facts'] {
  const { config } = world
  const { info } = scorer
  const cut = cutTail === null ? '' : `; a torn last record was cut: ${JSON.stringify(cutTail)}`
  const left = `${recovered.declined} left open by a crash, ${recovered.reversed} reversed`
  return [
    ['store', `${place} (${left}${cut})`],
    ['velocity', info.velocity === 'redis' ? 'Redis' : `embedded (${embeddedText(info)})`],
    ['rules', `${info.rules} rules, set ${info.ruleSet}`],
    ['model', `${info.modelName} ${info.model}`],
    ['issuers', config.issuers.map(({ name, host, port }) => `${name} ${host}:${port}`).join(', ')],
  ]
}

/** A crash leaves no snapshot: counters then begin at zero, and `velocity rebuild` fills them. */
function embeddedText({ restored }: ScorerPool['info']): string {
  if (restored?.refused != null)
    return `nothing kept: the snapshot was refused, ${restored.refused}`
  const { entities = 0 } = restored ?? {}
  return entities === 0 ? 'REDIS_URL is not set; counts begin at zero' : `${entities} entities kept`
}

async function readVersion(): Promise<string> {
  const text = await readFile(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/** How this process ends: drained, after a store fault, or on a bug. */
class Ending {
  readonly ended: Promise<number>
  readonly #journal: Journal
  readonly #output: LogOutput
  #resolve: (exitCode: number) => void = () => {}
  #world: World | undefined
  #scorer: ScorerPool | undefined
  #servers: readonly HttpServer[] = []
  #isoListeners: readonly NetListener[] = []
  readonly #atEnd: (() => Promise<void>)[] = []
  #drained: Promise<void> | undefined
  #exitCode = 0
  /** The acquirers' doors: nobody is left to be answered. */
  #areDoorsClosed = false

  constructor(journal: Journal, output: LogOutput) {
    this.#journal = journal
    this.#output = output
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve
    })
    process.on('uncaughtException', this.afterBug)
    process.on('unhandledRejection', this.afterBug)
  }

  takeOver(
    world: World,
    scorer: ScorerPool,
    servers: readonly HttpServer[],
    isoListeners: readonly NetListener[],
  ): void {
    this.#world = world
    this.#scorer = scorer
    this.#servers = servers
    this.#isoListeners = isoListeners
    // `on`: a second one must not kill what the first one drains.
    process.on('SIGTERM', () => void this.drain(0))
    process.on('SIGINT', () => void this.drain(0))
  }

  /** Closed with the store: what only a part of the switch uses. */
  atEnd(close: () => Promise<void>): void {
    this.#atEnd.push(close)
  }

  /** A bug: its state can't be trusted, so the process ends at once and recovery decides. */
  readonly afterBug = (error: unknown): void => {
    // What still runs for a connection that was closed finds the store closed, too.
    if (this.#areDoorsClosed && error instanceof StoreFault) return
    const { name, message, stack } = error instanceof Error ? error : new Error(String(error))
    try {
      this.#journal.log.fatal({ error: { name, message, stack } }, 'a bug: the process ends')
      this.#output.flush()
    } finally {
      process.exit(70)
    }
  }

  /** The store can't be written: nothing new, what is in flight is answered 503, then the end. */
  afterFault(reason: string): void {
    this.#journal.log.fatal({ reason }, 'the store failed: readiness is off, the process stops')
    void this.drain(1)
  }

  /** Readiness off, nothing new, in-flight answered, store flushed, workers released. */
  drain(exitCode: number): Promise<void> {
    const world = this.#world
    const scorer = this.#scorer
    if (world === undefined || scorer === undefined) return Promise.resolve()
    if (exitCode !== 0) this.#exitCode = exitCode
    this.#drained ??= this.#drain(world, scorer)
    return this.#drained
  }

  async #drain(world: World, scorer: ScorerPool): Promise<void> {
    const { drainMs } = world.config.deadlines
    this.#journal.log.info({ inFlight: world.inFlight.size, drainMs }, 'draining')
    const tooLate = systemTimers.set(drainMs, () => {
      try {
        this.#journal.log.error({ inFlight: world.inFlight.size }, 'the drain took too long')
        this.#output.flush()
      } finally {
        process.exit(this.#exitCode === 0 ? 75 : this.#exitCode)
      }
    })
    world.door.isOpen = false
    // The operations port stays: /readyz says that it drains, /metrics has the last figures.
    const [acquirers, ...operators] = this.#servers
    acquirers?.drain()
    for (const listener of this.#isoListeners) listener.drain()
    await endWorld(world)
    // Replies leave in the turns after their outcome; then nobody may ask a store that closes.
    await within(systemTimers, REPLIES_LEAVE_MS, new Promise(() => {}))
    acquirers?.close()
    for (const listener of this.#isoListeners) listener.close()
    this.#areDoorsClosed = true
    await scorer.close()
    await world.store.close()
    await Promise.all(this.#atEnd.map((close) => close()))
    for (const server of operators) server.close()
    this.#journal.log.info('drained')
    this.#output.flush()
    systemTimers.clear(tooLate)
    this.#resolve(this.#exitCode)
  }
}

/** A reply needs some turns of the event loop from its outcome to the socket. */
const REPLIES_LEAVE_MS = 50
