// `switchyard model status | use | rollback | release | drift`: which model decides, another one
// without a restart, and whether the world is still the one that the model was trained on.

import path from 'node:path'
import type { Command } from 'commander'
import { type DriftReport, drifted, loadTraining } from '#scoring'
import { keptModelsFolder, readModelRecord } from '../adapters/model-record.ts'
import type { ModelRecord, ModelStatus } from '../operations/index.ts'
import { configuredDataDir, order, runningAdminUrl } from './operations-port.ts'
import { PROJECT_ROOT } from './run-tool.ts'

interface JsonOption {
  readonly json?: boolean
}

interface GeneratedDriftOptions extends JsonOption {
  readonly amountFactor: number
  readonly withoutDevice?: boolean
  readonly days: number
  readonly seed: number
}

export function registerModelLife(model: Command): void {
  const example = (rest: string) => `\nExample:\n  $ ${rest}`
  const json = ['--json', 'one line of JSON'] as const
  model
    .command('status')
    .description('which model decides, since when it is chosen, its age, challengers, drift')
    .option(...json)
    .addHelpText('after', example('npx switchyard model status'))
    .action((options: JsonOption) => status(options))
  model
    .command('use')
    .description(
      'have the running switch take another model; it decides, also after restarts, until release',
    )
    .argument('[name]', 'a folder in MODEL_DIR')
    .option('--challengers <names...>', 'models to score in shadow; none: --challengers none')
    .option(...json)
    .addHelpText('after', example('ADMIN_TOKEN=... npx switchyard model use trial'))
    .action((name: string | undefined, options: JsonOption & { challengers?: string[] }) => {
      const { challengers } = options
      const named = challengers?.filter((each) => each !== 'none')
      return tell('use', { model: name, challengers: named }, options)
    })
  model
    .command('rollback')
    .description('have the running switch go back to the model before, as it was (ADMIN_TOKEN)')
    .option(...json)
    .addHelpText('after', example('ADMIN_TOKEN=... npx switchyard model rollback'))
    .action((options: JsonOption) => tell('rollback', {}, options))
  model
    .command('release')
    .description('what the configuration names decides again, models in shadow too (ADMIN_TOKEN)')
    .option(...json)
    .addHelpText('after', example('ADMIN_TOKEN=... npx switchyard model release'))
    .action((options: JsonOption) => tell('release', {}, options))
  model
    .command('drift')
    .description(
      "generated traffic past the shipped model: how far is it from the model's training?",
    )
    .option('--amount-factor <n>', 'multiply every amount: a shifted population', Number, 1)
    .option('--without-device', 'nobody sends a device any more')
    .option(
      '--days <n>',
      'days that are counted: whole weeks, or weekdays look like drift',
      Number,
      7,
    )
    .option('--seed <n>', 'of the generated population; the training had 1', Number, 2)
    .option(...json)
    .addHelpText('after', example('npx switchyard model drift --amount-factor 3'))
    .action(async (options: GeneratedDriftOptions) => {
      process.exitCode = await drift(options)
    })
}

/** Asks the running switch, without a token; from the folder of one that is stopped. */
async function status({ json }: JsonOption): Promise<void> {
  process.exitCode = 2
  const dataDir = configuredDataDir()
  if (dataDir === undefined) return
  const adminUrl = await runningAdminUrl(dataDir)
  if (adminUrl === undefined) {
    const record = await readModelRecord(keptModelsFolder(dataDir))
    if (json === true) console.log(JSON.stringify({ running: false, ...record }))
    else console.log(`no switch runs here\n${recordText(record)}`)
    process.exitCode = 0
    return
  }
  const found = (await (await fetch(`${adminUrl}/v1/model`)).json()) as ModelStatus
  process.exitCode = found.isStale || found.refusedAtStart.length > 0 ? 1 : 0
  if (json === true) console.log(JSON.stringify({ running: true, ...found }))
  else console.log(statusText(found))
}

