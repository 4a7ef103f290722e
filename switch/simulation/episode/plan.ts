// What happens in one episode, drawn from its seed before it begins: who pays what and when, and
// every trouble. An entry draws from a seed of its own, so that a plan with some entries taken out
// changes as little as can be of what the others do: that is what a failing one is shortened by.

import type { StepKind } from '../../store/index.ts'
import { createSeededRandom, type SeededRandom, seedOf } from '../random.ts'
import { PORT_CALLS, type PortCall } from './crash-point.ts'
import { BUSY_MS, CARDS, PAYMENT_EVERY_MS, TROUBLE_EVERY_MS } from './limits.ts'

export type PayType =
  | 'authorization'
  | 'preauthorization'
  | 'sale'
  | 'cash_withdrawal'
  | 'balance_inquiry'
  | 'account_verification'

/** How an acquirer behaves with one payment. */
export type Manner =
  | 'patient'
  /** Gives up early, and asks again with the same key on another connection. */
  | 'impatient'
  /** Sends it twice at the same moment. */
  | 'doubles'
  /** Reverses it before it is sent, and sends it all the same. */
  | 'reverses_first'
  /** Waits a little, then reverses it, whatever became of it. */
  | 'gives_up'

export interface PayEntry {
  readonly kind: 'pay'
  /** The merchant's id too: by it the issuer's books and the acquirer's meet. */
  readonly id: string
  readonly atMs: number
  readonly door: 'http' | 'iso'
  readonly pan: string
  readonly type: PayType
  readonly amount: number
  readonly manner: Manner
  /** Decided by its acquirer, who tells the switch: an advice. */
  readonly isTold: boolean
  readonly seed: number
}

export interface StepEntry {
  readonly kind: 'step'
  readonly id: string
  /** The payment's id in the plan. */
  readonly of: string
  readonly atMs: number
  readonly step: StepKind
  /** Part of what the payment was approved for; 1 asks without an amount. */
  readonly share: number
  readonly manner: 'patient' | 'impatient' | 'doubles'
  readonly seed: number
}

/** What an issuer does with one message, or the line with it. */
export const MESSAGE_FAULTS = [
  'request_lost',
  'answer_lost',
  'answer_late',
  'answer_doubled',
  'answer_reordered',
  'answer_wrong',
  'answer_corrupted',
  'answer_busy',
  'answer_cut',
] as const
export type MessageFault = (typeof MESSAGE_FAULTS)[number]

export interface MessageFaultEntry {
  readonly kind: 'message_fault'
  readonly of: string
  /** 0: the first message about that payment that the issuers get. */
  readonly nth: number
  readonly fault: MessageFault
  readonly seed: number
}

export interface CrashEntry {
  readonly kind: 'crash'
  readonly atMs: number
  readonly call: PortCall | 'any'
  readonly nth: number
  readonly isPowerCut: boolean
  /** Kills this life, and counts the calls of the next one from its start. */
  readonly isAtStart: boolean
  /** At the next call where none has ended before in that way, in this episode. */
  readonly isFresh: boolean
  readonly seed: number
}

export const TROUBLES = [
  'restart',
  'disk_slow',
  'disk_full',
  'disk_write_failed',
  'disk_sync_failed',
  'disk_hung',
  'disk_read_failed',
  'issuer_slow',
  'issuer_silent',
  'issuer_dead',
  'issuer_flapping',
  'network_slow',
  'network_stalled',
  'connection_cut',
  'message_corrupted',
  'velocity_gone',
  'velocity_slow',
  'velocity_empty',
  'clock_stepped',
  'process_stopped',
] as const
export type Trouble = (typeof TROUBLES)[number]

export interface TroubleEntry {
  readonly kind: 'trouble'
  readonly atMs: number
  readonly trouble: Trouble
  /** How long it lasts, where it lasts. */
  readonly forMs: number
  readonly seed: number
}

export type PlanEntry = PayEntry | StepEntry | MessageFaultEntry | CrashEntry | TroubleEntry

/** How often each trouble is drawn. What ends the process ends what else is under way. */
const TROUBLE_WEIGHTS: Readonly<Record<Trouble, number>> = {
  restart: 3,
  disk_slow: 8,
  disk_full: 2,
  disk_write_failed: 2,
  disk_sync_failed: 2,
  disk_hung: 2,
  disk_read_failed: 3,
  issuer_slow: 8,
  issuer_silent: 6,
  issuer_dead: 6,
  issuer_flapping: 6,
  network_slow: 8,
  network_stalled: 6,
  connection_cut: 40,
  message_corrupted: 40,
  velocity_gone: 6,
  velocity_slow: 6,
  velocity_empty: 6,
  clock_stepped: 8,
  process_stopped: 6,
}

const TYPES: readonly (readonly [PayType, number])[] = [
  ['authorization', 40],
  ['sale', 24],
  ['preauthorization', 16],
  ['cash_withdrawal', 8],
  ['balance_inquiry', 5],
  ['account_verification', 5],
]

const MANNERS: readonly (readonly [Manner, number])[] = [
  ['patient', 60],
  ['impatient', 14],
  ['doubles', 12],
  ['reverses_first', 5],
  ['gives_up', 9],
]

/** The plan of one episode. */
export function drawPlan(seed: number): PlanEntry[] {
  const random = createSeededRandom(seedOf(seed, 'plan'))
  const plan: PlanEntry[] = []
  const payments = Math.floor(BUSY_MS / PAYMENT_EVERY_MS)
  for (let i = 0; i < payments; i++) drawPayment(plan, seed, `p${i}`, random)
  const troubles = Math.floor(BUSY_MS / TROUBLE_EVERY_MS)
  for (let i = 0; i < troubles; i++) drawTrouble(plan, seedOf(seed, `t${i}`))
  return plan
}

