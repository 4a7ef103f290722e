import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { makeCertificates, type TestCertificates } from '../../load-tests/processes/index.ts'
import { readTlsClient } from './tls-files.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'switchyard-tls-files-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const certificates = makeCertificates(folder)
const skip = certificates === undefined && 'openssl is not installed'

test('reads what is named, and only that', { skip }, () => {
  const { file, pem } = certificates as TestCertificates
  assert.deepEqual(readTlsClient({ caFile: file('ca.pem'), serverName: 'issuer.example' }), {
    ok: true,
    tls: { ca: pem('ca.pem'), cert: undefined, key: undefined, serverName: 'issuer.example' },
  })
  const whole = { certFile: file('client.pem'), keyFile: file('client.key') }
  const result = readTlsClient(whole)
  assert.ok(result.ok && result.tls.key === pem('client.key'))
})

test('a file that is not there, no PEM, or another’s key is named, and nothing of it shown', {
  skip,
}, () => {
  const { file } = certificates as TestCertificates
  writeFileSync(file('secret.txt'), 'hunter2')
  const wrong = [
    { files: { caFile: file('absent.pem') }, says: /absent\.pem can't be read \(ENOENT\)/ },
    { files: { certFile: file('secret.txt'), keyFile: file('client.key') }, says: /secret\.txt/ },
    { files: { certFile: file('client.pem'), keyFile: file('ca.key') }, says: /fits together/ },
  ]
  for (const { files, says } of wrong) {
    const result = readTlsClient(files)
    assert.ok(!result.ok)
    assert.match(result.problem, says)
    assert.doesNotMatch(result.problem, /hunter2|BEGIN/)
  }
})
