// Reads HTTP/1.1 answers from a stream of bytes (RFC 9112), as much of it as a switch sends:
//
//   status-line CRLF *( field-line CRLF ) CRLF [ Content-Length bytes ]
//
// Chunked bodies are refused by name: an answer of a few hundred bytes has no reason for them, and
// a reader that guessed would turn a broken server into good numbers.

import { bodyBytesMax, headerBytesMax } from './limits.ts'

export interface HttpAnswer {
  readonly status: number
  /** Valid until the parser is fed again. */
  readonly body: Buffer
  /** False: the server closes the connection after this answer. */
  readonly keepAlive: boolean
  /** The switch says that this is an earlier answer. */
  readonly replayed: boolean
}

export type AnswerProblem = 'bad_status_line' | 'bad_length' | 'chunked' | 'too_large'

interface Head {
  readonly status: number
  readonly lengthBytes: number
  readonly keepAlive: boolean
  readonly replayed: boolean
}

const empty = Buffer.alloc(0)

export class ResponseParser {
  readonly #onAnswer: (answer: HttpAnswer) => void
  #pending: Buffer = empty
  #head: Head | undefined

  constructor(onAnswer: (answer: HttpAnswer) => void) {
    this.#onAnswer = onAnswer
  }

  /** True between the first byte of an answer and its last. */
  get isInside(): boolean {
    return this.#head !== undefined || this.#pending.length > 0
  }

  /** Takes bytes in any cut. A problem is final: the connection is of no more use. */
  push(chunk: Buffer): AnswerProblem | undefined {
    let rest = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    for (;;) {
      if (this.#head === undefined) {
        if (rest.length === 0) break
        const end = rest.indexOf('\r\n\r\n')
        if (end === -1 || end > headerBytesMax) {
          if (rest.length > headerBytesMax) return 'too_large'
          break
        }
        const head = readHead(rest.toString('latin1', 0, end))
        if (typeof head === 'string') return head
        this.#head = head
        rest = rest.subarray(end + 4)
      }
      if (rest.length < this.#head.lengthBytes) break
      const { status, lengthBytes, keepAlive, replayed } = this.#head
      const body = rest.subarray(0, lengthBytes)
      rest = rest.subarray(lengthBytes)
      this.#head = undefined
      this.#pending = empty
      this.#onAnswer({ status, body, keepAlive, replayed })
    }
    // What stays is copied by the next concat, so a view of the socket's buffer is safe only if it
    // is not reused: node:net gives every chunk its own.
    this.#pending = rest
    return undefined
  }
}

const statusLine = /^HTTP\/1\.1 ([1-5][0-9][0-9])(?: |\r|$)/

function readHead(text: string): Head | AnswerProblem {
  const status = statusLine.exec(text)?.[1]
  if (status === undefined) return 'bad_status_line'
  const lower = text.toLowerCase()
  if (lower.includes('\r\ntransfer-encoding:')) return 'chunked'
  const length = fieldOf(lower, 'content-length')
  const mayLackBody = status === '204' || status === '304'
  if (length === undefined ? !mayLackBody : !/^[0-9]{1,10}$/.test(length)) return 'bad_length'
  const lengthBytes = Number(length ?? 0)
  if (lengthBytes > bodyBytesMax) return 'too_large'
  return {
    status: Number(status),
    lengthBytes,
    keepAlive: fieldOf(lower, 'connection') !== 'close',
    replayed: fieldOf(lower, 'idempotent-replayed') === 'true',
  }
}

function fieldOf(lowerHead: string, name: string): string | undefined {
  const start = lowerHead.indexOf(`\r\n${name}:`)
  if (start === -1) return undefined
  const from = start + name.length + 3
  const end = lowerHead.indexOf('\r\n', from)
  return lowerHead.slice(from, end === -1 ? undefined : end).trim()
}
