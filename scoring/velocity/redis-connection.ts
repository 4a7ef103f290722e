// Port: Redis, one server or a cluster. Adapter: `scoring/adapters/redis-connection.ts`.

import type { RedisScript } from './redis-script.ts'

export interface RedisConnection {
  /**
   * Which server has a key, by a name of its own; absent where there is only one. A call goes to
   * the server of its first key, and its script may touch others of that server.
   */
  readonly serverOf?: (key: string) => string
  /**
   * Runs a script, once at most. Resolves with its reply, strings as Buffers. Rejects when there is
   * no connection, no reply in time, or an error reply; with `KeysMoved` where keys are elsewhere
   * by now. Always settles.
   */
  runScript(
    script: RedisScript,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
  ): Promise<unknown>
  close(): Promise<void>
}

/**
 * Some key of a call is at another server now. What came before it in the script has happened; the
 * identity of events makes it safe to send the same again.
 */
export class KeysMoved extends Error {
  override readonly name = 'KeysMoved'
}
