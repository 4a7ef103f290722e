// A connection that is made again when it was lost. Whoever had a statement on the lost one is told
// so by its own rejection; nothing is sent twice here.

import { type Database, DatabaseError, type DatabaseSession } from './database.ts'
import { findUnfitness } from './fitness.ts'

export class SteadySession {
  readonly #database: Database
  readonly #connectTimeoutMs: number
  #session: DatabaseSession | undefined
  #connecting: Promise<DatabaseSession> | undefined
  #isClosed = false

  constructor(database: Database, connectTimeoutMs: number, session?: DatabaseSession) {
    this.#database = database
    this.#connectTimeoutMs = connectTimeoutMs
    this.#session = session
  }

  /** Open and fit to be written. Rejects with DatabaseError. */
  get(): Promise<DatabaseSession> {
    if (this.#session?.isOpen === true) return Promise.resolve(this.#session)
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined
    })
    return this.#connecting
  }

  async #connect(): Promise<DatabaseSession> {
    if (this.#isClosed) throw new DatabaseError('the store is closed', null)
    const session = await this.#database.connect(this.#connectTimeoutMs)
    const problem = await findUnfitness(session).catch((error) => {
      session.destroy()
      throw error
    })
    // After a fail-over it may be another server: one that may not be written is none.
    if (problem !== undefined || this.#isClosed) {
      session.destroy()
      throw new DatabaseError(problem?.message ?? 'the store is closed', null)
    }
    this.#session = session
    return session
  }

  /** Drops the connection; a statement on it rejects, its effect unknown. */
  drop(): void {
    this.#session?.destroy()
    this.#session = undefined
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const session = this.#session
    this.#session = undefined
    await session?.close().catch(() => session.destroy())
  }
}
