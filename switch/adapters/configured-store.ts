// Adapter: the store that the configuration names: PostgreSQL where there is a DATABASE_URL, else
// the embedded one below the data folder. Keys are checked before a card could be sealed with them.

import path from 'node:path'
import type { KeyRing } from '../card-data/index.ts'
import type { Config } from '../config/index.ts'
import { KEY_RETENTION_MS } from '../limits.ts'
import type { Random } from '../ports.ts'
import {
  DEFAULT_LEASE_MS,
  type Flush,
  flushDeadlineFor,
  openPostgresStore,
  type TransactionStore,
} from '../store/index.ts'
import { IdentifierSource } from '../ulid.ts'
import { checkKeys, compareKeys } from './key-check.ts'
import { openPostgresDatabase } from './postgres-database.ts'
import { openStoreFolder } from './store-folder.ts'
import { systemClock, systemTimers } from './system-clock.ts'

export interface ConfiguredStoreOptions {
  readonly config: Config
  readonly keys: KeyRing
  readonly random: Random
  readonly onFlush: (flush: Flush) => void
  readonly onFault: (reason: string) => void
}

export interface ConfiguredStore {
  readonly store: TransactionStore
  /** For the banner: `embedded, .data/store`. Holds no password. */
  readonly place: string
  /** What the start found, for the log. */
  readonly report: object
  /** The end of the log that a crash had torn, and that was cut. */
  readonly cutTail: object | null
}

export type OpenedConfiguredStore =
  | { readonly ok: true; readonly opened: ConfiguredStore }
  | { readonly ok: false; readonly problems: readonly string[] }

export function openConfiguredStore(
  options: ConfiguredStoreOptions,
): Promise<OpenedConfiguredStore> {
  const { databaseUrl } = options.config
  return databaseUrl === undefined ? openEmbedded(options) : openShared(options, databaseUrl)
}

async function openEmbedded({
  config,
  keys,
  random,
  onFlush,
  onFault,
}: ConfiguredStoreOptions): Promise<OpenedConfiguredStore> {
  const folder = path.join(config.dataDir, 'store')
  const result = await openStoreFolder(folder, {
    ...common(random),
    limits: { flushDeadlineMs: flushDeadlineFor(config.deadlines.durabilityMs) },
    onFlush,
    onFault,
  })
  if (!result.ok) return { ok: false, problems: [`${folder}: ${result.problem.message}`] }
  const { store, report } = result
  // The store's lock is held by now, so no other process notes its keys at the same time.
  const checked = checkKeys(config.dataDir, config.keysFile, keys)
  if (!checked.ok) {
    await store.close()
    return { ok: false, problems: [checked.problem] }
  }
  const { cutTail } = report
  return { ok: true, opened: { store, place: `embedded, ${folder}`, report, cutTail } }
}

async function openShared(
  { config, keys, random, onFlush, onFault }: ConfiguredStoreOptions,
  url: string,
): Promise<OpenedConfiguredStore> {
  const database = openPostgresDatabase(url, 'switchyard')
  const result = await openPostgresStore({
    ...common(random),
    database,
    issuers: config.issuers.map(({ name }) => name),
    limits: {
      commitDeadlineMs: config.deadlines.durabilityMs,
      leaseMs: config.database?.leaseMs ?? DEFAULT_LEASE_MS,
    },
    checkKeys: (known) => compareKeys(known, config.keysFile, keys),
    onFlush,
    onFault,
  })
  if (!result.ok) return { ok: false, problems: [result.problem.message] }
  const { store, report } = result
  const place = `PostgreSQL, ${database.address}, process ${report.slot + 1}`
  return { ok: true, opened: { store, place, report, cutTail: null } }
}

function common(random: Random) {
  return {
    clock: systemClock,
    timers: systemTimers,
    random,
    owner: new IdentifierSource(systemClock, random).next('switch_'),
    keyRetentionMs: KEY_RETENTION_MS,
  }
}
