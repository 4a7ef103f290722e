// Adapter: what an issuer link brings to a TLS handshake, read from its PEM files at the start.

import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { Config } from '../config/index.ts'
import type { TlsClient } from '../ports.ts'

/** Names of PEM files, as a configuration has them. */
export interface TlsClientFiles {
  readonly caFile?: string | undefined
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
  readonly serverName?: string | undefined
}

export type ReadTlsResult =
  | { readonly ok: true; readonly tls: TlsClient }
  /** Names the file, never what is in it. */
  | { readonly ok: false; readonly problem: string }

/** Reads the files and sees that they fit together. Never throws. */
export function readTlsClient(files: TlsClientFiles): ReadTlsResult {
  const { caFile, certFile, keyFile, serverName } = files
  const texts: (string | undefined)[] = []
  for (const file of [caFile, certFile, keyFile]) {
    try {
      texts.push(file === undefined ? undefined : readFileSync(file, 'utf8'))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      return { ok: false, problem: `${file} can't be read (${code})` }
    }
  }
  const [ca, cert, key] = texts
  try {
    createSecureContext({ ca, cert, key })
  } catch (error) {
    const named = [caFile, certFile, keyFile].filter((file) => file !== undefined).join(', ')
    const { code } = error as NodeJS.ErrnoException
    return { ok: false, problem: `${named}: not PEM that fits together (${code ?? 'unreadable'})` }
  }
  return { ok: true, tls: { ca, cert, key, serverName } }
}

/** What each issuer with TLS brings, by the issuer's name. */
export function readIssuerTls(
  config: Config,
):
  | { ok: true; byName: ReadonlyMap<string, TlsClient> }
  | { ok: false; problems: readonly string[] } {
  const byName = new Map<string, TlsClient>()
  const problems: string[] = []
  for (const { name, tls } of config.issuers) {
    if (tls === undefined) continue
    const result = readTlsClient(tls)
    if (result.ok) byName.set(name, result.tls)
    else problems.push(`issuers: ${name}.tls: ${result.problem}`)
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, byName }
}
