// Port: HTTP, as the ingress sees it. The adapter owns sockets; what a request means is decided
// here.

/** One request, whole. Everything in it is valid until the handler returns, `body` no longer. */
export interface HttpRequest {
  /** Upper case. */
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** The raw query, without `?`; empty when absent. */
  readonly query: string
  /** Lower-case names; of a repeated header the last. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: Uint8Array
}

export interface HttpResponse {
  readonly status: number
  readonly contentType: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string | Uint8Array
}

/** A request before its body. */
export type HttpHead = Omit<HttpRequest, 'body'>

/** What a gate says of a request: refused whatever its body holds, or let in as a caller. */
export type Admittance<Caller> = { readonly refused: HttpResponse } | { readonly caller: Caller }

/** One API behind a listener. */
export interface HttpApi<Caller> {
  /** Asked before the body is read. Must not throw. */
  gate(head: HttpHead): Admittance<Caller>
  /** Must not throw or reject for anything that a client can send: that is a bug. */
  handle(request: HttpRequest, caller: Caller): HttpResponse | Promise<HttpResponse>
  /** The response to a request that the listener itself refuses. */
  refuse(code: 'body_too_large' | 'ambiguous_request', detail: string): HttpResponse
}

export interface HttpServer {
  readonly port: number
  /** Open connections. */
  readonly connections: number
  /** Stops listening; from here on each answer closes its connection. */
  drain(): void
  /** Ends all that is left. */
  close(): void
}

/** Each of these decides what the message means or who sent it; twice, it means two things. */
const SINGLE = [
  'authorization',
  'idempotency-key',
  'content-type',
  'content-digest',
  'signature-input',
  'signature',
] as const

/**
 * The checks against request smuggling (RFC 9112, 6.3 and 11.2): a message that two readers could
 * cut at different places, or send to different hosts, is refused. `names` holds each header's
 * name in lower case, repeated ones repeated. Returns what is wrong, or undefined.
 */
export function findAmbiguity(
  names: readonly string[],
  headers: ReadonlyMap<string, string>,
): string | undefined {
  const count = (name: string) => names.reduce((sum, one) => (one === name ? sum + 1 : sum), 0)
  if (count('content-length') > 1) return 'more than one Content-Length'
  const length = headers.get('content-length')
  if (length !== undefined && !/^[0-9]{1,15}$/.test(length)) return 'a malformed Content-Length'
  if (count('host') !== 1) return 'Host must be there once'
  if (count('transfer-encoding') > 0) return 'Transfer-Encoding is not taken: send Content-Length'
  for (const name of SINGLE) {
    if (count(name) > 1) return `more than one ${name}`
  }
  return undefined
}
