// `switchyard model`: what a data scientist does with the risk model before the switch loads it.

import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { checkModel, type Evaluation, loadTraining, type ModelCheck } from '#scoring'
import { registerModelCompare } from './model-compare.ts'
import { registerModelLabels } from './model-labels.ts'
import { registerModelLife } from './model-life.ts'
import { PROJECT_ROOT } from './run-tool.ts'

interface TrainArguments {
  readonly out?: string
  readonly name: string
  readonly modelVersion: string
  readonly seed: number
  readonly days: number
  readonly customers: number
  readonly trees: number
  readonly depth: number
  readonly work: string
  readonly python: string
  readonly json?: boolean
}

interface EvaluateArguments {
  readonly data: string
  readonly work: string
  readonly python: string
  readonly json?: boolean
}

export function registerModel(program: Command): void {
  const model = program.command('model').description('train, check and evaluate the risk model')
  model
    .command('train')
    .description('generate labelled transactions, train on them, write a model folder')
    .option('--out <dir>', 'the folder to write (default: <models>/<name>)')
    .option('--name <name>', 'small letters, digits and dashes', 'switchyard-trees')
    .option('--model-version <version>', 'the version to give it', '1')
    .option('--seed <n>', 'of the generator and the training', wholeNumber, 1)
    .option('--days <n>', 'length of the generated period', wholeNumber, 90)
    .option('--customers <n>', 'size of the generated population', wholeNumber, 6_000)
    .option('--trees <n>', 'number of trees', wholeNumber, 120)
    .option('--depth <n>', 'depth of a tree at most', wholeNumber, 6)
    .option('--work <dir>', 'for the matrix and the Python environment', defaultWork())
    .option('--python <command>', 'Python 3.11 or newer, with venv', 'python3')
    .option('--json', 'one object: {ok, name, version, testMetrics}')
    .addHelpText('after', example('train --name trial --out /tmp/trial --days 30'))
    .action(async (options: TrainArguments) => {
      process.exitCode = await train(options)
    })
  model
    .command('check')
    .description('load model folders as the switch would, parity vectors included')
    .argument('[dir...]', 'model folders (default: every one in MODEL_DIR, or the shipped ones)')
    .option('--json', 'one object a folder')
    .addHelpText('after', example('check scoring/models/switchyard-trees'))
    .action(async (folders: string[], options: { json?: boolean }) => {
      process.exitCode = await check(folders, options.json === true)
    })
  registerEvaluate(model)
  registerModelLabels(model)
  registerModelLife(model)
  registerModelCompare(model)
  model
    .command('features')
    .description("print the table of the model's inputs as Markdown")
    .addHelpText('after', example('features'))
    .action(async () => {
      const { featureTable } = await loadTraining()
      console.log(featureTable())
    })
}

function registerEvaluate(model: Command): void {
  model
    .command('evaluate')
    .description("train and test on published data, beside the publisher's own table")
    .requiredOption('--data <file>', 'the transactions: .csv or .csv.gz')
    .addOption(
      new Option('--protocol <name>', 'handbook: the Fraud Detection Handbook, simulated data')
        .choices(['handbook'])
        .makeOptionMandatory(),
    )
    .option('--work <dir>', 'for the matrices and the Python environment', defaultWork())
    .option('--python <command>', 'Python 3.11 or newer, with venv', 'python3')
    .option('--json', 'one line: {folds, rocAuc, averagePrecision, cardPrecisionAt100, handbook}')
    .addHelpText('after', example('evaluate --data handbook.csv.gz --protocol handbook'))
    .action(async (options: EvaluateArguments) => {
      process.exitCode = await evaluate(options)
    })
}

function example(rest: string): string {
  return `\nExample:\n  $ npx switchyard model ${rest}`
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('a whole number from 1')
  return value
}

/** Git-ignored, and out of the folders that the switch reads. */
function defaultWork(): string {
  return path.join(PROJECT_ROOT, '.venv')
}

function modelsFolder(): string {
  return process.env.MODEL_DIR ?? path.join(PROJECT_ROOT, 'scoring', 'models')
}

async function train(options: TrainArguments): Promise<number> {
  const { DEFAULT_GENERATE_OPTIONS, trainModel } = await loadTraining()
  const { seed, days, customers, name, trees, depth, work, python } = options
  const out = options.out ?? path.join(modelsFolder(), name)
  try {
    const checked = await trainModel({
      generate: { ...DEFAULT_GENERATE_OPTIONS, seed, days, customers },
      version: options.modelVersion,
      say: (line) => console.error(line),
      ...{ out, name, trees, depth, work, python },
    })
    report(out, checked, options.json === true)
    return checked.ok ? 0 : 1
  } catch (error) {
    console.error((error as Error).message)
    return 1
  }
}

async function evaluate({ data, work, python, json }: EvaluateArguments): Promise<number> {
  const { evaluateHandbook } = await loadTraining()
  const say = (line: string) => console.error(line)
  try {
    const evaluation = await evaluateHandbook({ data, work, python, say })
    console.log(json === true ? JSON.stringify(evaluation) : evaluationTable(evaluation))
    return 0
  } catch (error) {
    console.error((error as Error).message)
    return 1
  }
}

type Measures = Pick<Evaluation, 'rocAuc' | 'averagePrecision' | 'cardPrecisionAt100'>

function evaluationTable({ folds, handbook, ...mean }: Evaluation): string {
  const line = (name: string, of: Measures): string => {
    const numbers = [of.rocAuc, of.averagePrecision, of.cardPrecisionAt100]
    return [name.padEnd(44), ...numbers.map((each) => each.toFixed(3).padStart(9))].join(' ')
  }
  return [
    [''.padEnd(44), '  ROC AUC', 'avg prec.', 'card@100'.padStart(9)].join(' '),
    ...folds.map((fold) => line(`our model, training from ${fold.trainStart}`, fold)),
    line('our model, mean of the folds', mean),
    ...handbook.flatMap((row) => [
      line(`15 features, ${row.model}, from ${row.trainStart}`, row),
      line('  as the Handbook printed it', row.published),
    ]),
  ].join('\n')
}

async function check(named: readonly string[], json: boolean): Promise<number> {
  const folders = named.length > 0 ? named : await foldersIn(modelsFolder())
  if (folders.length === 0) {
    console.error(`no model folder in ${modelsFolder()}`)
    return 1
  }
  let refused = 0
  for (const folder of folders) {
    const checked = await checkModel(folder)
    report(folder, checked, json)
    if (!checked.ok) refused++
  }
  return refused === 0 ? 0 : 1
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => path.join(folder, entry.name))
    .sort()
}

function report(folder: string, checked: ModelCheck, json: boolean): void {
  if (!checked.ok) {
    const { code, problem } = checked
    console.log(json ? JSON.stringify({ ok: false, folder, code, problem }) : `${code}: ${problem}`)
    return
  }
  const { name, version, manifest } = checked
  const { bands, testMetrics, parity } = manifest
  if (json) {
    console.log(JSON.stringify({ ok: true, folder, name, version, bands, testMetrics }))
    return
  }
  const { rocAuc, averagePrecision } = testMetrics
  console.log(`ok: ${folder}: ${name} ${version}, ${parity.length} parity vectors agree`)
  console.log(
    `  on its test period: ROC AUC ${rocAuc.toFixed(4)},` +
      ` average precision ${averagePrecision.toFixed(4)}`,
  )
  console.log(`  bands: ${bands.map((band) => `${band.name} from ${band.from}`).join(', ')}`)
}
