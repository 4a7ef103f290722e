// Switches with one guard off: each must be caught, by the promise that the guard keeps. Production
// code knows nothing of this; its parts are replaced as they are handed in.

import assert from 'node:assert/strict'
import test from 'node:test'
import { sealRealWorld } from '../../adapters/sealed-world.ts'
import { readGround } from '../../adapters/simulation-ground.ts'
import type { Outcome, TransactionStore } from '../../store/index.ts'
import type { Invariant } from './books.ts'
import { runEpisode } from './episode.ts'
import type { Variation } from './life.ts'
import { BUSY_MS, LATE_ANSWER_WINDOW_MS } from './limits.ts'
import { drawPlan } from './plan.ts'

const ground = await readGround(LATE_ANSWER_WINDOW_MS)

const EPISODES_MAX = 6

/** Runs until it is caught; the promises that were broken, the first of each episode. */
async function caughtBy(variation: Variation): Promise<Invariant | undefined> {
  for (let seed = 1; seed <= EPISODES_MAX; seed++) {
    const allow = sealRealWorld()
    try {
      const plan = drawPlan(seed).filter((entry) => !('atMs' in entry) || entry.atMs < BUSY_MS / 4)
      const { violation } = await runEpisode({ ground, seed, plan, variation })
      if (violation !== undefined) return violation.invariant
    } finally {
      allow()
    }
  }
  return undefined
}

/** The same store with some methods in the place of its own. */
function withMethods(
  store: TransactionStore,
  methods: Partial<TransactionStore>,
): TransactionStore {
  return new Proxy(store, {
    get(target, name) {
      const other = methods[name as keyof TransactionStore]
      if (other !== undefined) return other
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const GUARDS: readonly (readonly [
  name: string,
  expected: readonly Invariant[],
  variation: () => Variation,
])[] = [
  [
    'promise 1: answers are given to whoever asks next',
    ['crossed'],
    () => {
      let last: Outcome | undefined
      return {
        store: (store) =>
          withMethods(store, {
            async record(outcome) {
              const swapped = last === undefined ? outcome : { ...outcome, answer: last.answer }
              last = outcome
              return store.record(swapped)
            },
          }),
      }
    },
  ],
  [
    'promise 2: a disk that does not sync',
    ['approval_lost', 'books_differ', 'key_answered_twice'],
    () => ({
      disk: (disk) => ({
        list: () => disk.list(),
        remove: (name) => disk.remove(name),
        rename: (name, to) => disk.rename(name, to),
        async open(name) {
          const file = await disk.open(name)
          return {
            name,
            get sizeBytes() {
              return file.sizeBytes
            },
            append: (bytes) => file.append(bytes),
            sync: async () => {},
            read: (position, bytes) => file.read(position, bytes),
            truncate: (bytes) => file.truncate(bytes),
            close: () => file.close(),
          }
        },
      }),
    }),
  ],
  [
    'promise 2: recovery and time-outs that queue no reversal',
    ['approval_lost'],
    () => ({
      store: (store) =>
        withMethods(store, {
          record: (outcome) => {
            const isOurs = outcome.cause === 'recovery' || outcome.cause === 'issuer_timeout'
            return store.record(isOurs ? { ...outcome, reversal: null } : outcome)
          },
        }),
    }),
  ],
  [
    'promise 3: idempotency keys that are never the same',
    ['key_answered_twice', 'approval_lost'],
    () => {
      let claims = 0
      return {
        store: (store) =>
          withMethods(store, {
            findKey: () => undefined,
            claim: (intent) =>
              store.claim({ ...intent, idempotencyKey: `${intent.idempotencyKey} ${claims++}` }),
          }),
      }
    },
  ],
  [
    'promise 4: queued messages that are not taken up again after a restart',
    ['queue_stuck'],
    () => ({
      recover: async (world, recover) => {
        await recover()
        await world.storeAndForward.close()
      },
    }),
  ],
  [
    'promise 5: captures that are told one cent short',
    ['books_differ'],
    () => ({
      store: (store) =>
        withMethods(store, {
          accept(intent, outcome) {
            const { advice } = outcome
            if (intent.kind !== 'capture' || advice?.amount === undefined) {
              return store.accept(intent, outcome)
            }
            const short = { ...advice, amount: advice.amount - 1 }
            return store.accept(intent, { ...outcome, advice: short })
          },
        }),
    }),
  ],
  [
    'promise 6: answers that wait for an issuer without end',
    ['late_answer'],
    () => ({
      world: (world) => {
        for (const issuer of world.issuers.values()) {
          const ask = issuer.ask.bind(issuer)
          issuer.ask = (attempt, card, timeoutMs) => ask(attempt, card, timeoutMs * 10)
        }
        return world
      },
    }),
  ],
  [
    'promise 7: a timer of each score that nobody clears',
    ['not_empty'],
    () => ({
      world: (world) => {
        const score = world.scorer.score.bind(world.scorer)
        world.scorer.score = (request, deadlineMs) => {
          world.timers.set(24 * 60 * 60 * 1000, () => {})
          return score(request, deadlineMs)
        }
        return world
      },
    }),
  ],
]

for (const [name, expected, variation] of GUARDS) {
  test(`caught: ${name}`, async () => {
    const invariant = await caughtBy(variation())
    assert.ok(invariant !== undefined, 'nothing was noticed')
    assert.ok(expected.includes(invariant), `noticed as ${invariant}`)
  })
}
