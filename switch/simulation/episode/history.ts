// What a disk holds before the first life: payments of more than a year ago, so that compaction and
// the erasure of cards have something to do while the switch runs.

import {
  MemoryRecordIndex,
  openEmbeddedStore,
  type StoreLimits,
  UPKEEP,
} from '../../store/index.ts'
import type { SimulatedDisk } from '../disk.ts'
import type { SeededRandom } from '../random.ts'
import { SAMPLE_ATTEMPT } from '../sample-attempt.ts'
import type { VirtualTime } from '../time.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const MINUTE_MS = 60_000

/** Groups of payments that become due one after another while the episode lasts. */
const GROUPS = 6
const GROUP_EVERY_MINUTES = 4
const PAYMENTS = 6
/** Each group fills a segment of its own. */
const SEGMENT_BYTES = 4 * 1024

export interface HistoryOptions {
  readonly disk: SimulatedDisk
  readonly time: VirtualTime
  readonly random: SeededRandom
  readonly limits: Partial<StoreLimits>
}

/** Resolves when it is on the disk, which a store then opens as any other. */
export async function writeHistory({ disk, time, random, limits }: HistoryOptions): Promise<void> {
  let nowMs = 0
  const clock = { now: () => nowMs, monotonic: () => time.clock.monotonic() }
  const opened = await openEmbeddedStore({
    disk,
    index: new MemoryRecordIndex(),
    clock,
    timers: time.timers,
    random,
    owner: 'an earlier switch',
    keyRetentionMs: DAY_MS,
    limits: { ...limits, segmentBytes: SEGMENT_BYTES },
  })
  if (!opened.ok) throw new Error(`no history: ${opened.problem.message}`)
  for (const days of [UPKEEP.retentionDays, UPKEEP.panRetentionDays]) {
    for (let group = 0; group < GROUPS; group++) {
      nowMs = time.clock.now() - days * DAY_MS + (1 + group * GROUP_EVERY_MINUTES) * MINUTE_MS
      for (let i = 0; i < PAYMENTS; i++) {
        const id = `auth_OLD${days}${String(group * PAYMENTS + i).padStart(20, '0')}`
        await opened.store.claim({
          id,
          kind: 'financial',
          acquirer: 'demo',
          idempotencyKey: id,
          fingerprint: new Uint8Array(32).fill(1),
          createdAtMs: nowMs,
          rrn: '632610000001',
          cardToken: 'tok_old',
          request: {},
          attempt: {
            ...SAMPLE_ATTEMPT,
            issuer: 'demo-a',
            stan: '000001',
            transmittedAt: '1122100000',
            rrn: '632610000001',
            card: { keyId: 1, iv: new Uint8Array(12), sealed: new Uint8Array(37) },
          },
        })
        await opened.store.record({
          id,
          recordedAtMs: nowMs,
          outcome: 'declined',
          responseCode: '05',
          cause: 'issuer',
          issuerResponseCode: '05',
          answer: {},
          decision: null,
          reversal: null,
        })
      }
    }
  }
  await opened.store.close()
}
