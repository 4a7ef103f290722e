// The limits of the acquirers' side, with the arithmetic beside each. `main.ts` asserts relations.

import assert from 'node:assert/strict'
import {
  ACCEPTED_RESERVED,
  BODY_BYTES_MAX,
  IDEMPOTENCY_KEY_CHARACTERS_MAX,
  IN_FLIGHT_MAX,
} from '../limits.ts'

/** A signature is taken up to this long after, or before, its `created`. */
export const SIGNATURE_SKEW_SECONDS = 300

/**
 * Nonces remembered for one acquirer, at about 40 bytes: 21 MB. They are kept 300 s: enough for
 * 1,747 signed requests a second; beyond it only younger signatures are taken.
 */
export const NONCES_PER_ACQUIRER_MAX = 524_288

/** A nonce's characters: 256 bits in hex. */
export const NONCE_CHARACTERS_MAX = 64

/** Signatures on one request that are looked at: the acquirer's, and those of proxies between. */
export const SIGNATURES_MAX = 4

/** Components that one signature may cover; the required ones are five. */
export const COMPONENTS_MAX = 32

/**
 * Authorizations in flight on one stream. Little's law: 1,024 at 340 ms are 3,000/s on each;
 * eight connections can fill the house (IN_FLIGHT_MAX 8,192), one can't.
 */
export const STREAM_IN_FLIGHT_MAX = 1024

/** A request with every field is below 4 KiB; the same 64 KiB as HTTP, and 1 KiB for id and key. */
export const STREAM_FRAME_BYTES_MAX = 65 * 1024

/** Untaken bytes over which answers wait: about 100 answers of 640 bytes. */
export const STREAM_BUFFERED_BYTES_HIGH = 64 * 1024

/** Answers that may wait: all in flight, and as many refusals; at 700 bytes 1.4 MB a connection. */
export const STREAM_WAITING_ANSWERS_MAX = 2 * STREAM_IN_FLIGHT_MAX

/** Never reached while answers wait at 64 KiB: beyond it the peer is closed. */
export const STREAM_BUFFERED_BYTES_MAX = 1024 * 1024

/** Unreadable frames in a row after which the peer is closed. */
export const STREAM_UNREADABLE_IN_A_ROW_MAX = 10

/** Seconds of silence; the peer is pinged before they are over. */
export const STREAM_IDLE_SECONDS = 60

/** Connections on one ISO 8583 listener: an acquirer has a handful, each may hold 8 KiB. */
export const ISO_CONNECTIONS_MAX = 1000

/** Authorizations in flight on one ISO 8583 connection: as on a stream. */
export const ISO_IN_FLIGHT_MAX = 1024

/**
 * Reversals and advices that are taken beyond ISO_IN_FLIGHT_MAX: each stays for one flush, 256 at
 * 4 ms are 64,000/s. Beyond it they are not answered, and come again.
 */
export const ISO_ACCEPTED_RESERVED = 256

/**
 * Key exchanges that wait for the disk, on all connections: each is a file and a flush, 64 at 4 ms
 * are a quarter of a second. Beyond it they are refused 96: a flood must not fill memory.
 */
export const KEY_EXCHANGES_WAITING_MAX = 64

/** Messages in a row whose code is wrong after which the peer has another key: closed. */
export const ISO_WRONG_MACS_IN_A_ROW_MAX = 10

/** Unreadable messages in a row after which the stream has slipped: as with issuers. */
export const ISO_UNREADABLE_IN_A_ROW_MAX = 3

/** Bytes that a peer has not taken: 2 MiB are 4,096 answers of 512 bytes; beyond it is closed. */
export const ISO_BUFFERED_BYTES_MAX = 2 * 1_048_576

/** An answer over ISO 8583 with all that it repeats. */
const ISO_ANSWER_BYTES = 512

/** Relations to each other and to the message path. Throws: a wrong number must not start. */
export function assertIngressRelations(): void {
  const oneOf = 'one connection must leave room to others'
  assert.ok(STREAM_IN_FLIGHT_MAX <= IN_FLIGHT_MAX / 2, oneOf)
  assert.ok(ISO_IN_FLIGHT_MAX <= IN_FLIGHT_MAX / 2, oneOf)
  assert.ok(ISO_ACCEPTED_RESERVED <= ACCEPTED_RESERVED / 2, oneOf)
  const frame = BODY_BYTES_MAX + 2 * IDEMPOTENCY_KEY_CHARACTERS_MAX
  assert.ok(frame <= STREAM_FRAME_BYTES_MAX, 'a frame must hold a body, an id and a key')
  assert.ok(
    2 * STREAM_IN_FLIGHT_MAX <= STREAM_WAITING_ANSWERS_MAX,
    'all in flight may be answered, and as many refused, before any answer is taken',
  )
  assert.ok(
    STREAM_BUFFERED_BYTES_HIGH + STREAM_FRAME_BYTES_MAX < STREAM_BUFFERED_BYTES_MAX,
    'answers must wait before the peer is closed',
  )
  assert.ok(
    (ISO_IN_FLIGHT_MAX + ISO_ACCEPTED_RESERVED) * ISO_ANSWER_BYTES < ISO_BUFFERED_BYTES_MAX,
    'all that is in flight on a connection may be answered at once',
  )
  assert.ok(NONCES_PER_ACQUIRER_MAX / SIGNATURE_SKEW_SECONDS > 1_000, 'a thousand signed a second')
}
