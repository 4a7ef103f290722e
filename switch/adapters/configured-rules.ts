// Adapter: what changes the rules of a running switch: orders over the operations port, and the
// watch of their folder.

import { keptSetsFolder } from '#rules'
import type { ScorerPool } from '#scoring'
import type { Config } from '../config/index.ts'
import { ENDINGS_MS_MAX, within } from '../end-world.ts'
import type { Journal } from '../observe/index.ts'
import { RuleReloads } from '../operations/index.ts'
import type { ProcessEnd } from './process-end.ts'
import { appendRuleEvent, readRuleHistory, removePinnedSet, writePinnedSet } from './rule-record.ts'
import { keepStartSet, type RulesAtStart } from './rules-at-start.ts'
import { RulesChecker } from './rules-checker.ts'
import { RulesWatch } from './rules-watch.ts'
import { systemClock, systemTimers } from './system-clock.ts'

export interface ConfiguredRulesOptions {
  readonly config: Config
  readonly scorer: ScorerPool
  readonly journal: Journal
  readonly processEnd: ProcessEnd
  readonly rules: RulesAtStart
}

export type OpenedConfiguredRules =
  | { readonly ok: true; readonly reloads: RuleReloads }
  | { readonly ok: false; readonly problems: readonly string[] }

/** Keeps the set that decides, and takes others from now on. */
export async function openConfiguredRules({
  config,
  scorer,
  journal,
  processEnd,
  rules,
}: ConfiguredRulesOptions): Promise<OpenedConfiguredRules> {
  const { rulesDir } = config
  const keptFolder = keptSetsFolder(config.dataDir)
  try {
    const { ruleSet } = scorer.info
    const event = await keepStartSet(keptFolder, rules, ruleSet, systemClock)
    await appendRuleEvent(keptFolder, event)
  } catch (error) {
    const { message } = error as Error
    return { ok: false, problems: [`${keptFolder}: ${message}: make room, or let it be written`] }
  }
  const onFault = ({ name, message, stack }: Error) =>
    journal.log.error({ error: { name, message, stack } }, 'a bug in the thread that checks rules')
  const checker = new RulesChecker({ rulesDir, keptFolder, timers: systemTimers, onFault })
  const { pinned, refused } = rules
  const reloads = new RuleReloads({
    pool: scorer,
    checker,
    record: {
      append: (event) => appendRuleEvent(keptFolder, event),
      history: () => readRuleHistory(keptFolder),
      pin: (set) => writePinnedSet(keptFolder, set),
      unpin: () => removePinnedSet(keptFolder),
    },
    journal,
    clock: systemClock,
    ...{ rulesDir, pinned, atStart: refused },
  })
  if (config.watchRules !== false) {
    const onChange = (files: readonly string[]) =>
      void reloads.reload(`a change of ${someOf(files)}`)
    const watch = await RulesWatch.start({ rulesDir, timers: systemTimers, onChange })
    processEnd.atEnd(async () => watch.close())
  }
  processEnd.atEnd(async () => {
    await within(systemTimers, ENDINGS_MS_MAX, reloads.idle())
    await checker.close()
  })
  return { ok: true, reloads }
}

function someOf(files: readonly string[]): string {
  const [first, second] = files
  const rest = files.length > 2 ? ` and ${files.length - 2} more` : ''
  return (second === undefined ? `${first}` : `${first}, ${second}`) + rest
}
