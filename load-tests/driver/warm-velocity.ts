// Fills Redis with the counters of cards that have paid before: the rings that the switch itself
// would have written, key by key and byte by byte, written straight (SET), many at a time.

import { connect, type Socket } from 'node:net'
import {
  createEntityKeys,
  type EntitySource,
  RING_TTL_SECONDS,
  ringKey,
  type VelocityAttempt,
  writeRing,
} from '#scoring'
import { CardVault, type KeyRing, Pan } from '#switch'
import { mix32 } from '../random.ts'
import {
  cardOf,
  customerIdOf,
  deviceIdOf,
  emailOf,
  type Merchant,
  MIX_ENTITIES,
  type MixOptions,
  merchantIdOf,
  merchantOf,
  terminalsOf,
} from './mix.ts'

export interface WarmOptions {
  readonly redisUrl: string
  readonly keys: KeyRing
  readonly acquirer: string
  readonly mix: MixOptions
  readonly eventsPerRing: number
  readonly tell: (line: string) => void
}

/** Written to the socket at once; Redis answers while the next is being made. */
const chunkBytes = 256 * 1024
const okReply = '+OK\r\n'
/** How far back the events reach: inside the longest window, so that all of them count. */
const reachMs = 25 * 24 * 3_600_000
const ringBytesMax = 48 * 48

/** Fills and returns how many rings were written. Rejects where Redis refuses or goes away. */
export async function warmVelocity(options: WarmOptions): Promise<number> {
  const writer = await RingWriter.open(options.redisUrl)
  const { mix, eventsPerRing, tell } = options
  const nowMs = Date.now()
  const keysOf = createEntityKeys(options.keys.entityKey, 1_000)
  const vault = new CardVault(options.keys, 'warm')
  const entities = mix.entities ?? MIX_ENTITIES
  const attempts: VelocityAttempt[] = []
  try {
    for (let card = 0; card < mix.cards; card++) {
      if (card % 50_000 === 0) tell(`warming ${mix.cards} cards: ${card}`)
      attempts.length = 0
      const { home, pan } = cardOf(mix, card)
      const parsed = Pan.parse(pan) as Pan
      const token = vault.tokenOf(parsed)
      for (let i = 0; i < eventsPerRing; i++) {
        const merchant = merchantOf(home, mix32(card, i))
        const source = sourceOf(options.acquirer, token, parsed.bin, card, merchant)
        const keys = keysOf(source)
        attempts.push(
          attemptOf({ keys, home, draw: mix32(card, i + 100), i, nowMs, eventsPerRing }),
        )
      }
      const last = attempts.at(-1)
      if (last === undefined) break
      const { card: cardKey, customer, device, email } = last.keys
      writer.ring(attempts)
      if (cardKey !== undefined) await writer.set(ringKey('card', cardKey))
      if (device !== undefined && entities.includes('device')) {
        await writer.set(ringKey('device', device))
      }
      if (customer !== undefined && entities.includes('customer')) {
        await writer.set(ringKey('customer', customer))
      }
      if (email !== undefined && entities.includes('email')) {
        await writer.set(ringKey('email', email))
      }
    }
    if (entities.includes('terminal')) {
      tell('warming terminals')
      await warmTerminals(options, writer, vault, keysOf, nowMs)
    }
    return await writer.end()
  } finally {
    writer.close()
  }
}

async function warmTerminals(
  options: WarmOptions,
  writer: RingWriter,
  vault: CardVault,
  keysOf: ReturnType<typeof createEntityKeys>,
  nowMs: number,
): Promise<void> {
  const { mix, eventsPerRing, acquirer } = options
  const attempts: VelocityAttempt[] = []
  let number = 0
  for (const { merchant, terminalId } of terminalsOf(mix)) {
    number++
    attempts.length = 0
    for (let i = 0; i < eventsPerRing; i++) {
      // A few cards for all terminals: what a terminal's ring knows of a card is a short hash.
      const card = mix32(number, i) % Math.min(mix.cards, 1_000)
      const { home, pan } = cardOf(mix, card)
      const parsed = Pan.parse(pan) as Pan
      const source = sourceOf(acquirer, vault.tokenOf(parsed), parsed.bin, card, merchant)
      const keys = keysOf({ ...source, terminal: { id: terminalId } })
      attempts.push(
        attemptOf({ keys, home, draw: mix32(number, i + 200), i, nowMs, eventsPerRing }),
      )
    }
    const terminal = attempts.at(-1)?.keys.terminal
    if (terminal === undefined) continue
    writer.ring(attempts)
    await writer.set(ringKey('terminal', terminal))
  }
}

