// `switchyard rules explain`: one stored decision as a person reads it. It reads the store, also
// beside a running switch, and decides again under the rule set that the decision names.

import type { Command } from 'commander'
import { explainRules, type RuleExplanation, type RuleInput } from '#rules'
import { type Decision, factSource, type Replay, replay, replayedInput } from '#scoring'
import { pastPaymentOf } from '../past-payment.ts'
import type { PastTransaction } from '../store/index.ts'
import { money } from './backtest-text.ts'
import { maskedValue } from './masked.ts'
import { type OpenedRules, openRules } from './rule-sets.ts'
import { findStoredPast, nameOf, storePlace } from './stored-past.ts'

interface ExplainOptions {
  readonly rule?: string
  readonly all?: boolean
  readonly rules?: string
  readonly store?: string
  readonly json?: boolean
}

export function registerRulesExplain(rules: Command): void {
  rules
    .command('explain')
    .description('say why a payment was decided as it was: clause by clause, with the values')
    .argument('<id>', 'the id of an authorization (auth_...), or its RRN')
    .option('--rule <id>', 'only this rule, whether it fired or not')
    .option('--all', 'every rule, those that did not fire too')
    .option('--rules <dir or hash>', 'where the rule set of the decision is (default: kept ones)')
    .option('--store <folder>', 'the folder of the segments, instead of the configured one')
    .option('--json', 'one object a decision')
    .addHelpText(
      'after',
      '\nExample:\n  $ npx switchyard rules explain auth_01KAM6... --rule model.high',
    )
    .action(async (id: string, options: ExplainOptions) => {
      process.exitCode = await explain(id, options)
    })
}

async function explain(id: string, options: ExplainOptions): Promise<number> {
  const place = await storePlace(options.store)
  if (place === undefined) return 2
  const found = await findStoredPast(place, id)
  if (found === undefined) return 1
  if (found.length === 0) {
    console.error(`no authorization with the id or RRN ${id} in ${nameOf(place)}`)
    return 1
  }
  let code = 0
  for (const past of found) code = Math.max(code, await explainOne(past, options))
  return code
}

async function explainOne(past: PastTransaction, options: ExplainOptions): Promise<number> {
  const decision = past.outcome?.decision
  if (decision === undefined || decision === null) {
    const state =
      past.outcome === null ? 'has no outcome yet' : 'was decided without a risk decision'
    console.error(`${past.intent.id} ${state}`)
    return 1
  }
  const rules = await rulesOf(decision, options)
  if (rules === 'another') return 2
  const explained = rules === undefined ? undefined : explainUnder(past, decision, rules)
  const shown = explained?.rules.filter((rule) => isShown(rule, options)) ?? []
  if (options.rule !== undefined && explained !== undefined && shown.length === 0) {
    console.error(`rule set ${decision.ruleSet} has no rule ${options.rule} that is evaluated`)
    return 2
  }
  if (options.json === true) {
    console.log(JSON.stringify(jsonOf(past, decision, explained, shown)))
    return 0
  }
  console.log(headText(past, decision, explained))
  if (explained === undefined) console.log(storedHitsText(decision))
  else console.log(rulesText(explained.rules, shown, options))
  return 0
}

/** The rule set that decided; undefined where it is not kept, and that was said. */
async function rulesOf(
  { ruleSet }: Decision,
  options: ExplainOptions,
): Promise<OpenedRules | 'another' | undefined> {
  const opened = await openRules(options.rules ?? ruleSet ?? undefined)
  if (opened === undefined) {
    if (options.rules !== undefined) return 'another'
    console.error('so only what the decision itself keeps can be shown')
    return undefined
  }
  if (opened.ruleSet.hash === ruleSet) return opened
  const { name } = opened
  console.error(`${name} is rule set ${opened.ruleSet.hash}, the decision was made by ${ruleSet}`)
  return 'another'
}

interface Explained {
  readonly rules: readonly RuleExplanation[]
  readonly again: Replay
  readonly baseAmount: number
}

function explainUnder(
  past: PastTransaction,
  decision: Decision,
  { files, ruleSet, lists }: OpenedRules,
): Explained | undefined {
  const { request } = pastPaymentOf(past)
  const source = factSource(lists)
  const input: RuleInput = replayedInput(request, decision, ruleSet, source)
  const explained = explainRules(files, input)
  if (!explained.ok) return undefined
  const again = replay(request, decision, ruleSet, source)
  return { rules: explained.rules, again, baseAmount: input.facts.baseAmount }
}

function isShown({ id, result }: RuleExplanation, { rule, all }: ExplainOptions): boolean {
  if (rule !== undefined) return id === rule
  return all === true || result !== 'false'
}

function jsonOf(
  { intent, outcome }: PastTransaction,
  decision: Decision,
  explained: Explained | undefined,
  shown: readonly RuleExplanation[],
): unknown {
  const {
    outcome: risk,
    score,
    band,
    reasons,
    disclosedReasons,
    degraded,
    ruleSet,
    model,
  } = decision
  return {
    id: intent.id,
    createdAt: new Date(intent.createdAtMs).toISOString(),
    outcome: outcome?.outcome,
    responseCode: outcome?.responseCode,
    risk: { outcome: risk, score, band, reasons, disclosedReasons, degraded, ruleSet, model },
    why: decision.why ?? null,
    replayed: explained?.again.outcome ?? null,
    rules: shown.map((rule) => ({
      ...rule,
      clauses: rule.clauses.map((clause) => ({ ...clause, values: maskedValues(clause.values) })),
    })),
  }
}

