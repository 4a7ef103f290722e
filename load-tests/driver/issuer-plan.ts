// How many issuers the switch under load knows, beside the two of the default configuration. They
// are links of their own to the simulator of demo-a, so that their number costs the switch what it
// costs, and the machine no process each.

import type { RunningIssuer } from '../processes/index.ts'

export interface IssuerPlan {
  /** Laid over the configuration of the switch; empty for two issuers. */
  readonly config: Readonly<Record<string, unknown>>
  /** The ledger in which an issuer's approvals stand. */
  ledgerOf(issuer: string): string
}

/** BINs of eight digits below 476173: as many as issuers may be asked for, and more. */
const binsOfFirst = 100

/** `issuers`: 1 to 50, that share the cards of 476173. Absent: as in the default configuration. */
export function issuerPlan(
  issuers: number | undefined,
  running: readonly RunningIssuer[],
): IssuerPlan {
  const [first, second] = running
  if (issuers === undefined || first === undefined || second === undefined) {
    return { config: {}, ledgerOf: (issuer) => issuer }
  }
  const link = { host: '127.0.0.1', dialect: 'iso8583-1987-ascii', timeoutMs: 8_000 }
  const names = Array.from({ length: issuers }, (_, i) => (i === 0 ? 'demo-a' : `demo-a-${i}`))
  const routes = names.map((issuer, i) => ({
    bins: Array.from({ length: binsOfFirst }, (_, bin) => bin)
      .filter((bin) => bin % issuers === i)
      .map((bin) => `476173${String(bin).padStart(2, '0')}`),
    issuer,
  }))
  return {
    config: {
      issuers: [
        ...names.map((name) => ({ ...link, name, port: first.port })),
        { ...link, name: 'demo-b', port: second.port },
      ],
      routes: [...routes, { bins: ['541333'], issuer: 'demo-b' }],
    },
    ledgerOf: (issuer) => (issuer.startsWith('demo-a') ? 'demo-a' : issuer),
  }
}
