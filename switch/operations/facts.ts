// What an operator wants to see at the start: where things are, and what was found.

import type { ScorerPool } from '#scoring'
import type { RecoveryReport } from '../recover.ts'
import type { World } from '../world.ts'

/** Name and value, to be printed one a line. */
export type Facts = readonly (readonly [name: string, value: string])[]

/** Where a running switch is reached. */
export interface Addresses {
  /** Where acquirers reach it. */
  readonly url: string
  readonly adminUrl: string
  /** ISO 8583 listeners by name: `tcp://` or `tls://`, host and port. */
  readonly isoUrls: Readonly<Record<string, string>>
}

export function addressFacts(running: Addresses): Facts {
  return [
    ['acquirers', [running.url, ...Object.values(running.isoUrls)].join('  ')],
    ['operations', `${running.adminUrl}/readyz?verbose  ${running.adminUrl}/metrics`],
  ]
}

export function facts(
  world: World,
  scorer: ScorerPool,
  { place, cutTail }: { readonly place: string; readonly cutTail: object | null },
  recovered: RecoveryReport,
): Facts {
  const { config } = world
  const { info } = scorer
  const cut = cutTail === null ? '' : `; a torn last record was cut: ${JSON.stringify(cutTail)}`
  const left = `${recovered.declined} left open by a crash, ${recovered.reversed} reversed`
  return [
    ['store', `${place} (${left}${cut})`],
    ['velocity', info.velocity === 'redis' ? 'Redis' : `embedded (${embeddedText(info)})`],
    ['rules', `${info.rules} rules, set ${info.ruleSet}`],
    ['model', `${info.modelName} ${info.model}`],
    ['issuers', config.issuers.map(({ name, host, port }) => `${name} ${host}:${port}`).join(', ')],
  ]
}

/** A crash leaves no snapshot: counters then begin at zero, and `velocity rebuild` fills them. */
function embeddedText({ restored }: ScorerPool['info']): string {
  if (restored?.refused != null)
    return `nothing kept: the snapshot was refused, ${restored.refused}`
  const { entities = 0 } = restored ?? {}
  return entities === 0 ? 'REDIS_URL is not set; counts begin at zero' : `${entities} entities kept`
}
