// `switchyard rules`: what an analyst does. Only the module of the part that was named is loaded: a
// lint needs no store, a test no model.

import type { Command } from 'commander'

type Register = (rules: Command) => void

interface Part {
  readonly summary: string
  readonly load: () => Promise<Register>
}

const life = async () => (await import('./rule-life.ts')).registerRuleLife
const backtest = async () => (await import('./rules-backtest.ts')).registerRulesBacktest

const PARTS: Readonly<Record<string, Part>> = {
  lint: {
    summary: 'say everything that is wrong, with its place',
    load: async () => (await import('./rules-lint.ts')).registerRulesLint,
  },
  test: {
    summary: "run the packs' own tests, packs/*.test.yaml",
    load: async () => (await import('./rules-test.ts')).registerRulesTest,
  },
  lists: {
    summary: 'show and change the lists that rules ask by inList()',
    load: async () => (await import('./rule-lists.ts')).registerRuleLists,
  },
  backtest: {
    summary: 'decide past payments again, and say what the rules would have done',
    load: backtest,
  },
  diff: {
    summary: 'whose outcome changes from one rule set to another, over past payments',
    load: async () => (await import('./rules-diff.ts')).registerRulesDiff,
  },
  explain: {
    summary: 'why one payment was decided as it was, rule by rule',
    load: async () => (await import('./rules-explain.ts')).registerRulesExplain,
  },
  'demo-data': {
    summary: 'write made-up payments with their frauds, to try a backtest on',
    load: backtest,
  },
  status: { summary: 'which set decides, since when, whether it is pinned', load: life },
  history: { summary: 'who changed the rules when, to which set, and what differed', load: life },
  reload: { summary: 'have the running switch take what is in its rules folder', load: life },
  rollback: { summary: 'pin a set that has decided before, until release', load: life },
  release: { summary: 'end the pin: what is in the rules folder decides again', load: life },
  generate: {
    summary: "write the editors' JSON Schemas and the page of the language into rules/",
    load: async () => (await import('./rules-generate.ts')).registerRulesGenerate,
  },
}

/** What registers `rules` with the part that is `named`, or with a line on each of them. */
export async function loadRules(named: string | undefined): Promise<(program: Command) => void> {
  const part = Object.hasOwn(PARTS, named ?? '') ? PARTS[named ?? ''] : undefined
  const register = await part?.load()
  return (program) => {
    const rules = program.command('rules').description('check, test, try and roll back rules')
    if (register !== undefined) {
      register(rules)
      return
    }
    for (const [name, { summary }] of Object.entries(PARTS)) {
      rules.command(name).summary(summary).description(summary)
    }
  }
}
