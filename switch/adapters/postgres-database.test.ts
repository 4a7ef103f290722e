// The connection to a real server: in TLS, one statement at a time, and what is wrong as a value.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import {
  makeCertificates,
  postgresMissing,
  type RunningPostgres,
  startPostgres,
} from '../../load-tests/processes/index.ts'
import { DatabaseError } from '../store/index.ts'
import { addressOf, openPostgresDatabase } from './postgres-database.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'switchyard-postgres-tls-'))
const missing = postgresMissing()
const certificates = missing === false ? makeCertificates(folder) : undefined
const skip = missing !== false ? missing : certificates === undefined && 'no openssl'
let server: RunningPostgres

before(async () => {
  if (certificates === undefined) return
  const tls = { cert: certificates.pem('server.pem'), key: certificates.pem('server.key') }
  server = await startPostgres({ tls })
})
after(async () => {
  await server?.stop()
  rmSync(folder, { recursive: true })
})

const connect = (parameters: string) => {
  const url = server.url.replace('127.0.0.1', 'localhost')
  return openPostgresDatabase(`${url}?${parameters}`, 'test').connect(20_000)
}

const IN_TLS = {
  name: 'in_tls',
  text: 'SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
}

test('the server must prove its name to sslmode=verify-full', { skip }, async () => {
  const session = await connect(`sslmode=verify-full&sslrootcert=${certificates?.file('ca.pem')}`)
  const [row] = await session.query(IN_TLS, [])
  assert.equal(row?.ssl, true)
  assert.match(String(row?.version), /^TLSv1\.[23]$/)
  await session.close()
  const stranger = connect(`sslmode=verify-full&sslrootcert=${certificates?.file('stranger.pem')}`)
  await assert.rejects(stranger, DatabaseError)
  // The certificate is for localhost.
  const { url } = server
  const another = `${url}?sslmode=verify-full&sslrootcert=${certificates?.file('ca.pem')}`
  await assert.rejects(
    openPostgresDatabase(another, 'test').connect(20_000),
    /127\.0\.0\.1|altname/i,
  )
})

test('what the URL names and is not there is an error of the database', { skip }, async () => {
  const nowhere = connect(`sslmode=verify-full&sslrootcert=${folder}/none.pem`)
  await assert.rejects(nowhere, (error) => {
    assert.ok(error instanceof DatabaseError)
    assert.match(error.message, /none\.pem/)
    assert.ok(!error.message.includes('switchyard-test'), 'a password is told')
    return true
  })
  assert.equal(addressOf(server.url), `127.0.0.1:${server.port}/switchyard`)
})

test('statements of one session are asked one after the other, in order', { skip }, async () => {
  const warnings: string[] = []
  const onWarning = ({ message }: Error) => warnings.push(message)
  process.on('warning', onWarning)
  const session = await connect('sslmode=disable')
  const ask = (text: string) => session.query({ name: text, text }, [])
  const results = await Promise.allSettled([
    session.script('CREATE TEMP TABLE t (n int)'),
    ask('INSERT INTO t VALUES (1)'),
    ask('SELECT 1 / 0'),
    ask('SELECT count(*)::int AS n FROM t'),
  ])
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
  )
  const [, , , counted] = results
  assert.deepEqual(counted.status === 'fulfilled' && counted.value, [{ n: 1 }])
  const waiting = [ask('SELECT pg_sleep(60)'), ask('SELECT 1')]
  session.destroy()
  for (const one of waiting) await assert.rejects(one, DatabaseError)
  process.off('warning', onWarning)
  assert.deepEqual(warnings, [])
})
