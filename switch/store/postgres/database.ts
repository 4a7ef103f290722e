// Port: a database that speaks PostgreSQL's SQL. The adapter is `adapters/postgres-database.ts`.

/** A prepared statement: one name, one text. */
export interface Statement {
  readonly name: string
  readonly text: string
}

export type Row = Readonly<Record<string, unknown>>

/** One connection. Statements run one after another, each a transaction of its own. */
export interface DatabaseSession {
  /** Rejects with DatabaseError. */
  query(statement: Statement, values: readonly unknown[]): Promise<readonly Row[]>
  /** Several statements without values, as one transaction. Rejects with DatabaseError. */
  script(sql: string): Promise<void>
  readonly isOpen: boolean
  /** Ends it at once, also below a statement that runs: whether that took effect is unknown. */
  destroy(): void
  close(): Promise<void>
}

export interface Database {
  /** Where it is, for messages: host, port and name, never a password. */
  readonly address: string
  /** Rejects with DatabaseError. */
  connect(timeoutMs: number): Promise<DatabaseSession>
}

/**
 * `sqlState`: five characters where the server itself said no, so that its transaction was rolled
 * back; null where the connection was lost, so that nobody knows.
 */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  readonly code = 'database_error'
  readonly sqlState: string | null

  constructor(message: string, sqlState: string | null) {
    super(message)
    this.sqlState = sqlState
  }
}

/** What `commit_batch` and `keep_lease` raise where the lease is another's, or over. */
export const LEASE_OVER = 'SW001'

/**
 * Whether to try again: connection, resources, deadlock, serialization, a server that shuts down or
 * starts. Classes of https://www.postgresql.org/docs/15/errcodes-appendix.html
 */
export function isPassing({ sqlState }: DatabaseError): boolean {
  return sqlState === null || /^(08|40|53|57)/.test(sqlState)
}
