// The store of a switch that is stopped, opened for one command that writes: its folder, or as one
// process more on its database.

import path from 'node:path'
import { openPostgresDatabase } from '../adapters/postgres-database.ts'
import { openStoreFolder } from '../adapters/store-folder.ts'
import { createSystemRandom, systemClock, systemTimers } from '../adapters/system-clock.ts'
import type { Config } from '../config/index.ts'
import { KEY_RETENTION_MS } from '../limits.ts'
import { DEFAULT_LEASE_MS, openPostgresStore, type TransactionStore } from '../store/index.ts'
import { IdentifierSource } from '../ulid.ts'

/**
 * Opens the configured store, works on it, and closes it. `command` names the owner, as others see
 * it meanwhile. Undefined after saying why it can't be opened.
 */
export async function inStoppedStore<T>(
  config: Config,
  command: string,
  work: (store: TransactionStore) => Promise<T>,
): Promise<T | undefined> {
  const opened = await open(config, command)
  if (!opened.ok) {
    console.error(opened.problem.message)
    return undefined
  }
  try {
    return await work(opened.store)
  } finally {
    await opened.store.close()
  }
}

function open({ dataDir, databaseUrl, database }: Config, command: string) {
  const random = createSystemRandom()
  const owner = new IdentifierSource(systemClock, random).next(`${command}_`)
  const common = { clock: systemClock, timers: systemTimers, owner }
  const options = { ...common, keyRetentionMs: KEY_RETENTION_MS }
  if (databaseUrl === undefined) {
    return openStoreFolder(path.join(dataDir, 'store'), { ...options, random })
  }
  return openPostgresStore({
    ...options,
    database: openPostgresDatabase(databaseUrl, `switchyard ${command}`),
    issuers: [],
    limits: { leaseMs: database?.leaseMs ?? DEFAULT_LEASE_MS },
  })
}