/**
 * The same payments and troubles, and a crash every second or two at a call where none has been: it
 * goes through the port calls of the message path, one life each.
 */
export function drawSweep(seed: number): PlanEntry[] {
  const plan = drawPlan(seed).filter(({ kind }) => kind !== 'crash')
  const random = createSeededRandom(seedOf(seed, 'sweep'))
  let atMs = 0
  for (;;) {
    atMs += 200 + random.below(random.chance(0.7) ? 1_500 : 12_000)
    if (atMs > BUSY_MS) return plan
    plan.push({
      kind: 'crash',
      atMs,
      call: random.chance(0.1) ? 'any' : (PORT_CALLS[random.below(PORT_CALLS.length)] as PortCall),
      nth: 1,
      isPowerCut: random.chance(0.2),
      isAtStart: random.chance(0.15),
      isFresh: true,
      seed: random.below(2 ** 32),
    })
  }
}

function drawPayment(plan: PlanEntry[], seed: number, id: string, random: SeededRandom): void {
  const own = createSeededRandom(seedOf(seed, id))
  const atMs = random.below(BUSY_MS)
  const type = pick(TYPES, own)
  const isInquiry = type === 'balance_inquiry' || type === 'account_verification'
  const isTold = (type === 'authorization' || type === 'sale') && own.chance(0.12)
  const drawn = pick(MANNERS, own)
  // What was decided already is told until it is taken.
  const manner = isTold && (drawn === 'reverses_first' || drawn === 'gives_up') ? 'patient' : drawn
  plan.push({
    kind: 'pay',
    id,
    atMs,
    door: own.chance(0.35) ? 'iso' : 'http',
    pan: panOf(own.chance(0.6) ? '476173' : '541333', own.below(CARDS)),
    type,
    amount: isInquiry ? 0 : 100 + own.below(40_000),
    manner,
    isTold,
    seed: seedOf(seed, `${id} acquirer`),
  })
  for (let nth = 0; nth < 8; nth++) {
    if (!own.chance(0.3)) continue
    const fault = MESSAGE_FAULTS[own.below(MESSAGE_FAULTS.length)] as MessageFault
    plan.push({ kind: 'message_fault', of: id, nth, fault, seed: seedOf(seed, `${id} ${nth}`) })
  }
  if (isInquiry || own.chance(0.3)) return
  drawSteps(plan, seed, id, atMs, type, own)
}

function drawSteps(
  plan: PlanEntry[],
  seed: number,
  id: string,
  atMs: number,
  type: PayType,
  own: SeededRandom,
): void {
  const kinds: StepKind[] =
    type === 'sale'
      ? ['refund', 'refund', 'reversal']
      : type === 'cash_withdrawal'
        ? ['reversal']
        : type === 'preauthorization'
          ? ['increment', 'capture', 'capture', 'refund', 'reversal']
          : ['capture', 'capture', 'reversal', 'refund']
  let stepAtMs = atMs
  for (let i = 0; i < 4 && own.chance(0.7); i++) {
    stepAtMs += own.below(own.chance(0.5) ? 2_000 : 60_000)
    plan.push({
      kind: 'step',
      id: `${id}s${i}`,
      of: id,
      atMs: Math.min(stepAtMs, BUSY_MS),
      step: kinds[own.below(kinds.length)] as StepKind,
      share: own.chance(0.4) ? 1 : (1 + own.below(60)) / 100,
      manner: own.chance(0.7) ? 'patient' : own.chance(0.5) ? 'impatient' : 'doubles',
      seed: seedOf(seed, `${id}s${i}`),
    })
  }
}

function drawTrouble(plan: PlanEntry[], seed: number): void {
  const random = createSeededRandom(seed)
  const atMs = random.below(BUSY_MS)
  if (random.chance(0.12)) {
    const call = random.chance(0.3)
      ? 'any'
      : (PORT_CALLS[random.below(PORT_CALLS.length)] as PortCall)
    const nth = 1 + random.below(random.chance(0.5) ? 4 : 60)
    const isPowerCut = random.chance(0.4)
    const isAtStart = random.chance(0.25)
    plan.push({ kind: 'crash', atMs, call, nth, isPowerCut, isAtStart, isFresh: false, seed })
    return
  }
  const weights = TROUBLES.map((trouble) => [trouble, TROUBLE_WEIGHTS[trouble]] as const)
  const forMs = 500 + random.below(random.chance(0.7) ? 6_000 : 40_000)
  plan.push({ kind: 'trouble', atMs, trouble: pick(weights, random), forMs, seed })
}

export function pick<Word>(weights: readonly (readonly [Word, number])[], random: SeededRandom) {
  let left = random.below(weights.reduce((sum, [, weight]) => sum + weight, 0))
  for (const [word, weight] of weights) {
    left -= weight
    if (left < 0) return word
  }
  throw new Error('nothing to pick from')
}

/** A card of a test BIN, with its check digit (ISO/IEC 7812-1, annex B). */
export function panOf(bin: string, number: number): string {
  const body = bin + String(number).padStart(9, '0')
  let sum = 0
  for (let i = 0; i < body.length; i++) {
    const digit = Number(body[body.length - 1 - i])
    const doubled = i % 2 === 0 ? digit * 2 : digit
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return body + String((10 - (sum % 10)) % 10)
}