/** Orders the running switch; says what it answered. */
async function tell(command: string, body: object, { json }: JsonOption): Promise<void> {
  const dataDir = configuredDataDir()
  process.exitCode = 2
  if (dataDir === undefined) return
  const adminUrl = await runningAdminUrl(dataDir)
  if (adminUrl === undefined) {
    console.error('no switch runs here: start it, or check a folder with `model check`')
    return
  }
  const answer = await order(adminUrl, `/v1/model/${command}`, body)
  if (answer === undefined) return
  process.exitCode = answer.status === 200 ? 0 : 1
  if (json === true) console.log(JSON.stringify(answer.body))
  else if (answer.status !== 200) console.error((answer.body as { message: string }).message)
  else console.log(takenText(answer.body as Taken))
}

interface Taken {
  readonly model: string
  readonly version: string
  readonly challengers: readonly string[]
  readonly chosenSince: string | null
}

function takenText({ model, version, challengers, chosenSince }: Taken): string {
  const lasts =
    chosenSince === null ? 'as configured' : 'also after restarts, until `model release`'
  return `${model} ${version} decides, ${lasts}; in shadow: ${listed(challengers)}`
}

function recordText({ chosenSince, model, challengers }: ModelRecord): string {
  if (model === null) return 'no model has decided yet: a start takes the configured one'
  const named = `${model.name} ${model.version}`
  if (chosenSince === null) return `${named} decided last; a start takes the configured model`
  const shadow = listed(challengers.map(({ name }) => name))
  return `the next start obeys: CHOSEN: ${named} since ${chosenSince}; in shadow: ${shadow}`
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ')
}

function statusText(status: ModelStatus): string {
  const { model, version, ageDays, isStale, bands, challengers, previous, drift: report } = status
  const { chosenSince, configured, refusedAtStart } = status
  const chosen = `CHOSEN since ${chosenSince}, also after restarts; \`model release\``
  return [
    `${model} ${version} decides, ${ageDays} days old${isStale ? ': STALE, train another' : ''}`,
    ...refusedAtStart.map((problem) => `REFUSED at the start: ${problem}`),
    chosenSince === null
      ? `as configured: ${configured}`
      : `${chosen} goes back to the configured ${configured}`,
    `bands: ${bands.map(({ name, from }) => `${name} from ${from}`).join(', ')}`,
    `in shadow: ${listed(challengers)}`,
    previous === null
      ? 'a rollback has nowhere to go'
      : `a rollback would take ${previous.model} ${previous.version}`,
    report === null ? 'drift: not enough decisions in complete hours yet' : driftText(report),
  ].join('\n')
}

/** Its rule is in switch/ops/alerts.yaml; it fires once this has held for two hours. */
const DRIFT_ALERT = 'SwitchyardFeatureDrift'

function driftText(report: DriftReport): string {
  const moved = drifted(report)
  const worst = [...report.psi].sort((one, other) => other.psi - one.psi).slice(0, 8)
  return [
    moved.length === 0
      ? `no drift over ${report.samples} decisions: nothing raises ${DRIFT_ALERT}`
      : `drift over ${report.samples} decisions raises ${DRIFT_ALERT}: ${moved.join(', ')}`,
    ...worst.map(({ name, psi }) => `  ${psi.toFixed(3)}  ${name}`),
  ].join('\n')
}

async function drift(options: GeneratedDriftOptions): Promise<number> {
  const { DEFAULT_GENERATE_OPTIONS, generatedDrift } = await loadTraining()
  const { amountFactor, days, seed, withoutDevice = false, json } = options
  if (!(amountFactor > 0) || !(days >= 1) || !Number.isInteger(seed)) {
    console.error('--amount-factor is above 0, --days a whole number from 1, --seed a whole number')
    return 2
  }
  console.error('a month of generated traffic fills the counters first: this takes a minute')
  const report = await generatedDrift({
    modelFolder: path.join(PROJECT_ROOT, 'scoring', 'models', 'switchyard-trees'),
    generate: { ...DEFAULT_GENERATE_OPTIONS, seed },
    ...{ warmUpDays: 24, countedDays: days, amountFactor, withoutDevice },
  })
  const moved = drifted(report)
  console.log(json === true ? JSON.stringify({ ...report, drifted: moved }) : driftText(report))
  return moved.length === 0 ? 0 : 1
}
