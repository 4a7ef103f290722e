// Runs the packs' own tests: each pack is compiled alone with the lists, so that another pack's rules
// can't make its tests pass or fail.

import { type AggregatePlan, aggregateKey, ENTITIES } from './aggregate.ts'
import { type Confusion, confusionOf } from './confusion.ts'
import { type Coverage, type CoverageMeter, createCoverageMeter, joinCoverage } from './coverage.ts'
import { degradationFile } from './degradation.ts'
import { type AttemptEvent, aggregateOver } from './event-list.ts'
import { FilesRead, readOnceWhole, withDigests } from './files-read.ts'
import { createConditionChecker, ENTITY_PATHS } from './language/index.ts'
import { testEventsMax } from './limits.ts'
import type { Lists } from './lists/index.ts'
import { createRuleSet, type LoadedRules, readRules } from './load.ts'
import { createLocalTime, type LocalTime } from './local-time.ts'
import type { RiskOutcome } from './outcome.ts'
import {
  durationMs,
  type PackTestData,
  packTestShape,
  type TestCase,
  type TestEvent,
  type TestRequest,
} from './pack-test.ts'
import { createProblemList, type ProblemList, type RuleFile } from './problem.ts'
import type { RuleFacts, RuleInput, RuleProblem, RuleSet, RuleVerdict } from './rule-set.ts'
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
  /** What no test reaches, over all packs; those without tests too. */
  readonly coverage: Coverage
  /** The annotated samples; undefined when no case is one. */
  readonly confusion: Confusion | undefined
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

/** What the tests of one pack came to. */
interface PackTested {
  readonly results: readonly PackTestResult[]
  readonly samples: readonly Sample[]
  readonly coverage: Coverage | undefined
}

interface Sample {
  readonly fraud: boolean
  readonly outcome: RiskOutcome
}

/**
 * Runs every packs/*.test.yaml of a rules folder. With `filesRead` a pack is tested again only where
 * it, its tests, a list or the policy for missing parts changed.
 */
export function runPackTests(
  given: readonly RuleFile[],
  filesRead: FilesRead = new FilesRead(),
): PackTestReport {
  const files = withDigests(given)
  const problems = createProblemList()
  const others = files.filter(
    (file) => file.name.startsWith('lists/') || file.name === degradationFile,
  )
  const ofOthers = others.map((file) => `${file.name} ${file.digest}`).join()
  for (const file of files.filter(({ name }) => name.endsWith('.test.yaml'))) {
    const pack = packOf(file.name)
    if (files.some(({ name }) => name === pack)) continue
    const message = `there is no ${pack} to test`
    problems.add({ ...error(file.name, 1), code: 'no_pack', message })
  }
  const tested = files.filter(isPack).map((pack) => {
    const testFile = files.find(({ name }) => packOf(name) === pack.name)
    const purpose = `tests ${testFile?.digest} ${ofOthers}`
    return readOnceWhole(filesRead, { file: pack, purpose, problems }, () =>
      testPack([pack, ...others], testFile, problems, filesRead),
    )
  })
  return {
    results: tested.flatMap(({ results }) => results),
    problems: problems.sorted(),
    coverage: joinCoverage(tested.flatMap(({ coverage }) => coverage ?? [])),
    confusion: confusionOf(tested.flatMap(({ samples }) => samples)),
  }
}

/** Tests one pack, the first of `files`, with the lists and the policy behind it. */
function testPack(
  files: readonly [RuleFile, ...RuleFile[]],
  testFile: RuleFile | undefined,
  problems: ProblemList,
  filesRead: FilesRead,
): PackTested {
  const nothing: PackTested = { results: [], samples: [], coverage: undefined }
  const yaml = testFile && readYaml(testFile, packTestShape, problems)
  if (testFile !== undefined && yaml?.sound === false) return nothing
  const own = createProblemList()
  const loaded = readRules(files, own, filesRead)
  if (own.hasErrors) {
    if (testFile !== undefined) for (const problem of own.sorted()) problems.add(problem)
    return nothing
  }
  const data = yaml?.data as PackTestData | undefined
  const bench = new TestBench(loaded, data?.given ?? {})
  const results: PackTestResult[] = []
  const samples: Sample[] = []
  const { name } = testFile ?? files[0]
  data?.cases.forEach((testCase, index) => {
    const { line } = yaml?.place(['cases', index]) ?? { line: 1 }
    const report = (code: string, message: string) =>
      problems.add({ ...error(name, line), code, message })
    const { differences, outcome } = bench.run(testCase, report)
    if (testCase.fraud !== undefined && outcome !== undefined) {
      samples.push({ fraud: testCase.fraud, outcome })
    }
    const ok = differences.length === 0
    results.push({ file: name, line, name: testCase.name, ok, differences })
  })
  return { results, samples, coverage: bench.coverage() }
}

function isPack({ name }: RuleFile): boolean {
  const isYaml = name.startsWith('packs/') && name.endsWith('.yaml')
  return isYaml && !name.endsWith('.test.yaml') && name !== degradationFile
}

/** The pack that a test file tests; undefined for another file. */
function packOf(testFile: string): string | undefined {
  return testFile.endsWith('.test.yaml') ? testFile.replace('.test.yaml', '.yaml') : undefined
}

function error(file: string, line: number): Omit<RuleProblem, 'code' | 'message'> {
  return { file, line, column: 1, severity: 'error' }
}

type Report = (code: string, message: string) => void

class TestBench {
  readonly #ruleSet: RuleSet
  readonly #lists: Lists
  readonly #given: TestRequest
  readonly #meter: CoverageMeter
  readonly #local: LocalTime = createLocalTime()
  readonly #checker = createConditionChecker([])

  constructor(loaded: LoadedRules, given: TestRequest) {
    this.#ruleSet = createRuleSet(loaded)
    this.#lists = loaded.lists
    this.#given = given
    this.#meter = createCoverageMeter(loaded.rules, loaded.plan, loaded.lists)
  }

  coverage(): Coverage {
    return this.#meter.coverage()
  }

  /** What differed, and the outcome; no outcome where the case can't be run. */
  run(
    testCase: TestCase,
    report: Report,
  ): { readonly differences: readonly string[]; readonly outcome?: RiskOutcome } {
    const atMs = Date.parse(testCase.at ?? defaultAt)
    if (Number.isNaN(atMs)) {
      report('bad_value', '"at" is a time as 2026-11-22T10:00:00Z')
      return { differences: ['the time of the case can not be read'] }
    }
    if (testCase.expect === undefined && testCase.fraud === undefined) {
      report('missing_field', 'a case has "expect", or "fraud" where it is a sample')
      return { differences: ['nothing is expected'] }
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
    this.#meter.take(input, verdict)
    const differences = testCase.expect === undefined ? [] : compare(testCase.expect, verdict)
    return { differences, outcome: verdict.outcome }
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
    const every = durationMs(event.every ?? '1s')
    const repeat = event.repeat ?? 1
    const first = atMs - (event.ago === undefined ? repeat * every : durationMs(event.ago))
    const base = merge(given, event.given ?? {})
    return Array.from({ length: repeat }, (_, index) => {
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

function compare(expect: NonNullable<TestCase['expect']>, verdict: RuleVerdict): string[] {
  const { outcome, hits, unknown, reasons } = expect
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
