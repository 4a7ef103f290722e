// Adapter: PostgreSQL by `pg`. The URL may hold what libpq's may: sslmode, sslrootcert, sslcert,
// sslkey, a socket folder as `?host=/folder`. A password is taken from it, or from PGPASSWORD.

import { Client, type QueryConfig } from 'pg'
import {
  type Database,
  DatabaseError,
  type DatabaseSession,
  type Row,
  type Statement,
} from '../store/index.ts'

/** Nested loops over indexes: the statements ask for few rows of tables that may be huge. */
const OPTIONS =
  '-c enable_hashjoin=off -c enable_mergejoin=off -c enable_seqscan=off -c jit=off ' +
  '-c statement_timeout=0 -c idle_in_transaction_session_timeout=60000'

/** `applicationName` is what pg_stat_activity shows. */
export function openPostgresDatabase(url: string, applicationName: string): Database {
  return {
    address: addressOf(url),
    async connect(timeoutMs) {
      let client: Client
      try {
        client = new Client({
          connectionString: url,
          application_name: applicationName,
          connectionTimeoutMillis: timeoutMs,
          keepAlive: true,
          keepAliveInitialDelayMillis: 5_000,
          options: OPTIONS,
        })
      } catch (error) {
        // A certificate that the URL names and is not there, or no URL at all.
        throw toDatabaseError(error)
      }
      const session = new PostgresSession(client)
      try {
        await client.connect()
      } catch (error) {
        session.destroy()
        throw toDatabaseError(error)
      }
      return session
    },
  }
}

/** Host, port and name of the database, without what is secret. */
export function addressOf(url: string): string {
  try {
    const { hostname, port, pathname, searchParams } = new URL(url)
    const host = searchParams.get('host') ?? (hostname === '' ? 'localhost' : hostname)
    return `${host}:${port === '' ? '5432' : port}${pathname}`
  } catch {
    return 'the database'
  }
}

class PostgresSession implements DatabaseSession {
  readonly #client: Client
  /** The statement under way, and those behind it: the client is asked for one at a time. */
  #last: Promise<unknown> = Promise.resolve()
  isOpen = true

  constructor(client: Client) {
    this.#client = client
    // What was asked is rejected by its own promise; this keeps an idle loss from being thrown.
    client.on('error', () => {
      this.isOpen = false
    })
    client.on('end', () => {
      this.isOpen = false
    })
  }

  async query(statement: Statement, values: readonly unknown[]): Promise<readonly Row[]> {
    const config: QueryConfig = { name: statement.name, text: statement.text, values: [...values] }
    return (await this.#inTurn(() => this.#client.query<Row>(config))).rows
  }

  async script(sql: string): Promise<void> {
    await this.#inTurn(() => this.#client.query(sql))
  }

  destroy(): void {
    this.isOpen = false
    const { connection } = this.#client as unknown as {
      connection: { stream: { destroy(): void } }
    }
    connection.stream.destroy()
  }

  async close(): Promise<void> {
    if (!this.isOpen) return
    this.isOpen = false
    await this.#client.end()
  }

  /** In the order of the calls. Of a client that was closed meanwhile each rejects by itself. */
  async #inTurn<T>(ask: () => Promise<T>): Promise<T> {
    const answer = this.#last.then(ask, ask)
    this.#last = answer.catch(() => undefined)
    try {
      return await answer
    } catch (error) {
      throw toDatabaseError(error)
    }
  }
}

/** The server's own errors have a `severity`; the rest is the connection's. */
function toDatabaseError(error: unknown): DatabaseError {
  const { message, code, severity } = error as Error & { code?: string; severity?: string }
  const text = message === '' ? (code ?? 'no connection') : message
  return new DatabaseError(text, severity === undefined ? null : (code ?? null))
}
