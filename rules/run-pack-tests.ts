// Runs the packs' own tests: each pack is compiled alone with the lists, so that another pack's rules
// can't make its tests pass or fail.

import { type AggregatePlan, aggregateKey, ENTITIES } from './aggregate.ts'
import { degradationFile } from './degradation.ts'
import { type AttemptEvent, aggregateOver } from './event-list.ts'
import { createConditionChecker, ENTITY_PATHS } from './language/index.ts'
import { testEventsMax } from './limits.ts'
import type { Lists } from './lists/index.ts'
import { compileRuleSet } from './load.ts'
import { createLocalTime, type LocalTime } from './local-time.ts'
import {
  durationMs,
  type PackTestData,
  packTestShape,
  type TestCase,
  type TestEvent,
  type TestRequest,
} from './pack-test.ts'
import { createProblemList, type RuleFile } from './problem.ts'
import type { RuleFacts, RuleInput, RuleProblem, RuleSet } from './rule-set.ts'
import { readYaml } from './yaml/index.ts'

export interface PackTestResult {
  readonly file: string
  readonly line: number
  readonly name: string
  readonly ok: boolean
  /** What differed, each "expected ..., got ..."; empty when ok. */
  readonly differences: readonly string[]
}

export interface PackTestReport {
  readonly results: readonly PackTestResult[]
  /** What is wrong with the test files themselves, or with the packs under test. */
  readonly problems: readonly RuleProblem[]
}

const defaults: TestRequest = {
  type: 'authorization',
  amount: 1_000,
  currency: 'EUR',
  channel: 'pos',
  acquirer: 'demo',
  card: { bin: '47617390', token: 'card-1' },
  merchant: { id: 'M-1001', mcc: '5411' },
}

const defaultAt = '2026-11-22T10:00:00Z'

/** Runs every packs/*.test.yaml of a rules folder. */
export function runPackTests(files: readonly RuleFile[]): PackTestReport {
  const problems = createProblemList()
  const results: PackTestResult[] = []
  const others = files.filter(
    (file) => file.name.startsWith('lists/') || file.name === degradationFile,
  )
  for (const file of files) {
    if (!file.name.endsWith('.test.yaml')) continue
    const yaml = readYaml(file, packTestShape, problems)
    if (!yaml.sound) continue
    const data = yaml.data as PackTestData
    const pack = files.find((other) => other.name === file.name.replace('.test.yaml', '.yaml'))
    if (pack === undefined) {
      const message = `there is no ${file.name.replace('.test.yaml', '.yaml')} to test`
      problems.add({ ...error(file.name, 1), code: 'no_pack', message })
      continue
    }
    const compiled = compileRuleSet([pack, ...others])
    if (!compiled.ok) {
      for (const problem of compiled.problems) problems.add(problem)
      continue
    }
    const bench = new TestBench(compiled.ruleSet, compiled.lists, data.given ?? {})
    data.cases.forEach((testCase, index) => {
      const { line } = yaml.place(['cases', index])
      const report = (code: string, message: string) =>
        problems.add({ ...error(file.name, line), code, message })
      const differences = bench.run(testCase, report)
      results.push({
        file: file.name,
        line,
        name: testCase.name,
        ok: differences.length === 0,
        differences,
      })
    })
  }
  return { results, problems: problems.sorted() }
}

function error(file: string, line: number): Omit<RuleProblem, 'code' | 'message'> {
  return { file, line, column: 1, severity: 'error' }
}

type Report = (code: string, message: string) => void

class TestBench {
  readonly #ruleSet: RuleSet
  readonly #lists: Lists
  readonly #given: TestRequest
  readonly #local: LocalTime = createLocalTime()
  readonly #checker = createConditionChecker([])

  constructor(ruleSet: RuleSet, lists: Lists, given: TestRequest) {
    this.#ruleSet = ruleSet
    this.#lists = lists
    this.#given = given
  }

