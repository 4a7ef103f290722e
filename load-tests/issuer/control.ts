// The control port of an issuer simulator: its books can be read and its behaviour changed while it
// runs. Loopback only.
//
//   GET  /ledger?after=N    one entry a line (NDJSON), those after sequence N
//   GET  /ledger/summary    counts and CPU
//   GET  /behaviour         as it is now
//   POST /behaviour         a part of it to change, as JSON

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { type Behaviour, changeBehaviour } from './behaviour.ts'
import type { Ledger } from './ledger.ts'
import { controlBodyBytesMax } from './limits.ts'

export interface Controlled {
  readonly ledger: Ledger
  behaviour: Behaviour
  status(): object
}

/** Listens on loopback; resolves with the server and its port. */
export function listenForControl(
  issuer: Controlled,
  port: number,
): Promise<{ server: Server; port: number }> {
  const server = createServer((request, response) => void answer(issuer, request, response))
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port }, () => {
      const address = server.address()
      resolve({
        server,
        port: typeof address === 'object' && address !== null ? address.port : port,
      })
    })
  })
}

async function answer(
  issuer: Controlled,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost')
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /ledger': {
      const after = Number(url.searchParams.get('after') ?? 0)
      response.setHeader('content-type', 'application/x-ndjson')
      Readable.from(linesOf(issuer.ledger, after)).pipe(response)
      return
    }
    case 'GET /ledger/summary':
      return reply(response, 200, issuer.status())
    case 'GET /behaviour':
      return reply(response, 200, issuer.behaviour)
    case 'POST /behaviour': {
      const result = changeBehaviour(issuer.behaviour, await readJson(request))
      if (!result.ok) return reply(response, 400, { message: result.message })
      issuer.behaviour = result.behaviour
      return reply(response, 200, issuer.behaviour)
    }
    default:
      return reply(response, 404, { message: `no ${request.method} ${url.pathname}` })
  }
}

/** A thousand entries a piece: a line a piece would spend the time in the stream. */
function* linesOf(ledger: Ledger, after: number): Generator<string> {
  let lines: string[] = []
  for (const entry of ledger.entries(after)) {
    lines.push(JSON.stringify(entry))
    if (lines.length < 1_000) continue
    yield `${lines.join('\n')}\n`
    lines = []
  }
  if (lines.length > 0) yield `${lines.join('\n')}\n`
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk
    if (text.length > controlBodyBytesMax) return undefined
  }
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(`${JSON.stringify(body)}\n`)
}
