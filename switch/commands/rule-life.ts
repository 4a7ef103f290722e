// `switchyard rules status | history | reload | rollback | release`: which rules decide, which did,
// and how to go back. Through the operations port of a running switch; from the folder of one that
// is stopped.

import { userInfo } from 'node:os'
import type { Command } from 'commander'
import { keptSetsFolder, listKeptSets, readKeptSet } from '#rules'
import {
  appendRuleEvent,
  readPinnedSet,
  readRuleHistory,
  removePinnedSet,
  writePinnedSet,
} from '../adapters/rule-record.ts'
import {
  lastLive,
  lineOf,
  previousSet,
  type ReloadReport,
  type RuleEvent,
  type RulesStatus,
} from '../operations/index.ts'
import { configuredDataDir, order, runningAdminUrl } from './operations-port.ts'

interface JsonOption {
  readonly json?: boolean
}

const HISTORY_LINES = 20

export function registerRuleLife(rules: Command): void {
  const example = (rest: string) => `\nExample:\n  $ ${rest}`
  const json = '--json'
  rules
    .command('status')
    .description('which set decides, since when, whether it is pinned, how the last change ended')
    .option(json, 'one line of JSON')
    .addHelpText('after', example('npx switchyard rules status'))
    .action((options: JsonOption) => run((dataDir) => status(dataDir, options)))
  rules
    .command('history')
    .description('who changed the rules when, to which set, and what was different; newest first')
    .option(json, 'a line of JSON each')
    .option('--all', `all of it, not only the last ${HISTORY_LINES}`)
    .addHelpText('after', example('npx switchyard rules history --all'))
    .action((options: JsonOption & { all?: boolean }) => run((dir) => history(dir, options)))
  rules
    .command('reload')
    .description('have the running switch take what is in its rules folder (ADMIN_TOKEN)')
    .option(json, 'one line of JSON')
    .addHelpText('after', example('ADMIN_TOKEN=... npx switchyard rules reload'))
    .action((options: JsonOption) => run((dir) => orderRules(dir, 'reload', {}, options)))
  rules
    .command('rollback')
    .description(
      'pin a set that has decided before: it decides, whatever the rules folder says, until release',
    )
    .argument('[hash]', 'of a kept set, see history (default: the set before the present one)')
    .option(json, 'one line of JSON')
    .addHelpText('after', example('ADMIN_TOKEN=... npx switchyard rules rollback'))
    .action((hash: string | undefined, options: JsonOption) =>
      run((dataDir) => rollBack(dataDir, hash, options)),
    )
  rules
    .command('release')
    .description('end the pin: what is in the rules folder decides again, if it is sound')
    .option(json, 'one line of JSON')
    .addHelpText('after', example('ADMIN_TOKEN=... npx switchyard rules release'))
    .action((options: JsonOption) => run((dataDir) => release(dataDir, options)))
}

async function run(command: (dataDir: string) => Promise<number>): Promise<void> {
  const dataDir = configuredDataDir()
  process.exitCode = dataDir === undefined ? 2 : await command(dataDir)
}

async function status(dataDir: string, options: JsonOption): Promise<number> {
  const adminUrl = await runningAdminUrl(dataDir)
  if (adminUrl === undefined) return statusOfFolder(dataDir, options)
  const response = await fetch(`${adminUrl}/v1/rules`)
  const found = (await response.json()) as RulesStatus
  if (options.json === true) {
    console.log(JSON.stringify({ running: true, ...found }))
  } else {
    console.log(`set ${found.hash}, ${found.rules} rules, decides since ${found.since}`)
    if (found.pinned !== null) console.log(pinLine(found.pinned))
    const { last } = found
    if (last === null) console.log('no change was asked for since the start')
    else console.log(`last asked for at ${last.at} by ${last.by}: ${last.result}`)
    if (last?.result === 'refused') for (const one of last.problems) console.log(`  ${lineOf(one)}`)
  }
  return found.last?.result === 'refused' ? 1 : 0
}

async function statusOfFolder(dataDir: string, options: JsonOption): Promise<number> {
  const folder = keptSetsFolder(dataDir)
  const pinned = (await readPinnedSet(folder)) ?? null
  const last = lastLive(await readRuleHistory(folder)) ?? null
  if (options.json === true) {
    console.log(JSON.stringify({ running: false, pinned, last }))
    return 0
  }
  console.log('no switch runs here')
  if (pinned !== null) console.log(`the next start obeys: ${pinLine(pinned)}`)
  if (last === null) console.log(`no set has decided yet (${folder})`)
  else console.log(`set ${last.hash} decided last, from ${last.at}, ${last.result} by ${last.by}`)
  return 0
}

