// Values of a stored payment as they may stand on a screen or in a ticket: whoever may explain a
// decision need not learn who paid.

/** Names whose values lead to a person. */
const personal: readonly string[] = [
  'card.token',
  'card.expiry',
  'customer.id',
  'customer.email',
  'device.id',
  'device.ip',
]

/** The value of a name of the language, as JSON; of personal ones only enough to compare. */
export function maskedValue(name: string, value: number | string | boolean | null): string {
  if (value === null) return 'unknown'
  if (typeof value !== 'string' || !personal.includes(name)) return JSON.stringify(value)
  return JSON.stringify(maskedText(name, value))
}

function maskedText(name: string, value: string): string {
  const at = value.indexOf('@')
  if (name === 'customer.email' && at > 0) return `${value.slice(0, 1)}***${value.slice(at)}`
  if (name === 'card.token') return `${value.slice(0, 8)}…`
  return `${value.slice(0, Math.min(3, Math.floor(value.length / 2)))}***`
}
