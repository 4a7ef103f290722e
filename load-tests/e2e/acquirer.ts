// Messages of an acquirer over ISO 8583:1987, and their answers, as end-to-end tests need them.

import assert from 'node:assert/strict'
import type { FieldValue, IsoMessage } from '#switch'
import { type IsoClient, pause } from '../processes/index.ts'
import { purchase } from './system.ts'

export type FieldChange = Readonly<Record<number, FieldValue | undefined>>

const ANSWER_MS_MAX = 20_000

let lastStan = 0

/** Six digits that no other message of this test process has. */
export function nextStan(): string {
  return String(++lastStan).padStart(6, '0')
}

/** MMDDhhmmss, now. */
export function nowOnTheWire(): string {
  return new Date()
    .toISOString()
    .replace(/[^0-9]/g, '')
    .slice(4, 14)
}

/**
 * A purchase that no rule minds, with numbers of its own. `number` names the card and is the RRN;
 * `amount`, in minor units, tells it apart in a ledger.
 */
export function isoRequest(
  number: number,
  amount: number,
  change: FieldChange = {},
  mti = '0100',
): IsoMessage {
  const { card, merchant } = purchase(number, amount)
  const fields: (FieldValue | undefined)[] = new Array(129)
  Object.assign(fields, {
    2: card.pan,
    3: '000000',
    4: String(amount).padStart(12, '0'),
    7: nowOnTheWire(),
    11: nextStan(),
    12: '110000',
    13: '1122',
    14: card.expiry,
    18: merchant.mcc,
    22: '051',
    25: '00',
    32: '100001',
    37: String(number).padStart(12, '0'),
    41: `T-${number % 100}`.padEnd(8),
    42: merchant.id.padEnd(15),
    43: `${'Corner Shop'.padEnd(25)}${'Berlin'.padEnd(13)}DE`,
    49: '978',
  })
  for (const [field, value] of Object.entries(change)) fields[Number(field)] = value
  return { mti, fields }
}

/** A message about an earlier one: its fields, new numbers, and DE90. */
export function follow(original: IsoMessage, mti: string, change: FieldChange = {}): IsoMessage {
  const fields = [...original.fields]
  fields[11] = nextStan()
  fields[7] = nowOnTheWire()
  fields[90] = originalOf(original)
  for (const [field, value] of Object.entries(change)) fields[Number(field)] = value
  return { mti, fields }
}

/** DE90 of ISO 8583:1987. */
export function originalOf({ mti, fields }: IsoMessage): string {
  const institution = String(fields[32] ?? '').padStart(11, '0')
  return `${mti}${fields[11]}${fields[7]}${institution}${'0'.repeat(11)}`
}

/** The last digit 1. */
export function repeatOf(message: IsoMessage): IsoMessage {
  return { ...message, mti: `${message.mti.slice(0, 3)}1` }
}

/** Sends, and waits for the answer with the same DE11. */
export async function ask(client: IsoClient, message: IsoMessage): Promise<IsoMessage> {
  const before = client.received.length
  client.send(message)
  const answer = () =>
    client.received.slice(before).find(({ fields }) => fields[11] === message.fields[11])
  for (const deadline = performance.now() + ANSWER_MS_MAX; answer() === undefined; ) {
    assert.ok(performance.now() < deadline, `no answer to ${message.mti}`)
    await pause(5)
  }
  return answer() as IsoMessage
}

/** MTI and DE39 of the answer. */
export async function codeOf(client: IsoClient, message: IsoMessage): Promise<string> {
  const { mti, fields } = await ask(client, message)
  return `${mti} ${fields[39]}`
}