  run(testCase: TestCase, report: Report): string[] {
    const atMs = Date.parse(testCase.at ?? defaultAt)
    if (Number.isNaN(atMs)) {
      report('bad_value', '"at" is a time as 2026-11-22T10:00:00Z')
      return ['the time of the case can not be read']
    }
    const given = merge(merge(defaults, this.#given), testCase.given ?? {})
    const velocity = testCase.missing?.includes('velocity') !== true
    const plan = this.#ruleSet.aggregates
    const input: RuleInput = {
      facts: this.#facts(given, atMs),
      aggregates: velocity
        ? this.#aggregates(plan, testCase, given, atMs, report)
        : new Float64Array(plan.length).fill(Number.NaN),
      saturated: new Uint8Array(plan.length),
      score: testCase.missing?.includes('model') ? Number.NaN : (testCase.score ?? 0),
      atMs,
    }
    const verdict = this.#ruleSet.evaluate(input)
    const { outcome, hits, unknown, reasons } = testCase.expect
    const differences: string[] = []
    if (verdict.outcome !== outcome) {
      differences.push(`expected outcome ${outcome}, got ${verdict.outcome}`)
    }
    const fired = verdict.hits.map((hit) => hit.rule)
    compareSets('hits', hits, fired, differences)
    compareSets('unknown rules', unknown, verdict.unknownRules, differences)
    compareSets('reasons', reasons, verdict.reasons, differences)
    if (differences.length > 0 && hits === undefined) differences.push(`hits: ${words(fired)}`)
    return differences
  }

  #facts(given: TestRequest, atMs: number): RuleFacts {
    const text = (path: string) => lookUp(given, path) as string | undefined
    const number = (path: string) => lookUp(given, path) as number | undefined
    const timeZone = text('merchant.timeZone')
    const bin = text('card.bin') ?? ''
    const ip = text('device.ip')
    const amount = number('amount') ?? 0
    const currency = text('currency') ?? ''
    const hour = timeZone === undefined ? Number.NaN : this.#local.hour(timeZone, atMs)
    const weekday = timeZone === undefined ? Number.NaN : this.#local.weekday(timeZone, atMs)
    return {
      type: text('type') ?? '',
      amount,
      currency,
      baseAmount: number('baseAmount') ?? this.#lists.baseAmount(amount, currency, atMs),
      channel: text('channel') ?? '',
      acquirer: text('acquirer') ?? '',
      localHour: number('localHour') ?? hour,
      localWeekday: number('localWeekday') ?? weekday,
      card: {
        bin,
        country: text('card.country') ?? this.#lists.countryOfBin(bin),
        token: text('card.token') ?? '',
        expiry: text('card.expiry'),
      },
      merchant: {
        id: text('merchant.id') ?? '',
        mcc: text('merchant.mcc') ?? '',
        name: text('merchant.name'),
        city: text('merchant.city'),
        country: text('merchant.country'),
      },
      terminal: { id: text('terminal.id'), entryMode: text('terminal.entryMode') },
      device: {
        id: text('device.id'),
        ip,
        ipCountry:
          text('device.ipCountry') ?? (ip === undefined ? ip : this.#lists.countryOfIp(ip)),
        userAgent: text('device.userAgent'),
      },
      customer: {
        id: text('customer.id'),
        email: text('customer.email'),
        country: text('customer.country'),
      },
      threeDs: {
        version: text('threeDs.version'),
        eci: text('threeDs.eci'),
        status: text('threeDs.status'),
      },
    }
  }

  #aggregates(
    plan: AggregatePlan,
    testCase: TestCase,
    given: TestRequest,
    atMs: number,
    report: Report,
  ): Float64Array {
    const current = this.#event(given, atMs, false)
    const events = (testCase.before ?? []).flatMap((event) => this.#unfold(event, given, atMs))
    if (events.length > testEventsMax) {
      report(
        'bad_value',
        `a case may unfold to ${testEventsMax} events, this one has ${events.length}`,
      )
    }
    const values = Float64Array.from(plan, (aggregate) => aggregateOver(events, current, aggregate))
    for (const [call, value] of Object.entries(testCase.aggregates ?? {})) {
      const checked = this.#checker.check(`${call} >= 0`)
      const reading = checked.ok ? checked.condition.readings[0]?.expression : undefined
      const key = reading?.op === 'aggregate' ? aggregateKey(reading.aggregate) : ''
      const slot = plan.findIndex((aggregate) => aggregateKey(aggregate) === key)
      if (slot === -1) report('unknown_aggregate', `no rule of the pack reads ${call}`)
      else values[slot] = value
    }
    return values
  }

  #unfold(event: TestEvent, given: TestRequest, atMs: number): AttemptEvent[] {
    const first = atMs - durationMs(event.ago)
    const every = durationMs(event.every ?? '1s')
    const base = merge(given, event.given ?? {})
    return Array.from({ length: event.repeat ?? 1 }, (_, index) => {
      const plain = this.#event(base, first + index * every, event.declined === true)
      const entities = { ...plain.entities }
      for (const entity of ENTITIES) {
        if (event.vary?.includes(entity)) entities[entity] = `${entity}-varied-${index}`
      }
      return { ...plain, entities }
    })
  }

  #event(request: TestRequest, atMs: number, declined: boolean): AttemptEvent {
    const facts = this.#facts(request, atMs)
    const entities: Partial<Record<(typeof ENTITIES)[number], string>> = {}
    for (const entity of ENTITIES) {
      const value = lookUp(request, ENTITY_PATHS[entity])
      if (typeof value === 'string') entities[entity] = value
    }
    const degrees = (path: string) => (lookUp(request, path) as number | undefined) ?? Number.NaN
    return {
      atMs,
      baseAmount: facts.baseAmount,
      declined,
      entities,
      latitude: degrees('merchant.latitude'),
      longitude: degrees('merchant.longitude'),
    }
  }
}

function merge(base: TestRequest, over: TestRequest): TestRequest {
  const merged: Record<string, unknown> = { ...base }
  for (const [name, value] of Object.entries(over)) {
    const isRecord = typeof value === 'object' && value !== null
    merged[name] = isRecord ? { ...(base[name] as object | undefined), ...value } : value
  }
  return merged
}

function lookUp(request: TestRequest, path: string): unknown {
  const [root = '', field] = path.split('.')
  const value = request[root]
  if (field === undefined) return value
  return (value as Readonly<Record<string, unknown>> | undefined)?.[field]
}

function compareSets(
  what: string,
  expected: readonly string[] | undefined,
  got: readonly string[],
  differences: string[],
): void {
  if (expected === undefined) return
  const sorted = (list: readonly string[]) => words([...list].sort())
  if (sorted(expected) === sorted(got)) return
  differences.push(`expected ${what} ${words(expected)}, got ${words(got)}`)
}

function words(list: readonly string[]): string {
  return list.length === 0 ? 'none' : list.join(', ')
}
