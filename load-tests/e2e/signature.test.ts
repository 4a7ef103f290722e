// Requests over HTTP against a real process, signed and by API key, with the shell lines of
// docs/connect.md as the client.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import test, { after, before } from 'node:test'
import { promisify } from 'node:util'
import { type System, startSystem } from './system.ts'

const page = readFileSync(new URL('../../switch/docs/connect.md', import.meta.url), 'utf8')
const [byKey = '', signed = ''] = [...page.matchAll(/```sh\n([\s\S]*?)```/g)].map(
  ([, text]) => text ?? '',
)

let system: System
before(async () => {
  system = await startSystem()
})
after(() => system?.stop())

/** Runs the page's lines, changed; `-w` adds the status behind the body. */
async function run(change: (script: string) => string = (script) => script, example = signed) {
  const url = new URL(system.running.url)
  const script = change(example)
    .replaceAll('127.0.0.1:8080', url.host)
    .replaceAll('curl -s', "curl -s -w '\\n%{http_code}'")
  const { stdout } = await promisify(execFile)('bash', ['-ec', script])
  return stdout
    .trim()
    .split(/\n(?=\{)|(?<=\})\n/)
    .map((part) => part.trim())
}

for (const [kind, example] of [
  ['by API key', byKey],
  ['signed', signed],
] as const) {
  test(`the example of the page is approved, ${kind}`, async () => {
    const [body = '', status] = await run(undefined, example)
    assert.equal(status, '200', body)
    assert.equal(JSON.parse(body).outcome, 'approved')
  })
}

test('sent again as it was: refused, and nothing else happened', async () => {
  const again = (script: string) => `${script}\necho\n${script.slice(script.indexOf('curl'))}`
  const [first = '', , second = '', status] = await run(again)
  assert.equal(JSON.parse(first).outcome, 'approved')
  assert.equal(status, '401')
  assert.equal(JSON.parse(second).code, 'signature_replayed')
})

test('another body, another clock, another secret: refused by name', async () => {
  const before = await system.demoA.status()
  for (const [change, code] of [
    [(s: string) => s.replace('-d "$BODY"', '-d "[]"'), 'content_digest_mismatch'],
    [(s: string) => s.replace('$(date +%s);', '$(($(date +%s) - 400));'), 'signature_expired'],
    [(s: string) => s.replace('-hmac "$SECRET"', '-hmac other'), 'signature_invalid'],
    [(s: string) => s.replace('keyid=\\"demo-hmac', 'keyid=\\"nobody'), 'signature_invalid'],
  ] as const) {
    const [body = '', status] = await run(change)
    assert.equal(status, '401')
    assert.equal(JSON.parse(body).code, code)
  }
  assert.equal((await system.demoA.status()).requests, before.requests)
})
