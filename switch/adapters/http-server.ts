// Adapter: HTTP on uWebSockets.js. One `reply` funnel; see docs for what kills the process.

import uws from 'uWebSockets.js'
import {
  type Admittance,
  findAmbiguity,
  type HttpApi,
  type HttpHead,
  type HttpResponse,
  type HttpServer,
  type StreamApi,
  type StreamConnection,
  type StreamSession,
} from '../ingress/index.ts'

export interface HttpServerOptions<Caller> {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Further processes may listen there too. Absent: none may. */
  readonly isShared?: boolean
  readonly bodyBytesMax: number
  readonly connectionsMax: number
  readonly api: HttpApi<Caller>
  /** Where requests may become WebSockets. */
  readonly stream?: StreamApi<Caller>
  /** The API threw or rejected: a bug. */
  readonly onBug: (error: unknown) => void
}

/** What one request's callbacks share. */
interface Exchange {
  readonly response: uws.HttpResponse
  /** HEAD: the answer is GET's without its body, which the client would take for the next one. */
  readonly isHead: boolean
  /** True once aborted or answered: `response` must not be touched any more. */
  isOver: boolean
}

/** What a WebSocket carries for us: who it is, then its session. */
interface StreamData<Caller> {
  readonly caller: Caller
  session?: StreamSession
}

const NO_BODY = new Uint8Array(0)

/** Statuses as HTTP wants them in the first line. */
const STATUS_LINES: Readonly<Record<number, string>> = {
  200: '200 OK',
  400: '400 Bad Request',
  401: '401 Unauthorized',
  404: '404 Not Found',
  405: '405 Method Not Allowed',
  409: '409 Conflict',
  413: '413 Content Too Large',
  422: '422 Unprocessable Content',
  503: '503 Service Unavailable',
}

/** Listens; rejects where the port can't be had. */
export function listen<Caller>(options: HttpServerOptions<Caller>): Promise<HttpServer> {
  return new Promise((resolve, reject) => {
    const server = new Server(options)
    server.listen((problem) => (problem === undefined ? resolve(server) : reject(problem)))
  })
}

/** LIBUS_LISTEN_EXCLUSIVE_PORT of uSockets: a port that is taken is refused, not shared. */
const LISTEN_EXCLUSIVE = 1
/** The kernel spreads connections over the processes that listen there. */
const LISTEN_SHARED = 0

/** The typings lack this overload; the library has it. */
type ListenWithOptions = (
  host: string,
  port: number,
  options: number,
  done: (socket: uws.us_listen_socket | false) => void,
) => void

class Server<Caller> implements HttpServer {
  readonly #options: HttpServerOptions<Caller>
  readonly #app = uws.App()
  readonly #sessions = new Set<StreamSession>()
  #listenSocket: uws.us_listen_socket | undefined
  #isDraining = false
  connections = 0
  port = 0

  constructor(options: HttpServerOptions<Caller>) {
    this.#options = options
    // Not an array's filter: it is told of each connection that comes (1) or goes (-1).
    const onConnection = (response: uws.HttpResponse, change: number): void => {
      this.connections += change
      if (change > 0 && this.connections > options.connectionsMax) response.close()
    }
    this.#app.filter(onConnection as (response: uws.HttpResponse, change: unknown) => void)
    if (options.stream !== undefined) this.#serveStream(options.stream)
    this.#app.any('/*', (response, request) => this.#take(response, request))
  }

  listen(done: (problem: Error | undefined) => void): void {
    const { host, port } = this.#options
    // Exclusive: without it a second process would silently share the port, and the embedded store
    // is for one process.
    const listenOn = this.#app.listen.bind(this.#app) as unknown as ListenWithOptions
    const mode = this.#options.isShared === true ? LISTEN_SHARED : LISTEN_EXCLUSIVE
    listenOn(host, port, mode, (socket) => {
      if (!socket) {
        done(new Error(`${host}:${port} can't be listened on: is it taken?`))
        return
      }
      this.#listenSocket = socket
      this.port = uws.us_socket_local_port(socket)
      done(undefined)
    })
  }

  drain(): void {
    this.#isDraining = true
    if (this.#listenSocket !== undefined) uws.us_listen_socket_close(this.#listenSocket)
    this.#listenSocket = undefined
    for (const session of this.#sessions) session.onLeave()
  }

  close(): void {
    this.drain()
    this.#app.close()
  }

  #take(response: uws.HttpResponse, request: uws.HttpRequest): void {
    const isHead = request.getMethod() === 'head'
    const exchange: Exchange = { response, isHead, isOver: false }
    // First statement that can run: without it, an abort or a throw kills the process.
    response.onAborted(() => {
      exchange.isOver = true
    })
    const head = this.#readHead(exchange, request)
    if (head === undefined) return
    const admittance = this.#options.api.gate(head)
    if (head.method === 'GET' || head.method === 'HEAD') {
      this.#answer(exchange, admittance, head, NO_BODY)
    } else if (Number(head.headers.get('content-length') ?? 0) > this.#options.bodyBytesMax) {
      this.#refuseTooLarge(exchange, admittance)
    } else {
      this.#readBody(exchange, admittance, head)
    }
  }

  /** The head, or undefined where it could be read in two ways, which is answered. */
  #readHead(exchange: Exchange, request: uws.HttpRequest): HttpHead | undefined {
    const names: string[] = []
    const headers = new Map<string, string>()
    request.forEach((name, value) => {
      names.push(name)
      headers.set(name, value)
    })
    const ambiguity = findAmbiguity(names, headers)
    if (ambiguity !== undefined) {
      this.#reply(exchange, this.#options.api.refuse('ambiguous_request', ambiguity), true)
      return undefined
    }
    return {
      method: request.getMethod().toUpperCase(),
      path: request.getUrl(),
      query: request.getQuery() ?? '',
      headers,
    }
  }

