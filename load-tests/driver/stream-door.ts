// WebSocket `/v1/stream`: MessagePack maps, many in flight on a connection, answered in any order.

import { Packr } from 'msgpackr'
import { openWebSocket, type WebSocketClient } from '../processes/index.ts'
import type { Door, DoorEvents, Target } from './door.ts'
import { readOutcome, refusalOf } from './http-door.ts'
import { jsonBodyOf, type MixedRequest } from './mix.ts'
import { Multiplexed } from './multiplexed.ts'

const packr = new Packr({ useRecords: false })

export class StreamDoor implements Door {
  readonly #lanes: Multiplexed<WebSocketClient>
  readonly #runId: string

  constructor(
    options: { readonly target: Target; readonly apiKey: string; readonly runId: string },
    events: DoorEvents,
  ) {
    const { target, apiKey } = options
    const url = `http://${target.host}:${target.port}/v1/stream`
    this.#runId = options.runId
    this.#lanes = new Multiplexed(events, (lane) =>
      openWebSocket(
        url,
        { Authorization: `Bearer ${apiKey}` },
        {
          onMessage: (bytes) => {
            const frame = packr.unpack(bytes) as Readonly<Record<string, unknown>>
            const { id: token, status, body } = frame
            if (typeof token !== 'number') return
            const fields = body as Readonly<Record<string, unknown>>
            const answer =
              status === 200 ? readOutcome(fields) : refusalOf(Number(status), fields.code)
            lane.settle(token, answer)
          },
          onClose: () => lane.lost(),
        },
      ),
    )
  }

  open(count: number): Promise<void> {
    return this.#lanes.open(count)
  }

  send(token: number, request: MixedRequest): boolean {
    return this.#lanes.send(token, (socket) => {
      const body: unknown = JSON.parse(jsonBodyOf(request))
      socket.send(packr.pack({ id: token, key: `${this.#runId}-${token}`, body }))
    })
  }

  giveUp(token: number): void {
    this.#lanes.giveUp(token)
  }

  close(): void {
    this.#lanes.close()
  }
}
