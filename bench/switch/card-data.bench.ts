// What a message costs in keyed hashes and ciphers: its card's token, new and seen before, its
// card sealed, its fingerprint.

import { randomFillSync } from 'node:crypto'
import { KeyedHash } from '#scoring'
import { CardVault, fingerprintOf, newKeyFile, Pan, parseKeyFile } from '#switch'
import { measure } from '../measure.ts'

const parsed = parseKeyFile(newKeyFile({ fill: (bytes) => randomFillSync(bytes) }))
if (!parsed.ok) throw new Error(parsed.problem)
const { keys } = parsed
const vault = new CardVault(keys, 'bench')

/** A PAN of that account, with its check digit (ISO/IEC 7812-1). */
const digitsOf = (number: number) => {
  const account = `476173${String(number).padStart(9, '0')}`
  let sum = 0
  for (const [i, digit] of [...account].reverse().entries()) {
    const value = Number(digit) * (i % 2 === 0 ? 2 : 1)
    sum += value > 9 ? value - 9 : value
  }
  return account + ((10 - (sum % 10)) % 10)
}
const pansOf = (count: number) =>
  Array.from({ length: count }, (_, i) => Pan.parse(digitsOf(i)) as Pan)
const few = pansOf(1_000)
const body = JSON.stringify({ amount: 2_599, currency: 'EUR', merchant: { id: 'M-1001' } })
const keyed = new KeyedHash(keys.fingerprintKey)
let next = 0
let fresh = new CardVault(keys, 'fresh')

await measure([
  { name: 'pan, parse', run: () => Pan.parse('4761739001010119') },
  { name: 'vault, token of a card seen', run: () => vault.tokenOf(few[next++ % 1_000] as Pan) },
  {
    name: 'vault, token of a new card',
    run: () => {
      if (next % 1_000 === 0) fresh = new CardVault(keys, 'fresh')
      return fresh.tokenOf(few[next++ % 1_000] as Pan)
    },
  },
  { name: 'vault, seal', run: () => vault.seal({ pan: few[0] as Pan, expiry: '2912' }) },
  {
    name: 'admit, fingerprint',
    run: () => fingerprintOf(keyed, '/v1/authorizations', body),
  },
])
