// One of the connections of an issuer link, with its breaker: what the issuer chooses among.

import type { FramingProblem, IsoMessage, IsoProblem } from '../iso8583/index.ts'
import { Breaker, type BreakerOptions, type BreakerState } from './breaker.ts'
import {
  type BadMac,
  IsoLink,
  type IsoLinkOptions,
  type IsoLinkPorts,
  type LinkDownReason,
} from './iso-link.ts'
import type { TraceBook } from './trace-numbers.ts'

/** How a connection stands: `open` and `half_open` are its breaker's words, and it is connected. */
export type LineState = 'up' | 'down' | 'open' | 'half_open'

/** Who owns the lines. */
export interface LineOwner {
  linkUp(line: Line): void
  linkDown(line: Line, reason: LinkDownReason, code: string | null): void
  breakerChanged(line: Line, state: BreakerState): void
  messageReceived(line: Line, message: IsoMessage): void
  undecodable(problem: IsoProblem): void
  badMac(mti: string, verdict: BadMac): void
  unencodable(mti: string, problem: IsoProblem | FramingProblem): void
  strayNetworkAnswer(message: IsoMessage): void
}

export class Line {
  /** Counts from 1, for logs. */
  readonly number: number
  readonly link: IsoLink
  readonly breaker: Breaker

  constructor(
    number: number,
    options: IsoLinkOptions & { readonly breaker: BreakerOptions },
    ports: IsoLinkPorts,
    book: TraceBook,
    owner: LineOwner,
  ) {
    this.number = number
    this.breaker = new Breaker(options.breaker, ports.timers, {
      probe: () => this.link.probe(),
      breakerChanged: (state) => owner.breakerChanged(this, state),
    })
    this.link = new IsoLink(options, ports, book, {
      linkUp: () => owner.linkUp(this),
      linkDown: (reason, code) => {
        this.breaker.connectionLost()
        owner.linkDown(this, reason, code)
      },
      messageReceived: (message) => owner.messageReceived(this, message),
      undecodable: (problem) => owner.undecodable(problem),
      badMac: (mti, verdict) => owner.badMac(mti, verdict),
      unencodable: (mti, problem) => owner.unencodable(mti, problem),
      strayNetworkAnswer: (message) => owner.strayNetworkAnswer(message),
      echoAnswered: () => this.breaker.probeAnswered(),
      echoUnanswered: () => this.breaker.probeFailed(),
    })
  }

  get state(): LineState {
    if (!this.link.isUp) return 'down'
    return this.breaker.state === 'closed' ? 'up' : this.breaker.state
  }

  get takesRequests(): boolean {
    return this.link.isUp && this.breaker.admitsRequest
  }

  /** Reversals go out half open too: nobody waits for them, and they are worth a try. */
  get takesDeliveries(): boolean {
    return this.link.isUp && this.breaker.state !== 'open'
  }
}