  /** WebSockets: who asks is decided with the request, before it becomes one. */
  #serveStream(stream: StreamApi<Caller>): void {
    this.#app.ws<StreamData<Caller>>(stream.path, {
      maxPayloadLength: stream.frameBytesMax,
      maxBackpressure: stream.bufferedBytesMax,
      closeOnBackpressureLimit: 1,
      idleTimeout: stream.idleSeconds,
      sendPingsAutomatically: true,
      upgrade: (response, request, context) => {
        const exchange: Exchange = { response, isHead: false, isOver: false }
        response.onAborted(() => {
          exchange.isOver = true
        })
        const head = this.#readHead(exchange, request)
        if (head === undefined) return
        const admittance = stream.gate(head)
        if ('refused' in admittance) {
          this.#reply(exchange, admittance.refused, false)
          return
        }
        exchange.isOver = true
        response.upgrade<StreamData<Caller>>(
          { caller: admittance.caller },
          head.headers.get('sec-websocket-key') ?? '',
          head.headers.get('sec-websocket-protocol') ?? '',
          head.headers.get('sec-websocket-extensions') ?? '',
          context,
        )
      },
      open: (socket) => this.#opened(stream, socket),
      message: (socket, bytes, isBinary) =>
        socket.getUserData().session?.onFrame(new Uint8Array(bytes), isBinary),
      drain: (socket) => socket.getUserData().session?.onDrain(),
      close: (socket) => {
        // The filter hears of an upgraded connection's beginning, and not of its end.
        this.connections--
        const { session } = socket.getUserData()
        if (session === undefined) return
        this.#sessions.delete(session)
        session.onClose()
      },
    })
  }

  #opened(stream: StreamApi<Caller>, socket: uws.WebSocket<StreamData<Caller>>): void {
    const data = socket.getUserData()
    const session = stream.open(new WebSocketConnection(socket), data.caller)
    this.#sessions.add(session)
    data.session = session
    if (this.#isDraining) session.onLeave()
  }

  /**
   * Reads the body whole, within its limit. After a refusal of the gate nothing of it is kept; the
   * refusal is answered after it, so that the connection stays usable.
   */
  #readBody(exchange: Exchange, admittance: Admittance<Caller>, head: HttpHead): void {
    const limit = this.#options.bodyBytesMax
    const parts: Buffer[] = []
    let bytes = 0
    exchange.response.onData((chunk, isLast) => {
      if (exchange.isOver) return
      bytes += chunk.byteLength
      if (bytes > limit) {
        this.#refuseTooLarge(exchange, admittance)
        return
      }
      if (isLast && parts.length === 0) {
        // The chunk is emptied when this returns; the handler reads the body before it awaits.
        this.#answer(exchange, admittance, head, new Uint8Array(chunk))
        return
      }
      if ('caller' in admittance) parts.push(Buffer.from(chunk.slice(0)))
      if (isLast) this.#answer(exchange, admittance, head, Buffer.concat(parts))
    })
  }

  #refuseTooLarge(exchange: Exchange, admittance: Admittance<Caller>): void {
    const { api, bodyBytesMax } = this.#options
    const refused =
      'refused' in admittance
        ? admittance.refused
        : api.refuse('body_too_large', `the body may hold ${bodyBytesMax} bytes`)
    this.#reply(exchange, refused, true)
  }

  #answer(
    exchange: Exchange,
    admittance: Admittance<Caller>,
    head: HttpHead,
    body: Uint8Array,
  ): void {
    if ('refused' in admittance) {
      this.#reply(exchange, admittance.refused, false)
      return
    }
    const { api, onBug } = this.#options
    let answered: HttpResponse | Promise<HttpResponse>
    try {
      answered = api.handle({ ...head, body }, admittance.caller)
    } catch (error) {
      onBug(error)
      return
    }
    if (answered instanceof Promise) {
      answered.then((response) => this.#reply(exchange, response, false), onBug)
    } else {
      this.#reply(exchange, answered, false)
    }
  }

  /** The one place that answers. A client that is gone gets nothing, and nothing else changes. */
  #reply(exchange: Exchange, answer: HttpResponse, mustClose: boolean): void {
    if (exchange.isOver) return
    exchange.isOver = true
    const { response } = exchange
    response.cork(() => {
      response.writeStatus(STATUS_LINES[answer.status] ?? String(answer.status))
      response.writeHeader('content-type', answer.contentType)
      for (const [name, value] of answer.headers) response.writeHeader(name, value)
      const isClosing = mustClose || this.#isDraining
      if (isClosing) response.writeHeader('connection', 'close')
      if (exchange.isHead && isClosing) response.end('', true)
      else if (exchange.isHead) {
        // Not by endWithoutBody's own parameters: with them the answer never counts as ended.
        response.writeHeader('content-length', String(Buffer.byteLength(answer.body)))
        response.endWithoutBody()
      } else response.end(answer.body, isClosing)
    })
  }
}

/** One WebSocket. Its session does not use it after `onClose`, which the library would not bear. */
class WebSocketConnection<Caller> implements StreamConnection {
  readonly #socket: uws.WebSocket<StreamData<Caller>>

  constructor(socket: uws.WebSocket<StreamData<Caller>>) {
    this.#socket = socket
  }

  get bufferedBytes(): number {
    return this.#socket.getBufferedAmount()
  }

  send(bytes: Uint8Array): void {
    this.#socket.send(bytes, true)
  }

  close(code: number, reason: string): void {
    this.#socket.end(code, reason)
  }
}