function pinLine(pinned: { hash: string; by: string; since: string }): string {
  const { hash, by, since } = pinned
  return `PINNED: ${hash} by ${by} since ${since}; \`rules release\` ends that`
}

async function history(
  dataDir: string,
  options: JsonOption & { readonly all?: boolean },
): Promise<number> {
  const folder = keptSetsFolder(dataDir)
  const events = [...(await readRuleHistory(folder))].reverse()
  const shown = options.all === true ? events : events.slice(0, HISTORY_LINES)
  const kept = new Set((await listKeptSets(folder)).map(({ hash }) => hash))
  for (const event of shown) {
    if (options.json === true) {
      console.log(JSON.stringify({ ...event, kept: kept.has(event.hash) }))
      continue
    }
    const dropped = kept.has(event.hash) ? '' : '  (no longer kept)'
    console.log(`${event.at}  ${event.result.padEnd(11)}  ${event.hash}  ${event.by}${dropped}`)
    for (const line of details(event)) console.log(`    ${line}`)
  }
  if (events.length === 0) console.error(`nothing has happened yet (${folder})`)
  else if (shown.length < events.length)
    console.error(`${events.length - shown.length} more: --all`)
  return 0
}

function details({ changes, problem }: RuleEvent): string[] {
  if (problem !== undefined) return [problem]
  return Object.entries(changes ?? {}).flatMap(([what, names]) =>
    names.length === 0 ? [] : [`${what}: ${names.join(', ')}`],
  )
}

/** Whoever is at the terminal; the history keeps it as it is said. */
function by(): string {
  try {
    return userInfo().username
  } catch {
    return `user ${process.getuid?.() ?? 'unknown'}`
  }
}

async function orderRules(
  dataDir: string,
  what: 'reload' | 'rollback' | 'release',
  body: object,
  options: JsonOption,
): Promise<number> {
  const adminUrl = await runningAdminUrl(dataDir)
  if (adminUrl === undefined) {
    console.error(`no switch runs on ${dataDir}: the next start reads the rules folder`)
    return 2
  }
  const answer = await order(adminUrl, `/v1/rules/${what}`, { by: by(), ...body })
  if (answer === undefined) return 2
  if (answer.status === 400) {
    console.error((answer.body as { message: string }).message)
    return 2
  }
  const report = answer.body as ReloadReport
  if (options.json === true) console.log(JSON.stringify(report))
  else printReport(report)
  return report.result === 'refused' ? 1 : 0
}

function printReport(report: ReloadReport): void {
  if (report.result === 'refused') {
    console.log(`refused: set ${report.hash} goes on deciding`)
    for (const problem of report.problems) console.log(`  ${lineOf(problem)}`)
    return
  }
  const { result, hash, before, rules, pinned } = report
  const said = result === 'taken' ? `decides now, before it ${before}` : 'decides as before'
  console.log(`set ${hash}, ${rules} rules, ${said}`)
  if (pinned !== null) console.log(pinLine(pinned))
}

async function rollBack(
  dataDir: string,
  hash: string | undefined,
  options: JsonOption,
): Promise<number> {
  if ((await runningAdminUrl(dataDir)) !== undefined) {
    return orderRules(dataDir, 'rollback', hash === undefined ? {} : { hash }, options)
  }
  const folder = keptSetsFolder(dataDir)
  const events = await readRuleHistory(folder)
  const live = lastLive(events)?.hash
  const target = hash ?? previousSet(events, live ?? '')
  if (target === undefined) {
    console.error('no other set has decided here before: `rules history` shows them')
    return 1
  }
  const kept = await readKeptSet(folder, target)
  if (!kept.ok) {
    console.error(kept.message)
    return 1
  }
  const at = new Date().toISOString()
  const pinned = { hash: target, by: by(), since: at }
  await writePinnedSet(folder, pinned)
  if (options.json === true) console.log(JSON.stringify({ running: false, pinned }))
  else console.log(`no switch runs; the next start obeys: ${pinLine(pinned)}`)
  return 0
}

async function release(dataDir: string, options: JsonOption): Promise<number> {
  if ((await runningAdminUrl(dataDir)) !== undefined) {
    return orderRules(dataDir, 'release', {}, options)
  }
  const folder = keptSetsFolder(dataDir)
  const pinned = await readPinnedSet(folder)
  if (pinned === undefined) {
    console.error('no set is pinned')
    return 0
  }
  await removePinnedSet(folder)
  const { hash } = pinned
  const event = { at: new Date().toISOString(), result: 'released', by: by(), hash } as const
  await appendRuleEvent(folder, { ...event, before: hash })
  if (options.json === true) console.log(JSON.stringify({ running: false, pinned: null }))
  else console.log('no switch runs; the next start reads the rules folder')
  return 0
}
