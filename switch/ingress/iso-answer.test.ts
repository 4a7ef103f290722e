import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { ERRORS, type ErrorCode } from '../errors.ts'
import { actionCodeIn, EDITIONS } from '../iso8583/index.ts'
import { refusalCode } from './iso-answer.ts'

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
