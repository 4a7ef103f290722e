// Adapter: the addresses of a running switch, in a file of its data folder.

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Addresses } from '../operations/index.ts'

/** For scripts that start a switch on free ports. Says what keeps the file from being written. */
export function writeAddresses(
  dataDir: string,
  { url, adminUrl, isoUrls }: Addresses,
): string | undefined {
  const [iso] = Object.values(isoUrls)
  const addresses = { http: url, admin: adminUrl, iso, isoListeners: isoUrls, pid: process.pid }
  const file = path.join(dataDir, 'addresses.json')
  try {
    writeFileSync(file, `${JSON.stringify(addresses)}\n`)
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return `${file} can't be written (${code}): make room for it, or let the switch write there`
  }
}
