// What tests put a simulated switch together of: the shipped configuration and dialect, keys of its
// own, and the system's clock.

import { newKeyFile, parseKeyFile } from '../card-data/index.ts'
import type { Config } from '../config/index.ts'
import type { SimulatedSwitchOptions } from '../simulated-switch.ts'
import { readConfigFile } from './config-files.ts'
import { readDialect } from './dialect-files.ts'
import { createSystemRandom, systemClock, systemTimers } from './system-clock.ts'

type Parts = Pick<
  SimulatedSwitchOptions,
  'config' | 'dialect' | 'keys' | 'clock' | 'timers' | 'random'
>

/** Issuers get `issuerTimeoutMs` to answer, or what ships. Throws where what ships can't be read. */
export function simulatedParts(issuerTimeoutMs?: number): Parts {
  const configured = readConfigFile({})
  const dialect = readDialect('iso8583-1987-ascii')
  const random = createSystemRandom()
  const keys = parseKeyFile(newKeyFile(random))
  if (!configured.ok) throw new Error(configured.problems.join('; '))
  if (!dialect.ok) throw new Error('the shipped dialect can not be read')
  if (!keys.ok) throw new Error(keys.problem)
  const { config } = configured
  return {
    config: issuerTimeoutMs === undefined ? config : withIssuerTimeout(config, issuerTimeoutMs),
    dialect: dialect.dialect,
    keys: keys.keys,
    clock: systemClock,
    timers: systemTimers,
    random,
  }
}

/** The same configuration, in which every issuer has so long to answer. */
export function withIssuerTimeout(config: Config, timeoutMs: number): Config {
  return { ...config, issuers: config.issuers.map((issuer) => ({ ...issuer, timeoutMs })) }
}
