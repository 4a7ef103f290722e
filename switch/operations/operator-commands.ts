// What an operator may order over the operations port besides requeueing, each with a JSON body:
// other rules, other models, and labels.

import type { CommandAnswer, OperatorCommand } from '../ingress/index.ts'
import { StoreFault } from '../store/index.ts'
import type { World } from '../world.ts'
import {
  LABELS_PER_REQUEST_MAX,
  type LabelAnswer,
  type LabelItem,
  readLabelItem,
  recordLabels,
} from './labels.ts'
import type { ModelSwaps } from './model-swaps.ts'
import type { ReloadReport, RuleReloads } from './rule-reloads.ts'
import { tellLabels } from './tell-labels.ts'

type LabelWorld = Pick<World, 'store' | 'clock' | 'scorer'>

const BY_CHARACTERS_MAX = 64
const BY = /^[\p{L}\p{N} ._@+-]+$/u

export function operatorCommands(
  reloads: RuleReloads,
  world: LabelWorld,
): Readonly<Record<string, OperatorCommand>> {
  return {
    '/v1/rules/reload': (body) => ruleCommand(body, [], ({ by }) => reloads.reload(by)),
    '/v1/rules/rollback': (body) =>
      ruleCommand(body, ['hash'], ({ by, hash }) => reloads.rollBack(by, hash)),
    '/v1/rules/release': (body) => ruleCommand(body, [], ({ by }) => reloads.release(by)),
    '/v1/labels': (body) => takeLabels(body, world),
  }
}

/** Another model without a restart: `switchyard model use | rollback | release`. */
export function modelCommands(swaps: ModelSwaps): Readonly<Record<string, OperatorCommand>> {
  return {
    '/v1/model/use': (body) => withFields(body, ['model', 'challengers'], (all) => swaps.use(all)),
    '/v1/model/rollback': (body) => withFields(body, [], () => swaps.rollback()),
    '/v1/model/release': (body) => withFields(body, [], () => swaps.release()),
  }
}

type Fields = Readonly<Record<string, unknown>>

/** Carries out an order that names nothing but `known` fields; no body counts as none. */
async function withFields(
  body: unknown,
  known: readonly string[],
  carryOut: (fields: Fields) => Promise<CommandAnswer>,
): Promise<CommandAnswer> {
  const fields = body === undefined ? {} : body
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
    return wrong('send a JSON object, or nothing')
  }
  const unknown = Object.keys(fields).find((name) => !known.includes(name))
  if (unknown === undefined) return carryOut(fields as Fields)
  return wrong(`"${unknown}": what may be sent is ${known.join(', ') || 'no field'}`)
}

interface RuleOrder {
  readonly by: string
  readonly hash: string | undefined
}

function ruleCommand(
  body: unknown,
  further: readonly string[],
  carryOut: (order: RuleOrder) => Promise<ReloadReport>,
): Promise<CommandAnswer> {
  return withFields(body, ['by', ...further], (fields) => orderRules(fields, carryOut))
}

async function orderRules(
  { by = 'the operations port', hash }: Fields,
  carryOut: (order: RuleOrder) => Promise<ReloadReport>,
): Promise<CommandAnswer> {
  if (typeof by !== 'string' || by.length > BY_CHARACTERS_MAX || !BY.test(by)) {
    return wrong(`"by" is a name of at most ${BY_CHARACTERS_MAX} letters, digits, spaces and ._@+-`)
  }
  if (hash !== undefined && (typeof hash !== 'string' || !/^[0-9a-f]{16}$/.test(hash))) {
    return wrong('"hash" is that of a kept set, 16 digits 0-9 and a-f')
  }
  const report = await carryOut({ by, hash })
  if (report.result !== 'refused') return { status: 200, body: report }
  const isPinned = report.problems.some(({ code }) => code === 'pinned')
  return { status: isPinned ? 409 : 422, body: report }
}

async function takeLabels(body: unknown, world: LabelWorld): Promise<CommandAnswer> {
  const { store, clock } = world
  const sent = typeof body === 'object' && body !== null && 'labels' in body ? body.labels : null
  if (!Array.isArray(sent)) return wrong('send {"labels": [{"id": "auth_...", "kind": ...}, ...]}')
  if (sent.length > LABELS_PER_REQUEST_MAX) {
    return wrong(`at most ${LABELS_PER_REQUEST_MAX} labels at a time: send the rest after them`)
  }
  const answers: LabelAnswer[] = new Array(sent.length)
  const items: LabelItem[] = []
  const places: number[] = []
  for (const [index, value] of sent.entries()) {
    const read = readLabelItem(value, clock.now())
    if (read.ok) places[items.push(read.item) - 1] = index
    else answers[index] = { result: 'invalid', problem: read.problem }
  }
  try {
    const sinceMs = clock.now()
    const recorded = await recordLabels(store, clock, items)
    for (const [at, answer] of recorded.entries()) answers[places[at] as number] = answer
    const changed = recorded.filter(({ result }) => result === 'recorded')
    const ids = changed.flatMap(({ id }) => (id === undefined ? [] : [id]))
    await tellLabels(world, ids, sinceMs)
  } catch (error) {
    if (!(error instanceof StoreFault)) throw error
    const message = `${error.message}: send all of them again, what was recorded is known then`
    return { status: 503, body: { code: error.code, message } }
  }
  const count = (result: LabelAnswer['result']) =>
    answers.filter((answer) => answer.result === result).length
  const [recorded, known] = [count('recorded'), count('known')]
  const refused = answers.length - recorded - known
  return { status: 200, body: { recorded, known, refused, results: answers } }
}

function wrong(message: string): CommandAnswer {
  return { status: 400, body: { code: 'bad_request', message } }
}
