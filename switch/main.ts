// Puts the world together and starts it: the only place where adapters meet the path.

import { readFile } from 'node:fs/promises'
import type { ScorerPool } from '#scoring'
import { writeAddresses } from './adapters/addresses-file.ts'
import { type ModelsAtStart, openConfiguredModels } from './adapters/configured-models.ts'
import { openConfiguredRules } from './adapters/configured-rules.ts'
import { openConfiguredScorer } from './adapters/configured-scorer.ts'
import { type ConfiguredStore, openConfiguredStore } from './adapters/configured-store.ts'
import { readDialects } from './adapters/dialect-files.ts'
import { readKeyFile } from './adapters/key-files.ts'
import {
  isoUrls,
  listenForAcquirers,
  listenForIso,
  listenForOperators,
} from './adapters/listeners.ts'
import { createLogger } from './adapters/log-output.ts'
import type { NetListener } from './adapters/net-listener.ts'
import { createNetTransport } from './adapters/net-transport.ts'
import { ProcessEnd } from './adapters/process-end.ts'
import type { RulesAtStart } from './adapters/rules-at-start.ts'
import { createSystemRandom, systemClock, systemTimers } from './adapters/system-clock.ts'
import { readIssuerTls } from './adapters/tls-files.ts'
import { createHttpClient } from './adapters/undici-http-client.ts'
import { assemble, recoverWorld } from './assemble.ts'
import type { KeyRing } from './card-data/index.ts'
import type { Config } from './config/index.ts'
import { assertIngressRelations, type HttpServer } from './ingress/index.ts'
import { assertRelations } from './limit-relations.ts'
import { Journal } from './observe/index.ts'
import { type Addresses, addressFacts, type Facts, facts, gauges } from './operations/index.ts'
import type { Random } from './ports.ts'
import type { RecoveryReport } from './recover.ts'
import { isOperatingError, type UpkeepDone, type UpkeepEvent } from './store/index.ts'
import type { World } from './world.ts'

/** A switch that takes traffic. */
export interface RunningSwitch extends Addresses {
  /** What an operator wants to see at the start, name and value. */
  readonly facts: Facts
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
  assertIngressRelations()
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
  const processEnd = new ProcessEnd(journal, output)
  const [store, scorer] = await Promise.all([
    openConfiguredStore({
      config,
      keys: keyFile.keys,
      random,
      onFlush: (flush) => journal.flushed(flush.seconds),
      onFault: (reason) => processEnd.afterFault(reason),
      onUpkeep: (event) => noteUpkeep(journal, event),
    }),
    openConfiguredScorer(config, keyFile.keys, output.log),
  ])
  if (!store.ok || !scorer.ok) {
    if (store.ok) await store.opened.store.close()
    if (scorer.ok) await scorer.pool.close()
    return { ok: false, problems: [...problemsOf(store), ...problemsOf(scorer)] }
  }
  const adminToken = environment.ADMIN_TOKEN
  const parts = { config, keys: keyFile.keys, random, journal, processEnd, adminToken }
  return putTogether({
    ...parts,
    opened: store.opened,
    scorer: scorer.pool,
    rules: scorer.rules,
    models: scorer.models,
  })
}

interface OpenParts {
  readonly config: Config
  readonly keys: KeyRing
  readonly random: Random
  readonly journal: Journal
  readonly processEnd: ProcessEnd
  readonly opened: ConfiguredStore
  readonly adminToken: string | undefined
  readonly scorer: ScorerPool
  readonly rules: RulesAtStart
  readonly models: ModelsAtStart
}

/** What frees the disk is news; what keeps it from being freed wants somebody to look. */
function noteUpkeep({ log }: Journal, event: UpkeepEvent | UpkeepDone): void {
  if (event.kind === 'failed') log.error(event, 'the upkeep of the store failed: tried again')
  else if (event.kind === 'tended') log.info(event, 'the store was tended')
  else if (event.kind === 'room_low') log.error(event, 'too little room for the store')
  else log.info(event, event.kind === 'compacted' ? 'the store was compacted' : 'room again')
}

function problemsOf(part: { ok: true } | { ok: false; problems: readonly string[] }) {
  return part.ok ? [] : part.problems
}

/** From open parts to a listening switch. */
async function putTogether(parts: OpenParts): Promise<StartResult> {
  const { config, journal, scorer, processEnd } = parts
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
    onBug: processEnd.afterBug,
  })
  const servers: HttpServer[] = []
  const isoListeners: NetListener[] = []
  // Before recovery, which a signal or a full disk may end.
  processEnd.takeOver(world, scorer, servers, isoListeners)
  const recovery = await recoverOrSay(world, parts.opened.place, processEnd)
  if (!recovery.ok) {
    await processEnd.drain(1)
    return recovery
  }
  const recovered = recovery.report
  journal.watch(gauges(world, scorer), () => scorer.info)
  const rules = await openConfiguredRules(parts)
  const models = await openConfiguredModels(parts)
  if (!rules.ok || !models.ok) {
    await processEnd.drain(1)
    return { ok: false, problems: [...problemsOf(rules), ...problemsOf(models)] }
  }
  const changes = { reloads: rules.reloads, swaps: models.swaps }
  try {
    servers.push(await listenForAcquirers(world, processEnd))
    servers.push(await listenForOperators(world, scorer, changes, processEnd, parts.adminToken))
    isoListeners.push(...(await listenForIso(world, dialects.byName, processEnd)))
  } catch (error) {
    await processEnd.drain(1)
    return { ok: false, problems: [(error as Error).message] }
  }
  const [http, admin] = servers as [HttpServer, HttpServer]
  const running: RunningSwitch = {
    url: `http://${config.http.host}:${http.port}`,
    adminUrl: `http://${config.admin.host}:${admin.port}`,
    isoUrls: isoUrls(config, isoListeners),
    facts: facts(world, scorer, parts.opened, recovered),
    ended: processEnd.ended,
  }
  const unwritten = writeAddresses(config.dataDir, running)
  if (unwritten !== undefined) {
    await processEnd.drain(1)
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

/** Recovers; what the disk does to it is a problem to mend, and not a bug. */
async function recoverOrSay(
  world: World,
  place: string,
  processEnd: ProcessEnd,
): Promise<{ ok: true; report: RecoveryReport } | { ok: false; problems: readonly string[] }> {
  try {
    return { ok: true, report: await recoverWorld(world, processEnd.afterBug) }
  } catch (error) {
    if (!isOperatingError(error)) throw error
    const advice = 'see that it has room and can be read, then start again: nothing was lost'
    return { ok: false, problems: [`${place}: recovery stopped (${error.message}): ${advice}`] }
  }
}

async function readVersion(): Promise<string> {
  const text = await readFile(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
