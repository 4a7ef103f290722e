// What a simulation is built on, read from files before it begins: the shipped configuration,
// dialect and rules, and keys that are the same for every run.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import pino from 'pino'
import { compileRuleSet, readRuleFiles } from '#rules'
import { newKeyFile, parseKeyFile } from '../card-data/index.ts'
import { type Config, readConfig } from '../config/index.ts'
import { Journal } from '../observe/index.ts'
import { type Ground, portCallSites, type SourceText } from '../simulation/episode/index.ts'
import { createSeededRandom } from '../simulation/index.ts'
import { readDialect } from './dialect-files.ts'

/** Kept, since a sealed process has none any more. */
const later = setImmediate

const RULES_DIR = new URL('../../rules/', import.meta.url)
const CONFIG_FILE = new URL('../config/default.yaml', import.meta.url)

/** Two connections to the first issuer, which the second one stands by for. */
const ROUTES: Config['routes'] = [
  { bins: ['476173'], issuer: 'demo-a', failOver: ['demo-b'] },
  { bins: ['541333'], issuer: 'demo-b' },
]

/** What both issuers let the switch answer in their place: some, so that limits are met too. */
const STAND_IN: NonNullable<Config['issuers'][number]['standIn']> = {
  currency: 'EUR',
  amountMax: 25_000,
  card: { countMax: 3, sumMax: 40_000 },
  bin: { countMax: 1_000, sumMax: 10_000_000 },
  mccs: ['5411'],
  scoreMax: 0.35,
}

/** Throws where what ships can't be read: there is nothing to simulate then. */
export async function readGround(lateAnswerWindowMs: number): Promise<Ground> {
  const shipped = readConfig(readFileSync(CONFIG_FILE, 'utf8'), {})
  if (!shipped.ok) throw new Error(`the shipped configuration: ${shipped.problems.join('; ')}`)
  const dialect = readDialect('iso8583-1987-ascii')
  if (!dialect.ok) throw new Error('the shipped dialect can not be read')
  const rules = compileRuleSet(await readRuleFiles(RULES_DIR.pathname))
  if (!rules.ok) throw new Error('the shipped rules have errors: see `switchyard rules lint`')
  const keys = parseKeyFile(newKeyFile(createSeededRandom(1)))
  if (!keys.ok) throw new Error(keys.problem)
  const { config } = shipped
  const issuers = config.issuers.map((issuer) => ({
    ...issuer,
    connections: issuer.name === 'demo-a' ? 2 : 1,
    lateAnswerWindowMs,
    standIn: STAND_IN,
  }))
  const log = pino({ level: 'silent' })
  return {
    config: { ...config, issuers, routes: ROUTES },
    keys: keys.keys,
    dialect: dialect.dialect,
    rules,
    callSites: portCallSites(readMessagePath()),
    journal: new Journal({ log, oneLineIn: 0, version: 'simulated' }),
    settle: () => new Promise((resolve) => later(resolve)),
  }
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const DOORS: Readonly<Record<string, string>> = {
  '#switch': 'switch/index.ts',
  '#scoring': 'scoring/index.ts',
  '#rules': 'rules/index.ts',
}
const IMPORT = /^(?:import|export)(?! type)[^'"]*? from '([^']+)'/gm

/** The sources of everything that one life of the simulated switch is made of. */
function readMessagePath(): SourceText[] {
  const sources = new Map<string, SourceText>()
  const read = (file: string) => {
    if (sources.has(file)) return
    const text = readFileSync(path.join(ROOT, file), 'utf8')
    sources.set(file, { path: file, text })
    for (const [, from = ''] of text.matchAll(IMPORT)) {
      const door = DOORS[from]
      if (door !== undefined) read(door)
      else if (from.startsWith('.')) read(path.posix.join(path.posix.dirname(file), from))
    }
  }
  read('switch/simulation/episode/life.ts')
  return [...sources.values()]
}
