// The issuer by HTTP: the JSON of switch/docs/issuers.md, carried over to the words of 1987
// (ISO 8583) and back, so that one ledger and one set of faults serve both. Signatures are checked
// where there is a secret; a nonce that came before is refused.
//
//   POST .../authorizations   .../reversals   .../advices   .../echo

import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { FieldValue, IsoMessage } from '#switch'
import { fitsDigest, readDictionary, signatureBase } from '../../switch/http-signatures/index.ts'
import { httpBodyBytesMax, noncesMax } from './limits.ts'
import type { ServerTls, Simulator } from './simulator.ts'

export interface HttpListenerOptions {
  readonly simulator: Simulator
  /** Called before answers leave. */
  readonly flushLedger: () => void
  /** By keyid; absent: anybody may send. */
  readonly key?: { readonly keyId: string; readonly secret: Uint8Array }
  readonly tls?: ServerTls
}

/** Listens on loopback; resolves with the server and its port. */
export function listenForHttp(
  options: HttpListenerOptions,
  port: number,
): Promise<{ server: Server; port: number }> {
  const nonces = new Set<string>()
  const handle = (request: IncomingMessage, response: ServerResponse) =>
    void answer(options, nonces, request, response)
  const { tls } = options
  const server =
    tls === undefined
      ? createServer(handle)
      : (createTlsServer({ ...tls, requestCert: tls.ca !== undefined }, handle) as Server)
  server.on('connection', (socket) => options.simulator.watch(socket))
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: '127.0.0.1', port }, () => {
      const address = server.address()
      const taken = typeof address === 'object' && address !== null ? address.port : port
      resolve({ server, port: taken })
    })
  })
}

async function answer(
  options: HttpListenerOptions,
  nonces: Set<string>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readBody(request)
  if (body === undefined) return reply(response, 413, {})
  if (!isSigned(options, nonces, request, body)) return reply(response, 401, {})
  const message = messageIn(body)
  if (message === undefined) return reply(response, 400, {})
  if (message.mti === '0800') return reply(response, 200, { messageType: '0810' })
  const taken = options.simulator.take(message)
  options.flushLedger()
  if (taken.kind === 'drop') request.socket.destroy()
  if (taken.kind !== 'answer') return
  const send = () => {
    if (!response.destroyed) reply(response, 200, bodyOf(taken.message))
  }
  if (taken.delayMs === 0) send()
  else setTimeout(send, taken.delayMs)
}

function reply(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const pieces: Buffer[] = []
  let bytes = 0
  try {
    for await (const piece of request) {
      pieces.push(piece)
      bytes += piece.length
      if (bytes > httpBodyBytesMax) return undefined
    }
  } catch {
    return undefined
  }
  return Buffer.concat(pieces)
}

function isSigned(
  { key, tls }: HttpListenerOptions,
  nonces: Set<string>,
  request: IncomingMessage,
  body: Buffer,
): boolean {
  if (key === undefined) return true
  const headers = new Map(Object.entries(request.headers).map(([name, it]) => [name, String(it)]))
  const input = readDictionary(headers.get('signature-input') ?? '')?.get('sig1')
  const signature = readDictionary(headers.get('signature') ?? '')?.get('sig1')
  if (input?.kind !== 'list' || signature?.kind !== 'bytes') return false
  const covered = input.items.map(({ value }) => value).join(' ')
  if (covered !== '@method @target-uri content-digest idempotency-key') return false
  const head = { method: 'POST', path: request.url ?? '', query: '', headers }
  const base = signatureBase(head, tls === undefined ? 'http' : 'https', input)
  if (base === undefined || input.parameters.get('keyid') !== key.keyId) return false
  const expected = createHmac('sha256', key.secret).update(base).digest()
  const isRight =
    signature.bytes.length === expected.length && timingSafeEqual(signature.bytes, expected)
  const nonce = String(input.parameters.get('nonce'))
  if (!isRight || nonces.has(nonce) || !fitsDigest(headers.get('content-digest') ?? '', body)) {
    return false
  }
  if (nonces.size >= noncesMax) nonces.clear()
  nonces.add(nonce)
  return true
}

interface Original {
  readonly messageType: string
  readonly stan: string
  readonly transmittedAt: string
  readonly acquiringInstitution: string
}

function messageIn(bytes: Buffer): IsoMessage | undefined {
  let body: Record<string, unknown>
  try {
    body = JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
  const { messageType, repeat, amount, standing, card, original } = body
  if (typeof messageType !== 'string' || !/^[0-9]{4}$/.test(messageType)) return undefined
  const { pan, expiry, chip } = (card ?? {}) as Record<string, string | undefined>
  const text = (name: string) => (typeof body[name] === 'string' ? String(body[name]) : undefined)
  const fields: (FieldValue | undefined)[] = new Array(96)
  fields[2] = pan
  fields[3] = text('processingCode')
  fields[4] = digits(amount)
  fields[7] = text('transmittedAt')
  fields[11] = text('stan')
  fields[14] = expiry
  fields[25] = body.preauthorization === true ? '06' : text('conditionCode')
  fields[32] = text('acquiringInstitution')
  fields[37] = text('rrn')
  fields[38] = text('approvalCode')
  fields[39] = text('responseCode')
  fields[41] = text('terminalId')
  fields[42] = (body.merchant as { id?: string } | undefined)?.id
  fields[49] = text('currency')
  fields[55] = chip
  if (original !== undefined) fields[90] = originalIn(original as Original)
  if (standing !== undefined) fields[95] = `${digits(standing)}${'0'.repeat(30)}`
  return { mti: repeat === true ? `${messageType.slice(0, 3)}1` : messageType, fields }
}

function digits(amount: unknown): string {
  return String(amount).padStart(12, '0')
}

function originalIn({ messageType, stan, transmittedAt, acquiringInstitution }: Original): string {
  const institution = acquiringInstitution.padStart(11, '0')
  return `${messageType}${stan}${transmittedAt}${institution}${'0'.repeat(11)}`
}

function bodyOf({ mti, fields }: IsoMessage): object {
  return {
    messageType: mti,
    stan: fields[11],
    transmittedAt: fields[7],
    rrn: fields[37],
    amount: Number(fields[4]),
    currency: fields[49],
    terminalId: fields[41],
    responseCode: fields[39],
    approvalCode: fields[38],
    chip: fields[55],
  }
}
