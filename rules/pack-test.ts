// A pack's tests as analysts write them, packs/<typology>.test.yaml: what is given, what happened
// before, what is expected. Time is virtual: the attempt happens `at`, the events before it `ago`.

import { FACT_NAMES } from './language/index.ts'
import { testEventsMax } from './limits.ts'
import { RISK_OUTCOMES, type RiskOutcome } from './outcome.ts'
import { reasonShape, typologyShape } from './rule-file.ts'
import {
  flag,
  integer,
  list,
  map,
  number,
  optional,
  record,
  required,
  type Shape,
  text,
  word,
} from './yaml/index.ts'

const duration = text(8, /^[1-9]\d{0,5}[smhd]$/, 'digits and s, m, h or d, as 90s or 10m')
const ruleId = text(128)

/** A request as in the HTTP contract, without what a rule never sees. */
function requestShape(): Shape {
  const records: Record<string, Record<string, ReturnType<typeof optional>>> = { '': {} }
  for (const fact of FACT_NAMES) {
    if (fact.path === 'score') continue
    const [root = '', leaf] = fact.path.split('.')
    const shape =
      fact.values !== undefined
        ? word(fact.values)
        : fact.kind === 'int'
          ? integer(0, Number.MAX_SAFE_INTEGER)
          : text(200)
    const field = optional(shape, fact.meaning)
    if (leaf === undefined) records[''] = { ...records[''], [root]: field }
    else records[root] = { ...records[root], [leaf]: field }
  }
  records.merchant = {
    ...records.merchant,
    latitude: optional(number(-90, 90), 'Degrees north.'),
    longitude: optional(number(-180, 180), 'Degrees east.'),
    timeZone: optional(text(64), 'IANA name; gives localHour and localWeekday.'),
  }
  const { '': top = {}, ...nested } = records
  const fields = Object.entries(nested).map(([name, inner]) => [
    name,
    optional(record(inner), `Fields of ${name}.`),
  ])
  return record({ ...top, ...Object.fromEntries(fields) })
}

const request = requestShape()

const eventShape: Shape = record({
  ago: optional(
    duration,
    'How long before the attempt it happened; the first, when repeated. Left out: the last is `every` ago.',
  ),
  repeat: optional(integer(1, testEventsMax), 'How many such events; 1 when left out.'),
  every: optional(duration, 'The time from one to the next; 1s when left out.'),
  declined: optional(flag, 'true: the attempt was declined.'),
  given: optional(request, 'Where it differs from the attempt of the case.'),
  vary: optional(
    list(word(['card', 'customer', 'device', 'ip', 'email', 'terminal', 'merchant', 'bin']), 8),
    'The entities that are new in each repetition, as in many cards on one device.',
  ),
})

const caseShape: Shape = record({
  name: required(text(200), 'What is tested, in one line.'),
  at: optional(text(40), 'When the attempt happens, as 2026-11-22T10:00:00Z.'),
  given: optional(request, 'The attempt, where it differs from the `given` of the file.'),
  score: optional(number(0, 1), "The model's score; 0 when left out."),
  missing: optional(list(word(['velocity', 'model']), 2), 'Parts of scoring that did not answer.'),
  before: optional(list(eventShape, 100), 'What happened before.'),
  aggregates: optional(
    map(number(0, Number.MAX_SAFE_INTEGER), 100),
    'Values to use instead of counting, as count(device, "10m"): 8.',
  ),
  fraud: optional(
    flag,
    'A sample with its truth, for the confusion matrix: true for fraud, false for genuine.',
  ),
  expect: optional(
    record({
      outcome: required(word(RISK_OUTCOMES), 'The outcome of the pack alone.'),
      hits: optional(list(ruleId, 500), 'Exactly the rules that fire, in any order.'),
      unknown: optional(list(ruleId, 500), 'Exactly the rules that are unknown, in any order.'),
      reasons: optional(list(reasonShape, 500), 'Exactly the reasons, in any order.'),
    }),
    'What must come out; may be left out where `fraud` is given.',
  ),
})

export const packTestShape: Shape = record({
  typology: required(typologyShape, 'The pack under test; also the name of the file.'),
  given: optional(request, 'The request that all cases start from.'),
  cases: required(list(caseShape, 1_000), 'The cases, each on its own.'),
})

/** A request of a test: top-level names and one level of records. */
export type TestRequest = Readonly<Record<string, unknown>>

export interface TestEvent {
  readonly ago?: string
  readonly repeat?: number
  readonly every?: string
  readonly declined?: boolean
  readonly given?: TestRequest
  readonly vary?: readonly string[]
}

export interface TestCase {
  readonly name: string
  readonly at?: string
  readonly given?: TestRequest
  readonly score?: number
  readonly missing?: readonly ('velocity' | 'model')[]
  readonly before?: readonly TestEvent[]
  readonly aggregates?: Readonly<Record<string, number>>
  readonly fraud?: boolean
  readonly expect?: {
    readonly outcome: RiskOutcome
    readonly hits?: readonly string[]
    readonly unknown?: readonly string[]
    readonly reasons?: readonly string[]
  }
}

export interface PackTestData {
  readonly typology: string
  readonly given?: TestRequest
  readonly cases: readonly TestCase[]
}

const unitMs: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** Milliseconds of a duration that fits its shape. */
export function durationMs(written: string): number {
  return Number(written.slice(0, -1)) * (unitMs[written.slice(-1)] ?? 0)
}
