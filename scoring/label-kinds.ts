// What a label says of a payment.

/**
 * The kinds that say that a payment was made by whom it should; every other kind is a fraud. A
 * dispute is about the goods, not about who paid.
 */
const GENUINE_KINDS: readonly string[] = ['genuine', 'legitimate', 'not_fraud', 'dispute']

export function isFraudKind(kind: string): boolean {
  return !GENUINE_KINDS.includes(kind)
}
