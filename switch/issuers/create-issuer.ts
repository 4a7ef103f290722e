// From a configured link to an issuer that is being dialled.

import { createFraming, type Dialect, defaultFraming, type FramingSpec } from '../iso8583/index.ts'
import type { TlsClient } from '../ports.ts'
import { HttpIssuer, type HttpIssuerPorts } from './http-issuer.ts'
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
  DEFAULT_HTTP_CONNECTIONS,
  DEFAULT_HTTP_LATE_ANSWER_MS,
  DEFAULT_LATE_ANSWER_WINDOW_MS,
  DEFAULT_RECONNECT_MAX_MS,
  DEFAULT_RECONNECT_MIN_MS,
  DEFAULT_SIGN_ON_TIMEOUT_MS,
  DEFAULT_TIMEOUT_MS,
  HOLD_MAX_MS,
  HTTP_CONNECTIONS_MAX,
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

/** An issuer by HTTP as the configuration has it. */
export interface HttpIssuerConfig
  extends Pick<
    IssuerLinkConfig,
    | 'name'
    | 'host'
    | 'port'
    | 'tls'
    | 'timeoutMs'
    | 'echoIntervalMs'
    | 'signOnTimeoutMs'
    | 'reconnect'
    | 'lateAnswerWindowMs'
    | 'inFlightMax'
    | 'connections'
    | 'breaker'
  > {
  readonly http: {
    /** Before `/authorizations`; absent: none. */
    readonly path?: string | undefined
    readonly keyId: string
    readonly secret: Uint8Array
    readonly lateAnswerMs?: number | undefined
  }
}

export interface HttpIssuerDependencies
  extends HttpIssuerPorts,
    Pick<IssuerDependencies, 'lastStan' | 'traceSlot' | 'onLateAnswer' | 'onEvent'> {}

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

/** What both kinds of links share: the configuration with its defaults. Throws as they do. */
function settingsOf(
  config: Omit<HttpIssuerConfig, 'http'>,
  connectionsMax: number,
  connectionsDefault: number,
) {
  const timeoutMs = config.timeoutMs ?? DEFAULT_TIMEOUT_MS
  const lateAnswerWindowMs = config.lateAnswerWindowMs ?? DEFAULT_LATE_ANSWER_WINDOW_MS
  if (timeoutMs + lateAnswerWindowMs > HOLD_MAX_MS) {
    const sum = `timeoutMs ${timeoutMs} + lateAnswerWindowMs ${lateAnswerWindowMs}`
    throw new RangeError(`issuer ${config.name}: ${sum} is more than ${HOLD_MAX_MS}`)
  }
  const connections = config.connections ?? connectionsDefault
  if (connections < 1 || connections > connectionsMax) {
    throw new RangeError(`issuer ${config.name}: connections 1 to ${connectionsMax}`)
  }
  return {
    name: config.name,
    address: { host: config.host, port: config.port, tls: config.tls },
    connections,
    timeoutMs,
    lateAnswerWindowMs,
    inFlightMax: config.inFlightMax ?? IN_FLIGHT_MAX,
    echoIntervalMs: config.echoIntervalMs ?? DEFAULT_ECHO_INTERVAL_MS,
    signOnTimeoutMs: config.signOnTimeoutMs ?? DEFAULT_SIGN_ON_TIMEOUT_MS,
    reconnect: config.reconnect ?? {
      minMs: DEFAULT_RECONNECT_MIN_MS,
      maxMs: DEFAULT_RECONNECT_MAX_MS,
    },
    breaker: config.breaker ?? {
      timeoutsInARow: DEFAULT_BREAKER_TIMEOUTS,
      openMinMs: DEFAULT_BREAKER_OPEN_MIN_MS,
      openMaxMs: DEFAULT_BREAKER_OPEN_MAX_MS,
    },
  }
}

/**
 * Starts to dial the issuer, and keeps its link up until `close`. Throws where the configuration
 * asks for holds that the book of numbers can't count (`HOLD_MAX_MS`) or for too many connections.
 */
export function createIssuer(config: IssuerLinkConfig, deps: IssuerDependencies): IssuerWithState {
  const settings = settingsOf(config, CONNECTIONS_MAX, 1)
  const { address, echoIntervalMs, signOnTimeoutMs, reconnect, breaker, ...rest } = settings
  const framing = createFraming(config.framing ?? defaultFraming)
  const { dialect, lastStan, traceSlot, onLateAnswer, onEvent } = deps
  const timing = { echoIntervalMs, signOnTimeoutMs, reconnect, breaker }
  const link = { address, dialect, framing, mac: config.mac, ...timing }
  const issuer = new IsoIssuer({ ...rest, link, lastStan, traceSlot, onLateAnswer, onEvent }, deps)
  issuer.open()
  return issuer
}

/** The same for an issuer by HTTP, which is asked for a sign of life at once. */
export function createHttpIssuer(
  config: HttpIssuerConfig,
  deps: HttpIssuerDependencies,
): IssuerWithState {
  const { path, keyId, secret, lateAnswerMs } = config.http
  const { signOnTimeoutMs, ...settings } = settingsOf(
    config,
    HTTP_CONNECTIONS_MAX,
    DEFAULT_HTTP_CONNECTIONS,
  )
  const { lastStan, traceSlot, onLateAnswer, onEvent } = deps
  const issuer = new HttpIssuer(
    {
      ...settings,
      basePath: path ?? '',
      signing: { keyId, secret },
      echoTimeoutMs: signOnTimeoutMs,
      lateAnswerMs: lateAnswerMs ?? DEFAULT_HTTP_LATE_ANSWER_MS,
      lastStan,
      traceSlot,
      onLateAnswer,
      onEvent,
    },
    deps,
  )
  issuer.open()
  return issuer
}
