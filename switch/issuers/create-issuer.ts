// From a configured link to an issuer that is being dialled.

import { createFraming, type Dialect, defaultFraming, type FramingSpec } from '../iso8583/index.ts'
import type { TlsClient } from '../ports.ts'
import { IsoIssuer, type IssuerState } from './iso-issuer.ts'
import type { IsoLinkPorts, LinkMac } from './iso-link.ts'
import type { Issuer, LateIssuerAnswer } from './issuer.ts'
import type { IssuerEvent } from './issuer-events.ts'
import {
  CONNECTIONS_MAX,
  DEFAULT_BREAKER_OPEN_MAX_MS,
  DEFAULT_BREAKER_OPEN_MIN_MS,
  DEFAULT_BREAKER_TIMEOUTS,
  DEFAULT_ECHO_INTERVAL_MS,
  DEFAULT_LATE_ANSWER_WINDOW_MS,
  DEFAULT_RECONNECT_MAX_MS,
  DEFAULT_RECONNECT_MIN_MS,
  DEFAULT_SIGN_ON_TIMEOUT_MS,
  DEFAULT_TIMEOUT_MS,
  HOLD_MAX_MS,
  IN_FLIGHT_MAX,
} from './limits.ts'
import type { TraceSlot } from './trace-numbers.ts'

/** A link as the configuration has it; what is absent is as in `limits.ts`. */
export interface IssuerLinkConfig {
  readonly name: string
  readonly host: string
  readonly port: number
  /** PEM texts; absent: plain TCP. */
  readonly tls?: TlsClient | undefined
  readonly framing?: FramingSpec | undefined
  readonly mac?: LinkMac | undefined
  readonly timeoutMs?: number | undefined
  readonly echoIntervalMs?: number | undefined
  readonly signOnTimeoutMs?: number | undefined
  readonly reconnect?: { readonly minMs: number; readonly maxMs: number } | undefined
  readonly lateAnswerWindowMs?: number | undefined
  readonly inFlightMax?: number | undefined
  /** Connections to the same address, each signed on by itself. */
  readonly connections?: number | undefined
  readonly breaker?:
    | { readonly timeoutsInARow: number; readonly openMinMs: number; readonly openMaxMs: number }
    | undefined
}

export interface IssuerDependencies extends IsoLinkPorts {
  readonly dialect: Dialect
  /** `store.lastStan(name)`: the trace numbers go on after it. */
  readonly lastStan: string
  /** The numbers that this process may draw, where others share the store. */
  readonly traceSlot?: TraceSlot | undefined
  /** Called on the message path, as `onEvent`: they must not throw. */
  readonly onLateAnswer: (late: LateIssuerAnswer) => void
  readonly onEvent: (event: IssuerEvent) => void
}

/** The door, and what metrics read. */
export interface IssuerWithState extends Issuer {
  readonly state: IssuerState
}

/**
 * Starts to dial the issuer, and keeps its link up until `close`. Throws where the configuration
 * asks for holds that the book of numbers can't count (`HOLD_MAX_MS`) or for too many connections.
 */
export function createIssuer(config: IssuerLinkConfig, deps: IssuerDependencies): IssuerWithState {
  const timeoutMs = config.timeoutMs ?? DEFAULT_TIMEOUT_MS
  const lateAnswerWindowMs = config.lateAnswerWindowMs ?? DEFAULT_LATE_ANSWER_WINDOW_MS
  if (timeoutMs + lateAnswerWindowMs > HOLD_MAX_MS) {
    const sum = `timeoutMs ${timeoutMs} + lateAnswerWindowMs ${lateAnswerWindowMs}`
    throw new RangeError(`issuer ${config.name}: ${sum} is more than ${HOLD_MAX_MS}`)
  }
  const connections = config.connections ?? 1
  if (connections < 1 || connections > CONNECTIONS_MAX) {
    throw new RangeError(`issuer ${config.name}: connections 1 to ${CONNECTIONS_MAX}`)
  }
  const { minMs, maxMs } = config.reconnect ?? {
    minMs: DEFAULT_RECONNECT_MIN_MS,
    maxMs: DEFAULT_RECONNECT_MAX_MS,
  }
  const issuer = new IsoIssuer(
    {
      name: config.name,
      link: {
        address: { host: config.host, port: config.port, tls: config.tls },
        dialect: deps.dialect,
        mac: config.mac,
        framing: createFraming(config.framing ?? defaultFraming),
        echoIntervalMs: config.echoIntervalMs ?? DEFAULT_ECHO_INTERVAL_MS,
        signOnTimeoutMs: config.signOnTimeoutMs ?? DEFAULT_SIGN_ON_TIMEOUT_MS,
        reconnect: { minMs, maxMs },
        breaker: config.breaker ?? {
          timeoutsInARow: DEFAULT_BREAKER_TIMEOUTS,
          openMinMs: DEFAULT_BREAKER_OPEN_MIN_MS,
          openMaxMs: DEFAULT_BREAKER_OPEN_MAX_MS,
        },
      },
      connections,
      timeoutMs,
      lateAnswerWindowMs,
      inFlightMax: config.inFlightMax ?? IN_FLIGHT_MAX,
      lastStan: deps.lastStan,
      traceSlot: deps.traceSlot,
      onLateAnswer: deps.onLateAnswer,
      onEvent: deps.onEvent,
    },
    deps,
  )
  issuer.open()
  return issuer
}
