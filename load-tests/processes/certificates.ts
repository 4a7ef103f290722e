// Certificates of a test's own, made by the openssl command.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'

export interface TestCertificates {
  /** Path of `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`, `stranger.pem` ... */
  file(name: string): string
  /** Text of the same. */
  pem(name: string): string
}

/**
 * A CA in `folder`, a server for `localhost` and a client that it has signed, and a stranger that
 * it has not. Undefined where openssl is not installed.
 */
export function makeCertificates(folder: string): TestCertificates | undefined {
  const openssl = (...args: readonly string[]) =>
    spawnSync('openssl', [...args], { cwd: folder, stdio: 'pipe' }).status === 0
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const request = (name: string, more: readonly string[]) =>
    openssl('req', ...key, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, ...more)
  const localhost = ['-addext', 'subjectAltName=DNS:localhost']
  const self = (name: string) =>
    request(name, ['-x509', '-days', '2', ...localhost, '-out', `${name}.pem`])
  const signed = (name: string) =>
    request(name, [...localhost, '-out', `${name}.csr`]) &&
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key'],
      ...['-copy_extensions', 'copy', '-CAcreateserial', '-days', '2', '-out', `${name}.pem`],
    )
  if (!(self('ca') && self('stranger') && signed('server') && signed('client'))) return undefined
  const file = (name: string) => path.join(folder, name)
  return { file, pem: (name) => readFileSync(file(name), 'utf8') }
}
