// What waits for an issuer, and what is dead, read from the log alone, also beside a running
// switch.

import type { Disk } from '../ports.ts'
import { openForReading } from './audit.ts'
import { decodeRecord, type LogRecord, messagesOf } from './log-record.ts'
import type { LogProblem } from './segment-log.ts'
import type { Delivery } from './transaction-store.ts'

export type QueueListing =
  | { readonly ok: true; readonly deliveries: readonly Delivery[] }
  | { readonly ok: false; readonly problem: LogProblem }

/** Every delivery that is not acknowledged, oldest first. Memory: about 1 kB for each of them. */
export async function listQueue(disk: Disk): Promise<QueueListing> {
  const opened = await openForReading(disk)
  if (!opened.ok) return opened
  const deliveries = new Map<string, Delivery>()
  try {
    const problem = await opened.log.scan(0, (_, payload) => {
      take(deliveries, decodeRecord(payload))
      return undefined
    })
    if (problem !== undefined) return { ok: false, problem }
    return { ok: true, deliveries: [...deliveries.values()] }
  } finally {
    await opened.log.close()
  }
}

function take(deliveries: Map<string, Delivery>, record: LogRecord): void {
  if (record.kind === 'delivery') {
    const { transactionId, step, state, sends, lastResponseCode } = record
    const key = `${transactionId} ${step}`
    const known = deliveries.get(key)
    if (known === undefined) return
    if (state === 'acknowledged') deliveries.delete(key)
    else deliveries.set(key, { message: known.message, state, sends, lastResponseCode })
    return
  }
  for (const message of messagesOf(record)) {
    const key = `${message.transactionId} ${message.step}`
    deliveries.set(key, { message, state: 'queued', sends: 0, lastResponseCode: null })
  }
}
