// How an issuer simulator behaves, well or badly. It can be changed while it runs.

import { delayMsMax } from './limits.ts'

/** The faults of a line and of a host; percentages are 0 to 100, drawn from the seed. */
export interface Behaviour {
  /**
   * `approve`: DE39 00. `cents`: the amount's last two digits as DE39; 68 approves but never
   * answers, the worst case for whoever asked. `decline`: DE39 05.
   */
  readonly answers: 'approve' | 'cents' | 'decline'
  /** Every answer waits so long. */
  readonly delayMs: number
  /** So many answers come `lateMs` later than the rest. */
  readonly latePercent: number
  readonly lateMs: number
  /** So many answers are sent twice. */
  readonly duplicatePercent: number
  /** So many answers are held back a little, so that later ones overtake them. */
  readonly reorderPercent: number
  /** So many requests are decided and never answered. */
  readonly silentPercent: number
  /** So many requests are lost before anybody reads them: not decided, not answered. */
  readonly losePercent: number
  /** So many requests are decided, and instead of an answer the connection is cut. */
  readonly dropPercent: number
  /** So many approvals are partial: DE39 10 and half the amount. */
  readonly partialPercent: number
  /** So many answers say another amount than was asked: nobody may take them. */
  readonly wrongAmountPercent: number
  /** Advices (0120, 0220) are answered DE39 05 and booked nowhere. */
  readonly refuseAdvices: boolean
  /** Every connection is cut so often, ISO 8583 and HTTP; 0: never. */
  readonly flapMs: number
  /** Nobody listens, and every connection is cut: as dead as a process that is gone. */
  readonly isClosed: boolean
  /** Reversals suffer `silentPercent`, `losePercent` and `dropPercent` too. */
  readonly faultyReversals: boolean
}

export const wellBehaved: Behaviour = {
  answers: 'approve',
  delayMs: 0,
  latePercent: 0,
  lateMs: 0,
  duplicatePercent: 0,
  reorderPercent: 0,
  silentPercent: 0,
  losePercent: 0,
  dropPercent: 0,
  partialPercent: 0,
  wrongAmountPercent: 0,
  refuseAdvices: false,
  flapMs: 0,
  isClosed: false,
  faultyReversals: false,
}

const kindsOfAnswers: readonly string[] = [
  'approve',
  'cents',
  'decline',
] satisfies readonly Behaviour['answers'][]

export type BehaviourResult =
  | { readonly ok: true; readonly behaviour: Behaviour }
  | { readonly ok: false; readonly message: string }

/** Lays `change` over `base`; refuses an unknown name or a value out of range, by name. */
export function changeBehaviour(base: Behaviour, change: unknown): BehaviourResult {
  if (typeof change !== 'object' || change === null || Array.isArray(change)) {
    return { ok: false, message: 'a behaviour is an object' }
  }
  for (const [name, value] of Object.entries(change)) {
    const message = problemOf(name, value)
    if (message !== undefined) return { ok: false, message }
  }
  return { ok: true, behaviour: { ...base, ...change } }
}

function problemOf(name: string, value: unknown): string | undefined {
  if (!Object.hasOwn(wellBehaved, name)) {
    return `unknown behaviour "${name}"; known: ${Object.keys(wellBehaved).join(', ')}`
  }
  if (name === 'answers') {
    const known = typeof value === 'string' && kindsOfAnswers.includes(value)
    return known ? undefined : `answers is one of ${kindsOfAnswers.join(', ')}`
  }
  if (name === 'faultyReversals' || name === 'refuseAdvices' || name === 'isClosed') {
    return typeof value === 'boolean' ? undefined : `${name} is true or false`
  }
  const max = name.endsWith('Percent') ? 100 : delayMsMax
  const fits = typeof value === 'number' && value >= 0 && value <= max
  return fits ? undefined : `${name} is a number from 0 to ${max}`
}

/** DE39 for a request of `amount` minor units, before faults. */
export function responseCodeFor(behaviour: Behaviour, amount: number): string {
  if (behaviour.answers === 'approve') return '00'
  if (behaviour.answers === 'decline') return '05'
  const cents = String(amount % 100).padStart(2, '0')
  return cents === silentCents ? '00' : cents
}

const silentCents = '68'

/** Whether a request of `amount` gets no answer at all because of its cents. */
export function staysSilent(behaviour: Behaviour, amount: number): boolean {
  return behaviour.answers === 'cents' && amount % 100 === Number(silentCents)
}

/** What happens to one answer. */
export interface Fate {
  readonly lost: boolean
  readonly silent: boolean
  readonly drop: boolean
  readonly copies: 1 | 2
  readonly partial: boolean
  readonly wrongAmount: boolean
  readonly delayMs: number
}

/** What happens where nothing is wrong. */
export const noFault: Fate = {
  lost: false,
  silent: false,
  drop: false,
  copies: 1,
  partial: false,
  wrongAmount: false,
  delayMs: 0,
}

/** How long an answer is held back to be overtaken. */
const reorderMs = 20

/** Draws the fate of one answer; `random` gives numbers in [0, 1). */
export function drawFate(behaviour: Behaviour, isReversal: boolean, random: () => number): Fate {
  if (behaviour === wellBehaved) return noFault
  const faulty = !isReversal || behaviour.faultyReversals
  const happens = (percent: number) => percent > 0 && random() * 100 < percent
  return {
    lost: faulty && happens(behaviour.losePercent),
    silent: faulty && happens(behaviour.silentPercent),
    drop: faulty && happens(behaviour.dropPercent),
    copies: happens(behaviour.duplicatePercent) ? 2 : 1,
    partial: !isReversal && happens(behaviour.partialPercent),
    wrongAmount: !isReversal && happens(behaviour.wrongAmountPercent),
    delayMs:
      behaviour.delayMs +
      (happens(behaviour.latePercent) ? behaviour.lateMs : 0) +
      (happens(behaviour.reorderPercent) ? reorderMs : 0),
  }
}
