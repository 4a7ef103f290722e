import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { maskConfig, readConfig } from './read-config.ts'

const shipped = readFileSync(new URL('./default.yaml', import.meta.url), 'utf8')

function problemsOf(text: string, environment: Record<string, string> = {}): readonly string[] {
  const result = readConfig(text, environment)
  assert.ok(!result.ok, 'it was accepted')
  return result.problems
}

test('the shipped configuration is valid and frozen to the bottom', () => {
  const result = readConfig(shipped, {})
  assert.ok(result.ok)
  assert.ok(Object.isFrozen(result.config.issuers[0]))
})

test('the environment wins', () => {
  const result = readConfig(shipped, {
    PORT: '9000',
    ISO_PORT: '9001',
    DATA_DIR: '/x',
    LOG_LEVEL: 'debug',
  })
  assert.ok(result.ok)
  assert.equal(result.config.http.port, 9000)
  assert.equal(result.config.iso?.listeners[0]?.port, 9001)
  assert.equal(result.config.dataDir, '/x')
  assert.equal(result.config.log.level, 'debug')
})

test('an unknown key is refused with the nearest known', () => {
  assert.deepEqual(problemsOf(`${shipped}\nrulesdir: x\n`), [
    'rulesdir is not a known key; did you mean rulesDir?',
  ])
  const nested = shipped.replace('timeoutMs: 8000', 'timeoutMS: 8000')
  assert.match(problemsOf(nested).join('\n'), /issuers\.0\.timeoutMS .* did you mean timeoutMs/)
})

const mistakes: readonly [what: string, from: string, to: string, says: RegExp][] = [
  ['a wrong type', 'port: 8080', 'port: http', /http\.port must be/],
  ['a route to nowhere', 'issuer: demo-b }', 'issuer: demo-c }', /no issuer demo-c; did you mean/],
  ['a public address without TLS', 'http: { host: 127.0.0.1', 'http: { host: 0.0.0.0', /loopback/],
  [
    'deadlines that do not fit',
    'acquirerMs: 12000',
    'acquirerMs: 9000',
    /must be below acquirerMs/,
  ],
  ['too short a retention', 'retentionDays: 400', 'retentionDays: 20', /at least 31/],
  ['PANs kept longest', 'panRetentionDays: 180', 'panRetentionDays: 500', /not be above/],
  ['a short signature secret', 'secret: c3dpdGNo', 'secret: short-', /signatureKeys.0.secret/],
  ['an alias', 'scoring: {', 'x: &a 1\ny: *a\nscoring: {', /aliases/],
  [
    'an issuer in a dialect and by HTTP',
    'dialect: iso8583-1987-ascii, timeoutMs: 8000 }',
    `dialect: a, timeoutMs: 8000, http: { keyId: k, secret: ${'A'.repeat(43)}= } }`,
    /demo-a needs a dialect \(ISO 8583\) or http, one of them/,
  ],
  [
    'a client certificate without its key',
    'dialect: iso8583-1987-ascii, timeoutMs: 8000 }',
    'dialect: iso8583-1987-ascii, timeoutMs: 8000, tls: { certFile: a.pem } }',
    /demo-a\.tls\.certFile and keyFile: both or none/,
  ],
  ['a peer of nobody', 'name: demo, acquirer: demo,', 'name: demo, acquirer: demi,', /mean demo\?/],
  ['a peer without identity', ', addresses: [127.0.0.1] }', ' }', /addresses or certificateSha256/],
  [
    'a certificate without TLS',
    'addresses: [127.0.0.1]',
    `certificateSha256: [${'a'.repeat(64)}]`,
    /needs tls/,
  ],
  [
    'a public ISO 8583 listener in clear',
    'host: 127.0.0.1\n      port: 8583',
    'host: 0.0.0.0\n      port: 8583',
    /demo\.host must be loopback without tls/,
  ],
  [
    'two listeners of one name',
    'listeners:',
    'listeners:\n    - { name: demo, host: 127.0.0.1, port: 1, dialect: x, peers: ' +
      '[{ name: other, acquirer: demo, addresses: [127.0.0.1] }] }',
    /each listener name once/,
  ],
  ['a BIN on two routes', '["541333"]', '["476173"]', /each BIN once/],
  ['a word that is none of the known', 'elsewhere: review', 'elsewhere: maybe', /review, decline/],
  ['a file that is no YAML', 'dataDir: .data', 'dataDir: [', /line/],
]

for (const [what, from, to, says] of mistakes) {
  test(`${what} is refused, and says so`, () => {
    assert.ok(shipped.includes(from))
    assert.match(problemsOf(shipped.replace(from, to)).join('\n'), says)
  })
}

test('the demo key is refused in production', () => {
  const problems = problemsOf(shipped, { NODE_ENV: 'production' }).join('\n')
  assert.match(problems, /demo key/)
  assert.match(problems, /demo signature key/)
})

