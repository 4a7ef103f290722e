// Adapter: the store that the configuration names: PostgreSQL where there is a DATABASE_URL, else
// the embedded one below the data folder. Keys are checked before a card could be sealed with them.

import path from 'node:path'
import { CardVault, type KeyRing } from '../card-data/index.ts'
import { type Config, longestValidityDays, retentionOf } from '../config/index.ts'
import { DAY_MS, KEY_RETENTION_MS } from '../limits.ts'
import type { Random } from '../ports.ts'
import {
  type CardKeys,
  DEFAULT_LEASE_MS,
  type Flush,
  flushDeadlineFor,
  openPostgresStore,
  type TransactionStore,
  UPKEEP,
  type UpkeepDone,
  type UpkeepEvent,
  type UpkeepOptions,
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
  /** What the store did about its age and size. */
  readonly onUpkeep?: (event: UpkeepEvent | UpkeepDone) => void
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
  onUpkeep,
}: ConfiguredStoreOptions): Promise<OpenedConfiguredStore> {
  const folder = path.join(config.dataDir, 'store')
  const basics = common(random)
  const upkeep = upkeepOf(config, keys, basics.owner)
  const result = await openStoreFolder(folder, {
    ...basics,
    upkeep: onUpkeep === undefined ? upkeep : { ...upkeep, onEvent: onUpkeep },
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
  { config, keys, random, onFlush, onFault, onUpkeep }: ConfiguredStoreOptions,
  url: string,
): Promise<OpenedConfiguredStore> {
  const database = openPostgresDatabase(url, 'switchyard')
  const basics = common(random)
  const result = await openPostgresStore({
    ...basics,
    database,
    retention: upkeepOf(config, keys, basics.owner),
    onTended: (done) => onUpkeep?.(done),
    onTendFailed: (reason) => onUpkeep?.({ kind: 'failed', reason }),
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

/** What the configuration says of the embedded store's age and size. */
export function upkeepOf(config: Config, keys: KeyRing, owner: string): UpkeepOptions {
  const { retentionDays, panRetentionDays, ...room } = retentionOf(config)
  const { segmentMsMax, everyMs, pauseMs } = UPKEEP
  return {
    ...room,
    ...{ segmentMsMax, everyMs, pauseMs },
    retentionMs: retentionDays * DAY_MS,
    panRetentionMs: panRetentionDays * DAY_MS,
    retentionMinMs: longestValidityDays(config) * DAY_MS + KEY_RETENTION_MS,
    keys: cardKeys(keys, owner),
  }
}

/** A vault of its own, since no two may seal under the same owner's name: no IV comes twice. */
function cardKeys(keys: KeyRing, owner: string): CardKeys {
  const vault = new CardVault(keys, `${owner} reseal`)
  return {
    currentKeyId: keys.currentPanKeyId,
    isRotating: keys.panKeys.size > 1,
    reseal: (card) => {
      try {
        return vault.seal(vault.unseal(card))
      } catch {
        // It stays as it is, and is counted under its key: `keys retire` refuses then.
        return card
      }
    },
  }
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
