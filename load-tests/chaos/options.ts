// What a chaos run may be told on the command line.

import { parseArgs } from 'node:util'
import { FAULT_NAMES, FAULTS, type FaultName, type StoreKind } from './faults.ts'
import { authorizationsMax } from './limits.ts'

export interface ChaosOptions {
  readonly ratePerSecond: number
  readonly durationSeconds: number
  readonly stores: readonly StoreKind[]
  readonly faults: readonly FaultName[]
  readonly seed: number
  readonly settleSeconds: number
  readonly mustBeEmpty: boolean
  readonly keep: string | undefined
  readonly json: boolean
}

export type OptionsResult =
  | { readonly kind: 'run'; readonly options: ChaosOptions }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly message: string }

const faultLines = Object.entries(FAULTS)
  .map(([name, { says }]) => `  ${name.padEnd(24)} ${says}`)
  .join('\n')

export const usage = `Usage: switchyard chaos [options]

Starts the switch, three issuers, redis-server and PostgreSQL as real processes on free ports, each
link through a proxy, and offers authorizations (a share captured, reversed, sent twice) at a fixed
rate while a plan of faults strikes them. Then an auditor holds every answer, the store and the
issuers' ledgers against one another. Exit 0 only where nothing differs; 1 otherwise, 2 wrong use.

  --rate N          authorizations a second (1000)
  --minutes M       of load, for each store (3)
  --store S         embedded, postgres (two switches on one database), or both (both)
  --faults LIST     names separated by commas (all); \`none\` for a run without
  --seed N          of the load and of the plan (drawn and printed)
  --settle S        how long reversals may take to arrive before the books are judged (60)
  --until-empty     wait until every queue is empty, ten minutes and more: a reversal of what never
                    reached its issuer is repeated until no late approval can come any more
  --keep FOLDER     keep logs, stores and ledgers there; it must be empty or absent
  --json            one line: {seed, ok, runs: [{store, faults, recoveries, audit, ...}]}
  --help

Ctrl-C ends the load and still audits; a second one ends at once.

Faults:
${faultLines}

Examples:
  npx switchyard chaos
  npx switchyard chaos --rate 50 --minutes 0.5 --store embedded --faults kill-switch,cut-issuer
  npx switchyard chaos --seed 42 --store postgres --json
`

/** `drawSeed` is asked where none was given. */
export function readChaosOptions(args: readonly string[], drawSeed: () => number): OptionsResult {
  let values: Readonly<Record<string, string | boolean | undefined>>
  try {
    values = parseArgs({
      args: [...args],
      options: {
        rate: { type: 'string', default: '1000' },
        minutes: { type: 'string', default: '3' },
        store: { type: 'string', default: 'both' },
        faults: { type: 'string', default: 'all' },
        seed: { type: 'string' },
        settle: { type: 'string' },
        'until-empty': { type: 'boolean', default: false },
        keep: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    return { kind: 'wrong', message: (error as Error).message }
  }
  if (values.help === true) return { kind: 'help' }
  const mustBeEmpty = values['until-empty'] === true
  const ratePerSecond = Number(values.rate)
  const durationSeconds = Number(values.minutes) * 60
  const settleSeconds = Number(values.settle ?? (mustBeEmpty ? 900 : 60))
  const seed = values.seed === undefined ? drawSeed() : Number(values.seed)
  const stores = storesOf(String(values.store))
  const faults = faultsOf(String(values.faults))
  const problem =
    [stores, faults].find((it) => typeof it === 'string') ??
    problemOf({ ratePerSecond, durationSeconds, settleSeconds, seed })
  if (typeof stores === 'string' || typeof faults === 'string' || problem !== undefined) {
    return { kind: 'wrong', message: String(problem) }
  }
  const keep = typeof values.keep === 'string' ? values.keep : undefined
  return {
    kind: 'run',
    options: {
      ...{ ratePerSecond, durationSeconds, stores, faults, seed, settleSeconds, mustBeEmpty },
      ...{ keep, json: values.json === true },
    },
  }
}

function storesOf(word: string): readonly StoreKind[] | string {
  if (word === 'both') return ['embedded', 'postgres']
  if (word === 'embedded' || word === 'postgres') return [word]
  return '--store is embedded, postgres or both'
}

function faultsOf(list: string): readonly FaultName[] | string {
  if (list === 'all') return FAULT_NAMES
  if (list === 'none') return []
  const names = list.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !Object.hasOwn(FAULTS, name))
  if (unknown === undefined) return names as FaultName[]
  return `--faults: there is no "${unknown}"; there are ${FAULT_NAMES.join(', ')}`
}

function problemOf(numbers: {
  readonly ratePerSecond: number
  readonly durationSeconds: number
  readonly settleSeconds: number
  readonly seed: number
}): string | undefined {
  const { ratePerSecond, durationSeconds, settleSeconds, seed } = numbers
  if (!(ratePerSecond > 0)) return '--rate is a number above 0'
  if (!(durationSeconds > 0)) return '--minutes is a number above 0, such as 3 or 0.5'
  if (!(settleSeconds > 0)) return '--settle is a number of seconds above 0'
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) return '--seed is 0 to 4294967295'
  if (ratePerSecond * durationSeconds <= authorizationsMax) return undefined
  return `--rate times --minutes is above ${authorizationsMax} authorizations`
}
