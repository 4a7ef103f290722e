// Card numbers where none belongs: in a name, an id, an e-mail, an idempotency key. What is stored
// of a request is stored in clear, so such a request is refused before anything of it is kept.

import { type Refusal, refuse } from '../errors.ts'
import type { Router } from '../route.ts'
import { Pan } from './pan.ts'

/** 13 to 19 digits (ISO/IEC 7812-1), as people write them: together, or with spaces or dashes. */
const DIGITS = /[0-9](?:[ -]?[0-9]){12,18}/g

/**
 * Refuses a request whose stored fields or key hold a number that passes Luhn and has a route: its
 * own PAN or another's. Long ids and times that happen to pass Luhn are let through by their BIN.
 * The usual cost is one pass of the expression over the text. `text`: `stored` as JSON, where the
 * caller has it.
 */
export function refuseStrayCardNumber(
  stored: object,
  idempotencyKey: string,
  router: Router,
  text: string = JSON.stringify(stored),
): Refusal | undefined {
  if (holdsCardNumber(idempotencyKey, router)) {
    const detail = 'the Idempotency-Key holds a card number: use a random one'
    return refuse('idempotency_key_invalid', detail, 'Idempotency-Key')
  }
  if (!holdsCardNumber(text, router)) return undefined
  const param = fieldWithCardNumber(stored, router)
  return refuse('invalid_field', `${param} holds a card number: it belongs in card.pan`, param)
}

function holdsCardNumber(text: string, router: Router): boolean {
  const runs = text.match(DIGITS)
  if (runs === null) return false
  return runs.some((run) => {
    const pan = Pan.parse(run.replace(/[ -]/g, ''))
    return pan !== undefined && router.routeOf(pan) !== undefined
  })
}

function fieldWithCardNumber(stored: object, router: Router): string {
  for (const [name, value] of Object.entries(stored)) {
    if (value === undefined || !holdsCardNumber(JSON.stringify(value), router)) continue
    if (typeof value !== 'object' || value === null) return name
    for (const [member, inner] of Object.entries(value)) {
      if (typeof inner === 'string' && holdsCardNumber(inner, router)) return `${name}.${member}`
    }
    return name
  }
  return 'body'
}