function sourceOf(
  acquirer: string,
  token: string,
  bin: string,
  card: number,
  merchant: Merchant,
): EntitySource {
  return {
    acquirer,
    card: { token, bin },
    merchant: { id: merchantIdOf(merchant) },
    device: { id: deviceIdOf(card) },
    customer: { id: customerIdOf(card), email: emailOf(card) },
  }
}

/** The `i`th of `eventsPerRing`, spread evenly over the reach with some jitter, oldest first. */
function attemptOf(from: {
  readonly keys: VelocityAttempt['keys']
  readonly home: { readonly latitude: number; readonly longitude: number }
  readonly draw: number
  readonly i: number
  readonly nowMs: number
  readonly eventsPerRing: number
}): VelocityAttempt {
  const { draw, i, eventsPerRing } = from
  const stepMs = reachMs / eventsPerRing
  const jitterMs = (draw / 4_294_967_296) * stepMs
  const low = mix32(draw, i).toString(16).padStart(8, '0')
  return {
    eventHash: `${draw.toString(16).padStart(8, '0')}${low}`,
    // Not nearer than an hour, so that no rule about the last minutes fires.
    atMs: Math.floor(from.nowMs - 3_600_000 - reachMs + i * stepMs + jitterMs),
    baseAmount: 1_200 + (draw % 7_800),
    keys: from.keys,
    latitude: from.home.latitude,
    longitude: from.home.longitude,
  }
}

/** Pipelined SETs of one value under several keys, in RESP (redis.io, protocol specification). */
class RingWriter {
  readonly #socket: Socket
  readonly #ring = Buffer.alloc(ringBytesMax)
  #value = Buffer.alloc(0)
  #chunk = Buffer.allocUnsafe(chunkBytes)
  #at = 0
  #sent = 0
  #answered = 0
  #error: Error | undefined
  #wake: () => void = () => undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    let rest = ''
    socket.on('data', (bytes: Buffer) => {
      rest += bytes.toString('latin1')
      const whole = rest.length - (rest.length % okReply.length)
      for (let at = 0; at < whole; at += okReply.length) {
        if (!rest.startsWith(okReply, at)) this.#fail(new Error(`Redis: ${rest.slice(at, 200)}`))
      }
      this.#answered += whole / okReply.length
      rest = rest.slice(whole)
      this.#wake()
    })
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('Redis closed the connection')))
  }

  static open(url: string): Promise<RingWriter> {
    const { hostname, port } = new URL(url)
    return new Promise((resolve, reject) => {
      const socket = connect({ host: hostname, port: Number(port || 6379) })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new RingWriter(socket))
      })
    })
  }

  /** The ring that the next `set`s write. */
  ring(attempts: readonly VelocityAttempt[]): void {
    this.#value = this.#ring.subarray(0, writeRing(this.#ring, attempts))
  }

  async set(key: string): Promise<void> {
    const head = `*5\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${this.#value.length}\r\n`
    const tail = `\r\n$2\r\nEX\r\n$${String(RING_TTL_SECONDS).length}\r\n${RING_TTL_SECONDS}\r\n`
    if (this.#at + head.length + this.#value.length + tail.length > chunkBytes) await this.#flush()
    this.#at += this.#chunk.write(head, this.#at, 'latin1')
    this.#at += this.#value.copy(this.#chunk, this.#at)
    this.#at += this.#chunk.write(tail, this.#at, 'latin1')
    this.#sent++
  }

  /** Waits for the last answer; how many were written. */
  async end(): Promise<number> {
    await this.#flush()
    while (this.#answered < this.#sent) await this.#news()
    return this.#sent
  }

  close(): void {
    this.#socket.destroy()
  }

  async #flush(): Promise<void> {
    this.#socket.write(this.#chunk.subarray(0, this.#at))
    this.#chunk = Buffer.allocUnsafe(chunkBytes)
    this.#at = 0
    // A few chunks under way keep both sides busy.
    while (this.#sent - this.#answered > 4_000) await this.#news()
    if (this.#error !== undefined) throw this.#error
  }

  #news(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) reject(this.#error)
      this.#wake = () => (this.#error === undefined ? resolve() : reject(this.#error))
    })
  }

  #fail(error: Error): void {
    this.#error ??= error
    this.#wake()
  }
}
