// Adapter: the HttpClient port on undici's pool, HTTP/1.1, one request at a time a connection.
//
// `onRequestStart` comes when a request is given to a connected socket, before its first byte. An
// error before it is `not_sent`, any after it `unknown`. Undici may hand a request to another socket
// where it takes the first for idle and closed: a second start is refused, so nothing leaves twice.

import { checkServerIdentity } from 'node:tls'
import { type Dispatcher, Pool } from 'undici'
import type {
  Address,
  CreateHttpClient,
  HttpClient,
  HttpClientOptions,
  HttpClientRequest,
  HttpSent,
} from '../ports.ts'

/** Below what servers and balancers usually keep an idle connection for. */
const KEEP_ALIVE_MS = 4_000

/** A client for one address. Nothing is dialled before the first request. */
export const createHttpClient: CreateHttpClient = (options) => new UndiciHttpClient(options)

class UndiciHttpClient implements HttpClient {
  readonly #pool: Pool
  readonly #origin: string
  readonly #answerBytesMax: number

  constructor({ address, connectionsMax, connectTimeoutMs, answerBytesMax }: HttpClientOptions) {
    this.#answerBytesMax = answerBytesMax
    this.#origin = originOf(address)
    this.#pool = new Pool(this.#origin, {
      connections: connectionsMax,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      // The request's own `giveUpMs` ends it.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: connectTimeoutMs, ...tlsOf(address) },
    })
  }

  send(request: HttpClientRequest): Promise<HttpSent> {
    return new Promise((resolve) => {
      const answer = new Answer(this.#answerBytesMax, request.giveUpMs, resolve)
      const { path, headers, body } = request
      try {
        const all = { ...headers, 'content-length': String(body.length) }
        const options = { origin: this.#origin, path, method: 'POST', headers: all, body } as const
        this.#pool.dispatch({ ...options, idempotent: false }, answer)
      } catch (error) {
        answer.onResponseError(undefined, error as Error)
      }
    })
  }

  close(): void {
    void this.#pool.destroy().catch(() => {})
  }
}

/** What undici tells of one request. */
class Answer implements Dispatcher.DispatchHandler {
  readonly #bytesMax: number
  readonly #resolve: (sent: HttpSent) => void
  readonly #timer: NodeJS.Timeout
  #controller: Dispatcher.DispatchController | undefined
  #status = 0
  readonly #pieces: Uint8Array[] = []
  #bytes = 0
  #isOver = false

  constructor(bytesMax: number, giveUpMs: number, resolve: (sent: HttpSent) => void) {
    this.#bytesMax = bytesMax
    this.#resolve = resolve
    this.#timer = setTimeout(() => this.#abort('GIVEN_UP'), giveUpMs)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    const isSecond = this.#controller !== undefined
    this.#controller = controller
    // Over: it waited for a connection until it was given up. Second: its bytes may have left.
    if (this.#isOver) controller.abort(new Error('given up'))
    else if (isSecond) this.#abort('SENT_ONCE')
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status
  }

  onResponseData(_controller: Dispatcher.DispatchController, piece: Uint8Array): void {
    this.#bytes += piece.length
    if (this.#bytes > this.#bytesMax) this.#abort('ANSWER_TOO_LONG')
    else this.#pieces.push(piece)
  }

  onResponseEnd(): void {
    this.#end({ kind: 'answered', status: this.#status, body: Buffer.concat(this.#pieces) })
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    const code = (error as NodeJS.ErrnoException).code ?? 'ERROR'
    this.#end({ kind: this.#controller === undefined ? 'not_sent' : 'unknown', code })
  }

  #abort(code: string): void {
    this.#end({ kind: this.#controller === undefined ? 'not_sent' : 'unknown', code })
    this.#controller?.abort(new Error(code))
  }

  #end(sent: HttpSent): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#resolve(sent)
  }
}

function originOf({ host, port, tls }: Address): string {
  const name = host.includes(':') ? `[${host}]` : host
  return `${tls === undefined ? 'http' : 'https'}://${name}:${port}`
}

function tlsOf({ host, tls }: Address) {
  if (tls === undefined) return {}
  const { serverName, ...proof } = tls
  return {
    ...proof,
    minVersion: 'TLSv1.2' as const,
    checkServerIdentity: (_host: string, certificate: Parameters<typeof checkServerIdentity>[1]) =>
      checkServerIdentity(serverName ?? host, certificate),
    ...(serverName === undefined ? {} : { servername: serverName }),
  }
}