function maskedValues(values: RuleExplanation['clauses'][0]['values']): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      value === null ? null : JSON.parse(maskedValue(name, value)),
    ]),
  )
}

function headText(
  { intent, outcome }: PastTransaction,
  decision: Decision,
  explained: Explained | undefined,
): string {
  const request = intent.request as { amount?: number; currency?: string; channel?: string }
  const { masked = '' } = (intent.request.card ?? {}) as { masked?: string }
  const base = explained === undefined ? Number.NaN : explained.baseAmount
  const amount = Number.isNaN(base) ? '' : ` (${money(base)})`
  const { reasons, disclosedReasons, score, band, degraded } = decision
  const disclosed = (reason: string) =>
    disclosedReasons.includes(reason) ? reason : `${reason} (not disclosed)`
  const lines = [
    `${intent.id}  ${new Date(intent.createdAtMs).toISOString()}  ${intent.acquirer}, ${request.channel}`,
    `${request.amount} ${request.currency} minor units${amount}, card ${masked}`,
    `${outcome?.outcome} ${outcome?.responseCode}, cause ${outcome?.cause}`,
    '',
    `risk: ${decision.outcome}${reasons.length === 0 ? '' : `, ${reasons.map(disclosed).join(', ')}`}`,
    score === null
      ? 'score: missing'
      : `score: ${score.toFixed(4)} (${band}), model ${decision.model}`,
    ...whyLines(decision.why),
    `rule set: ${decision.ruleSet}`,
  ]
  if (degraded.length > 0) {
    lines.push(
      `missing when it was decided: ${degraded.join(', ')}; the policy gives the least outcome`,
    )
  }
  if (explained !== undefined) {
    const same = explained.again.outcome === decision.outcome
    lines.push(`decided again: ${same ? 'the same' : `${explained.again.outcome}, not the same`}`)
  }
  return lines.join('\n')
}

/** What moved the score, in units of the raw score (log-odds); nothing for an approval. */
function whyLines(why: Decision['why']): readonly string[] {
  if (why === undefined) return []
  if (why.unexplained !== null) return [`  not explained: ${why.unexplained}`]
  const signed = (amount: number) => `${amount < 0 ? '-' : '+'}${Math.abs(amount).toFixed(2)}`
  const lines = why.contributions.map(({ meaning, value, amount }) => {
    const seen = value === null ? 'missing' : Number(value.toPrecision(6))
    return `  ${signed(amount).padStart(6)}  ${meaning}: ${seen}`
  })
  return [...lines, `  ${signed(why.others).padStart(6)}  all others`]
}

/** What a decision keeps by itself: the rules that fired, with their values. */
function storedHitsText({ hits, unknownRules }: Decision): string {
  const lines = hits.map(({ rule, mode, outcome, reason, values }) => {
    const parts = Object.entries(values).map(
      ([name, value]) => `    ${name} = ${maskedValue(name, value)}`,
    )
    return [`\n${rule} (${mode}, ${outcome}, ${reason}) fired`, ...parts].join('\n')
  })
  if (unknownRules.length > 0) lines.push(`\nunknown: ${unknownRules.join(', ')}`)
  return lines.join('\n')
}

function rulesText(
  all: readonly RuleExplanation[],
  shown: readonly RuleExplanation[],
  { rule, all: every }: ExplainOptions,
): string {
  const parts = shown.map(ruleText)
  const quiet = all.length - shown.length
  if (rule === undefined && every !== true && quiet > 0) {
    parts.push(`\n${quiet} rules did not fire: --rule ID shows why, --all shows every one`)
  }
  return parts.join('\n')
}

const verdicts = { true: 'fired', false: 'did not fire', unknown: 'is unknown, so did not fire' }

function ruleText(explained: RuleExplanation): string {
  const { id, mode, outcome, reason, result, condition, clauses, file, line } = explained
  const rows = clauses.map(({ text, result: truth, values, lowerBounds }) => {
    const shown = Object.entries(values).map(([name, value]) => {
      const bound = lowerBounds.includes(name) ? 'at least ' : ''
      return `${name} = ${bound}${maskedValue(name, value)}`
    })
    return [`    ${truth.padEnd(8)} ${text.replace(/\s+/g, ' ')}`, shown.join(', ')]
  })
  const width = Math.max(0, ...rows.map(([clause = '']) => clause.length))
  const lines = rows.map(([clause = '', values]) => `${clause.padEnd(width)}   ${values}`.trimEnd())
  const head = `\n${id} ${verdicts[result]} (${mode}, ${outcome}, ${reason})  ${file}:${line}`
  const away =
    condition.result === 'true' && result !== 'true'
      ? [
          '    its condition is true, but its channels, acquirers, hours, roll-out or a snooze exclude it',
        ]
      : []
  return [head, ...lines, ...away].join('\n')
}
