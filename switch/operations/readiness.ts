// What must hold before traffic may come: /readyz, condition by condition.

import type { ReadinessCheck } from '../ingress/index.ts'
import type { Issuer } from '../issuers/index.ts'
import type { StoreStatus } from '../store/index.ts'
import type { World } from '../world.ts'
import { lineOf, type RulesStatus } from './rule-reloads.ts'

/** What scoring decides with, and how many workers have it loaded and warm. */
export interface DecidesWith {
  readonly rules: RulesStatus
  /** The version, and what an SRE should know of how it came to decide. */
  readonly model: string
  readonly workersReady: number
  readonly velocity: 'redis' | 'embedded'
  /** Why velocity is missing; null while it answers. */
  readonly velocityFault: string | null
}

/** The conditions in the order in which an SRE would ask. */
export function readiness(world: World, decidesWith: DecidesWith): readonly ReadinessCheck[] {
  const { status } = world.store
  const up = [...world.issuers.values()].filter((issuer) => issuer.isUp).map(stateOf)
  const down = [...world.issuers.values()].filter((issuer) => !issuer.isUp).map(stateOf)
  return [
    {
      name: 'door',
      isReady: world.door.isOpen,
      detail: world.door.isOpen ? 'open' : 'draining: nothing new is let in',
    },
    {
      name: 'store',
      isReady: status.writable,
      detail: status.writable
        ? `writable, ${status.openClaims} open claims, ${status.queuedDeliveries} queued`
        : `not writable: ${status.fault ?? 'closed'}; ${whatFollows(status.fault)}`,
    },
    diskCheck(status),
    {
      name: 'rules',
      isReady: decidesWith.workersReady > 0,
      detail: rulesDetail(decidesWith.rules),
    },
    {
      name: 'model',
      isReady: decidesWith.workersReady > 0,
      detail: `${decidesWith.model}, warm in ${decidesWith.workersReady} workers`,
    },
    {
      name: 'velocity',
      // Missing velocity degrades decisions; it must not take the switch out of service.
      isReady: true,
      detail:
        decidesWith.velocityFault === null
          ? decidesWith.velocity
          : `${decidesWith.velocity}, missing: ${decidesWith.velocityFault}; decisions say degraded`,
    },
    {
      name: 'issuers',
      isReady: up.length > 0,
      detail: `signed on: ${up.join(', ') || 'none'}; down: ${down.join(', ') || 'none'}`,
    },
  ]
}

/** A database may come back in time; after a failed flush nobody knows what is there. */
function whatFollows(fault: string | null): string {
  return fault?.startsWith('no database') === true
    ? 'nothing new is let in until it answers'
    : 'the process stops, recovery decides'
}

/** Room for what is to come; a store that can't tell is not asked. */
function diskCheck({ bytes, segments, freeBytes, isRoomLow }: StoreStatus): ReadinessCheck {
  if (freeBytes === undefined || freeBytes === null) {
    return { name: 'disk', isReady: true, detail: 'not watched' }
  }
  const room = `${freeBytes} bytes free, the store has ${bytes} in ${segments} segments`
  const detail = isRoomLow === true ? `too little room: ${room}; add some, or move traffic` : room
  return { name: 'disk', isReady: isRoomLow !== true, detail }
}

/** What decides, whether it is pinned, and why the last change was refused. */
function rulesDetail({ rules, hash, since, pinned, last }: RulesStatus): string {
  const pin = pinned === null ? '' : `; pinned by ${pinned.by} since ${pinned.since}`
  const base = `${rules} rules, set ${hash} since ${since}${pin}`
  if (last?.result !== 'refused') return base
  const [first] = last.problems
  const more = last.problems.length > 1 ? ` (and ${last.problems.length - 1} more problems)` : ''
  const why = first === undefined ? '' : `: ${lineOf(first)}`
  return `${base}; refused at ${last.at}, ${last.by}${why}${more}`
}

/** The issuer, and its connections where they are more than one or not all up. */
function stateOf({ name, connections }: Issuer): string {
  const [first] = connections
  if (connections.length === 1 && (first === 'up' || first === 'down')) return name
  return `${name} (${connections.join(', ').replaceAll('open', 'breaker open')})`
}
