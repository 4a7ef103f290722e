// A message of an acquirer, as it came and in the words of 1987; what names it, and its original.

import {
  type Edition,
  editionOf,
  type FieldValue,
  type IsoMessage,
  messageOf,
  momentOf,
  momentOfLocal,
  type OriginalElements,
  parseOriginal,
} from '../iso8583/index.ts'
import type { WireName } from '../steps/index.ts'

export interface Received {
  readonly edition: Edition
  /** What answers repeat, and keys are made of. */
  readonly raw: IsoMessage
  /** In the words of 1987. */
  readonly message: IsoMessage
}

export function received(dialect: Parameters<typeof editionOf>[0], raw: IsoMessage): Received {
  const edition = editionOf(dialect)
  return { edition, raw, message: messageOf(edition, raw) }
}

/** The text of a field, in the words of 1987; empty where it is absent or has parts. */
export function textOf({ message }: Pick<Received, 'message'>, field: number): string {
  return text(message.fields[field])
}

export function text(value: FieldValue | undefined): string {
  return typeof value === 'string' ? value : ''
}

/** DE32 as it came, or the acquirer's own. */
export function institutionOf({ message }: Received, own: string): string {
  const named = message.fields[32]
  return typeof named === 'string' ? named : own
}

/** Whether it has what an answer must repeat, and a key is made of. */
export function hasTrace({ edition, raw }: Received): boolean {
  return text(raw.fields[11]) !== '' && text(raw.fields[edition.sentAtField]) !== ''
}

/**
 * First three MTI digits, DE11, DE7 (1993 and 2003: DE12), DE32, DE41. A repeat has the key of its
 * first; no HTTP key can have its spaces.
 */
export function keyOf(message: Received, institution: string): string {
  const { edition, raw } = message
  const sentAt = text(raw.fields[edition.sentAtField])
  return joinKey(message.message.mti, text(raw.fields[11]), sentAt, institution, message)
}

function joinKey(
  mti: string,
  stan: string,
  sentAt: string,
  institution: string,
  message: Received,
): string {
  return ['iso', mti.slice(0, 3), stan, sentAt, institution, terminalOf(message)].join(' ')
}

function terminalOf(message: Received): string {
  return textOf(message, 41).trimEnd()
}

/** What a reversal that came first, without DE41, has named the message by. */
export function keyWithoutTerminal(message: Received, key: string): string {
  return key.slice(0, key.length - terminalOf(message).length)
}

/** Classes that an original may have been sent in, where the message does not say. */
const ORIGINAL_MTIS = ['0100', '0200', '0120', '0220'] as const

/** What a message that is about another one names, and when that one was sent. */
export interface NamedOriginal {
  readonly name: WireName
  /** Milliseconds since 1970, where whole original data elements say it. */
  readonly sentAtMs: number | undefined
}

/**
 * By original data elements, or by the message's own numbers, which many hosts repeat; and by its
 * RRN. `institutions`: DE32 that this peer may send, one of which the original had.
 */
export function originalOf(
  message: Received,
  institution: string,
  institutions: Iterable<string>,
  nowMs: number,
): NamedOriginal {
  const { edition, raw } = message
  const ownKey = keyOf(message, institution)
  const rrn = textOf(message, 37).trim()
  const elements = parseOriginal(edition, raw)
  const common = { kind: 'wire', ownKey, rrn: rrn === '' ? undefined : rrn } as const
  if (elements === undefined) {
    const stan = text(raw.fields[11])
    const sentAt = text(raw.fields[edition.sentAtField])
    const keys = ORIGINAL_MTIS.map((mti) => joinKey(mti, stan, sentAt, institution, message))
    const others = keys.filter((key) => key !== ownKey)
    const name = { ...common, keys: others, isComplete: false, stan: undefined }
    return { name, sentAtMs: undefined }
  }
  const of = [institution, ...institutions].find(
    (one) => one.replace(/^0+/, '') === elements.acquiringInstitution,
  )
  const key = joinKey(elements.mti, elements.stan, elements.sentAt, of ?? institution, message)
  const stan = elements.stan.slice(-6)
  // DE90 and DE56 have no place for the terminal.
  const prefix = terminalOf(message) === '' ? key : undefined
  const keys = [key, keyWithoutTerminal(message, key)]
  const name = { ...common, keys, isComplete: true, stan, prefix }
  return { name, sentAtMs: sentAtOf(message, elements, nowMs) }
}

const QUARTER_MS = 15 * 60 * 1000

/**
 * DE7 is in UTC. DE12 of 1993 and 2003 is local, in a zone that nobody says: the one in which the
 * message's own DE12 and DE7 (or the switch's clock) are the same moment, to the quarter of an hour.
 */
function sentAtOf(
  { edition, raw }: Received,
  { sentAt }: OriginalElements,
  nowMs: number,
): number | undefined {
  if (edition.year === 1987) return momentOf(sentAt, nowMs)
  const original = momentOfLocal(sentAt)
  const local = momentOfLocal(text(raw.fields[12])) ?? original
  if (original === undefined || local === undefined) return undefined
  const transmitted = momentOf(text(raw.fields[7]), nowMs) ?? nowMs
  const zoneMs = Math.round((local - transmitted) / QUARTER_MS) * QUARTER_MS
  return original - zoneMs
}
