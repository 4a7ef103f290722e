import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { readDialect } from '../adapters/dialect-files.ts'
import { ERRORS, type ErrorCode } from '../errors.ts'
import { actionCodeIn, EDITIONS, editionOf } from '../iso8583/index.ts'
import { roomOf } from '../issuers/index.ts'
import { answerReply, refusalCode } from './iso-answer.ts'
import { received } from './iso-received.ts'

/** What can't happen over ISO 8583: HTTP's own headers, keys and signatures. */
const HTTP_ONLY: ReadonlySet<string> = new Set([
  'unreadable_body',
  'unsupported_content_type',
  'idempotency_key_required',
  'idempotency_key_invalid',
  'ambiguous_request',
  'unauthorized',
  'signature_invalid',
  'signature_expired',
  'signature_replayed',
  'content_digest_mismatch',
  'body_too_large',
  'unknown_card_token',
  'unknown_field',
])

/** A row of docs/errors.md. */
function rowOf(code: ErrorCode): string {
  const of1987 = refusalCode(code)
  if (of1987 === null) return `| \`${code}\` | no answer | no answer | no answer |`
  const later = ([1993, 2003] as const).map((year) => actionCodeIn(EDITIONS[year], of1987, '0110'))
  return `| \`${code}\` | ${[of1987, ...later].join(' | ')} |`
}

test('docs/errors.md has the DE39 of every refusal in three editions', () => {
  const page = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')
  const section = page.slice(page.indexOf('## Over ISO 8583'))
  const codes = (Object.keys(ERRORS) as ErrorCode[]).filter((code) => !HTTP_ONLY.has(code))
  const missing = codes.map(rowOf).filter((row) => !section.includes(row))
  assert.deepEqual(missing, [])
  const rows = section.match(/^\| `[a-z_]+` \|.*$/gm) ?? []
  assert.equal(rows.length, codes.length, 'a row for a code that is not there')
})

test('a challenge is told in the words of the edition, with the numbers that came', () => {
  for (const [code, of1993, of2003] of [
    ['1A', '190', '1067'],
    ['65', '123', '1023'],
    ['70', '112', '1012'],
  ] as const) {
    const body = { outcome: 'challenged', responseCode: code, amount: 2599, rrn: '632610000123' }
    for (const [preset, said] of [
      ['iso8583-1987-ascii', code],
      ['iso8583-1993-ascii', of1993],
      ['iso8583-2003-ascii', of2003],
    ] as const) {
      const loaded = readDialect(preset)
      assert.ok(loaded.ok)
      const { dialect } = loaded
      const edition = editionOf(dialect)
      const fields: string[] = []
      fields[7] = '1122095959'
      fields[11] = '123'.padStart(edition.traceDigits, '0')
      fields[12] = '20261122095959'.slice(edition.year === 2003 ? 0 : 2)
      if (edition.year === 1987) fields[12] = '095959'
      const came = received(dialect, { mti: `${edition.digit}100`, fields })
      const reply = { kind: 'answer', body, isReplay: false } as const
      const answer = answerReply(came, reply, roomOf(dialect))
      assert.ok(answer)
      assert.equal(answer.mti, `${edition.digit}110`)
      assert.equal(answer.fields[39], said)
      for (const field of [7, 11, 12]) assert.equal(answer.fields[field], fields[field])
      assert.ok(dialect.encode(answer).ok)
    }
  }
})

test('balances and scripts come back where the dialect has room, a partial approval says of what', () => {
  const loaded = readDialect('iso8583-1993-ascii')
  assert.ok(loaded.ok)
  const { dialect } = loaded
  const fields: string[] = []
  Object.assign(fields, { 4: '000000002599', 7: '1122095959', 11: '000123', 12: '261122095959' })
  const came = received(dialect, { mti: '1100', fields })
  const chip = new Map([['91', '0A1B2C3D4E5F60713030']])
  const body = { responseCode: '10', amount: 1000, requestedAmount: 2599, approvalCode: 'A1B2C3' }
  const passThrough = { chip, additionalAmounts: '0001978C000000123456' }
  const reply = { kind: 'answer', body, isReplay: false, passThrough } as const
  const answer = answerReply(came, reply, roomOf(dialect))
  assert.ok(answer)
  assert.deepEqual(
    [4, 30, 38, 39, 54].map((field) => answer.fields[field]),
    ['000000001000', `000000002599${'0'.repeat(12)}`, 'A1B2C3', '002', '0001978C000000123456'],
  )
  assert.deepEqual(answer.fields[55], chip)
})

test('what is told is not refused for now: it is left unanswered, and comes again', () => {
  const loaded = readDialect('iso8583-1987-ascii')
  assert.ok(loaded.ok)
  const { dialect } = loaded
  const room = roomOf(dialect)
  const refusedAs = (mti: string, code: ErrorCode) => {
    const reply = { kind: 'refused', code, detail: '' } as const
    return answerReply(received(dialect, { mti, fields: [] }), reply, room)?.fields[39]
  }
  const forNow = ['overloaded', 'draining', 'store_unavailable', 'payment_in_progress'] as const
  for (const code of forNow) {
    for (const mti of ['0120', '0220', '0400', '0420', '0421']) {
      assert.equal(refusedAs(mti, code), undefined, `${mti} ${code}`)
    }
    assert.equal(refusedAs('0200', code), code === 'payment_in_progress' ? '09' : '91')
  }
  assert.equal(refusedAs('0420', 'not_found'), '25')
})