const wrongVariables: readonly [variable: string, value: string, says: RegExp][] = [
  ['PORT', 'eighty', /^PORT must be a port number/],
  ['ISO_PORT', '70000', /^ISO_PORT must be a port number, 0 to 65535$/],
  ['ADMIN_PORT', '-1', /^ADMIN_PORT must be a port number/],
  ['LOG_LEVEL', 'loud', /^LOG_LEVEL must be one of fatal, error, .*silent$/],
  ['REDIS_URL', 'localhost:6379', /^REDIS_URL must look like redis:\/\/host:port/],
  ['REDIS_URL', 'redis+sentinel://host:26379', /redis\+sentinel:\/\/host:port,host:port\/name/],
  ['REDIS_URL', 'redis://host:secret', /^REDIS_URL must look like redis:\/\/host:port/],
  ['DATABASE_URL', 'mysql://secret@host/db', /DATABASE_URL must look like postgres/],
]

for (const [variable, value, says] of wrongVariables) {
  test(`${variable}=${value} is the environment's problem, by its name, and not repeated`, () => {
    const result = readConfig(shipped, { [variable]: value })
    assert.ok(!result.ok)
    assert.equal(result.source, 'environment')
    assert.equal(result.problems.length, 1)
    assert.match(result.problems[0] ?? '', says)
    assert.ok(!result.problems.join().includes(value))
  })
}

test('deadlines fit up to the millisecond: claim or score, issuer, outcome; and the drain', () => {
  const withDeadline = (from: string, to: string) => readConfig(shipped.replace(from, to), {})
  // 1900 + 8000 + 1900 = 11800
  assert.ok(withDeadline('acquirerMs: 12000', 'acquirerMs: 11801').ok)
  assert.ok(!withDeadline('acquirerMs: 12000', 'acquirerMs: 11800').ok)
  assert.ok(withDeadline('durabilityMs: 1900', 'durabilityMs: 1999').ok)
  assert.ok(!withDeadline('durabilityMs: 1900', 'durabilityMs: 2000').ok)
  // 8000 + 1900 = 9900
  assert.ok(withDeadline('drainMs: 15000', 'drainMs: 9901').ok)
  assert.match(
    problemsOf(shipped.replace('drainMs: 15000', 'drainMs: 9900')).join(),
    /drainMs 9900 must be above the slowest issuer's timeoutMs 8000 \+ durabilityMs 1900/,
  )
})

test('printing masks key hashes and the credentials in URLs', () => {
  const result = readConfig(shipped, { REDIS_URL: 'redis://user:secret@127.0.0.1:6379/0' })
  assert.ok(result.ok)
  const printed = JSON.stringify(maskConfig(result.config))
  assert.ok(!printed.includes('secret@'))
  assert.ok(!printed.includes(result.config.acquirers[0]?.signatureKeys?.[0]?.secret ?? ''))
  assert.ok(!printed.includes(result.config.acquirers[0]?.apiKeySha256[0] ?? ''))
  assert.ok(printed.includes('127.0.0.1:6379'))
})

test('an acquirer without any key has no way in; one that signs needs no API key', () => {
  const unkeyed = shipped.replace(/apiKeySha256: \[.*\]/, 'apiKeySha256: []')
  assert.ok(readConfig(unkeyed, {}).ok)
  const unsigned = unkeyed.replace(/signatureKeys: \[.*\]/, 'signatureKeys: []')
  assert.ok(readConfig(unsigned, {}).ok, 'a peer of an ISO 8583 listener is a way in')
  const shut = unsigned.replace(/^iso:\n[\s\S]*?(?=^issuers:)/m, '')
  assert.match(problemsOf(shut).join('\n'), /demo has no way in/)
})

test('a file that can’t be read is blamed by line, without quoting what may be a secret', () => {
  const problems = problemsOf(shipped.replace('secret: ', 'secret: [')).join('\n')
  assert.match(problems, /line \d+, column \d+/)
  assert.ok(!problems.includes('c3dpdGNo'))
})

test('the examples of docs/connect.md are taken, once their secrets are filled in', () => {
  const page = readFileSync(new URL('../docs/connect.md', import.meta.url), 'utf8')
  const examples = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text)
  assert.equal(examples.length, 2)
  const filled = examples
    .join('')
    .replaceAll('<base64>', Buffer.alloc(32, 1).toString('base64'))
    .replaceAll('<hex>', '0123456789abcdef0123456789abcdef')
    .replaceAll('<sha256>', 'a'.repeat(64))
  const others = shipped.replace(/^acquirers:\n(?: .*\n)*/m, '').replace(/^iso:\n(?: .*\n)*/m, '')
  const result = readConfig(others + filled, {})
  assert.ok(result.ok, JSON.stringify(result))
  assert.deepEqual(
    result.config.acquirers.map(({ id }) => id),
    result.config.iso?.listeners.flatMap(({ peers }) => peers.map((peer) => peer.acquirer)),
  )
})
