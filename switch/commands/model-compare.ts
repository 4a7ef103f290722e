// `switchyard model compare`: is a model in shadow better than the one that decides? By stored
// decisions, and labels as far as they are known.

import { type Command, InvalidArgumentError } from 'commander'
import { loadModelComparison, type ModelComparison } from '#scoring'
import { systemClock } from '../adapters/system-clock.ts'
import { openPastData } from './past-data.ts'

export interface CompareOptions {
  readonly store?: string
  readonly challenger?: string
  readonly labelDelayDays: number
  readonly json?: boolean
}

interface Compared extends ModelComparison {
  readonly champion: string | undefined
  readonly challenger: string | undefined
}

const DAY_MS = 86_400_000
/** A chargeback may come 120 days late; most come within six weeks. */
const LABEL_DELAY_DAYS = 45

export function registerModelCompare(model: Command): void {
  model
    .command('compare')
    .description(
      'is the challenger better? a sequential test on stored decisions with their labels',
    )
    .option('--store <dir>', 'the folder of the store (default: the configured one)')
    .option('--challenger <version>', 'where more than one was in shadow')
    .option(
      '--label-delay-days <n>',
      'how late labels are: younger payments do not count, without a label then: genuine',
      days,
      LABEL_DELAY_DAYS,
    )
    .option('--json', 'one line of JSON: {verdict, champion, challenger, payments, frauds, ...}')
    .addHelpText(
      'after',
      '\nExample:\n  $ npx switchyard model compare --label-delay-days 30\n' +
        '\nIt may be looked at every day: in at most one of twenty comparisons of equal models' +
        '\nany look ever tells them apart. See scoring/training/README.md.',
    )
    .action(async (options: CompareOptions) => {
      const compared = await compareStored(options, systemClock.now())
      process.exitCode = compared === undefined ? 2 : 0
      if (compared === undefined) return
      console.log(options.json === true ? JSON.stringify(compared) : comparisonText(compared))
    })
}

function days(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= 0 && value <= 400) return value
  throw new InvalidArgumentError('a number of days from 0 to 400')
}

/** Undefined after saying why nothing can be compared. */
export async function compareStored(
  { store, challenger, labelDelayDays }: CompareOptions,
  asOfMs: number,
): Promise<Compared | undefined> {
  const past = await openPastData({
    ...(store === undefined ? {} : { store }),
    map: [],
    set: [],
  })
  if (past === undefined) return undefined
  const { compareModels, gatherCompared } = await loadModelComparison()
  const options = { challenger, asOfMs, labelDelayMs: labelDelayDays * DAY_MS }
  const gathered = await gatherCompared(past.chunks, options)
  const problem = past.problem()
  if (problem !== undefined) {
    console.error(`${past.name}: ${problem}`)
    return undefined
  }
  if (!gathered.ok) {
    const named = gathered.challengers.join(', ')
    console.error(`several were in shadow, name one by --challenger: ${named}`)
    return undefined
  }
  const { champion, payments } = gathered
  return { champion, challenger: gathered.challenger, ...compareModels(payments) }
}

const VERDICTS = {
  challenger_better: 'the challenger is better',
  champion_better: 'the model in force is better',
  undecided: 'undecided: wait for more labels',
}

function comparisonText(compared: Compared): string {
  const { payments, frauds, blocks, evidenceNeeded, champion, challenger } = compared
  if (challenger === undefined) return 'no model was in shadow: `model use --challengers NAME`'
  const numbers = (version: string | undefined, precision: number, evidence: number) =>
    `${version ?? 'none yet'}: average precision ${precision.toFixed(4)}, evidence ${evidence.toFixed(2)}`
  const { championPrecision, challengerPrecision } = compared
  return [
    VERDICTS[compared.verdict],
    `${payments} payments with known truth, ${frauds} frauds, ${blocks} blocks`,
    `in force   ${numbers(champion, championPrecision, compared.evidenceForChampion)}`,
    `in shadow  ${numbers(challenger, challengerPrecision, compared.evidenceForChallenger)}`,
    `a verdict needs evidence of ${evidenceNeeded}; looking often does not make it less sure`,
  ].join('\n')
}
