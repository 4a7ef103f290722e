// A switch on simulated disk and network, for tests: production's steps, store, links and
// store-and-forward, one simulated issuer for each that is configured. The risk decision is given.

import assert from 'node:assert/strict'
import pino from 'pino'
import type { Clock, Decision, Timers, VelocityOutcome } from '#scoring'
import { assemble, recoverWorld } from './assemble.ts'
import type { KeyRing } from './card-data/index.ts'
import type { Config } from './config/index.ts'
import { createFraming, type Dialect, defaultFraming, type IsoMessage } from './iso8583/index.ts'
import { Journal } from './observe/index.ts'
import type { Disk, Random } from './ports.ts'
import type { RecoveryReport } from './recover.ts'
import type { AnswerBody, Reply } from './respond.ts'
import {
  answerOf,
  createSeededRandom,
  createSimulatedIssuer,
  createSimulatedNetwork,
  SimulatedDisk,
  type SimulatedIssuer,
  type SimulatedNetwork,
  type TimedAnswer,
} from './simulation/index.ts'
import { MemoryRecordIndex, openEmbeddedStore, type TransactionStore } from './store/index.ts'
import type { World } from './world.ts'

export interface SimulatedSwitchOptions {
  readonly config: Config
  readonly keys: KeyRing
  readonly dialect: Dialect
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** Another switch's: what it left is found again. */
  readonly disk?: SimulatedDisk
  /** What an issuer answers; absent: 00 with an approval code. */
  readonly answer?: (request: IsoMessage, issuer: string) => readonly TimedAnswer[]
  /** Issuers that take no connection. */
  readonly unreachable?: readonly string[]
  readonly decision?: Partial<Decision>
  /** How long a score takes; absent: the same turn. */
  readonly scoreMs?: number
  /** Stands between the store and its disk. */
  readonly around?: (disk: Disk) => Disk
}

export interface SimulatedSwitch {
  readonly world: World
  readonly store: TransactionStore
  readonly disk: SimulatedDisk
  readonly network: SimulatedNetwork
  readonly recovered: RecoveryReport
  readonly issuers: ReadonlyMap<string, SimulatedIssuer>
  /** What velocity was told of outcomes. */
  readonly published: readonly VelocityOutcome[]
  /** What an issuer got besides network management. */
  asked(issuer: string): readonly IsoMessage[]
  /** Lets an issuer that was unreachable take connections. */
  listen(issuer: string): void
  until(condition: () => boolean, what: string): Promise<void>
  metrics(): Promise<string>
  /** Ends it, or what its crash left of it; again, it resolves with the first end. */
  close(): Promise<void>
}

/** A decision as the shipped rules make it of an ordinary purchase. */
export const APPROVING_DECISION: Decision = {
  outcome: 'approve',
  score: 0.01,
  band: 'low',
  reasons: [],
  disclosedReasons: [],
  hits: [],
  degraded: [],
  ruleSet: 'a',
  model: 'm',
  features: Float32Array.of(1),
  aggregates: Float64Array.of(2),
  unknownRules: [],
  saturated: [],
  stepMicros: { velocity: 0, features: 0, model: 0, rules: 0 },
}

const approve = (request: IsoMessage): readonly TimedAnswer[] => [
  { afterMs: 1, message: answerOf(request, '00', { 38: 'A1B2C3' }) },
]

/** Opens, recovers, and waits until every reachable issuer is signed on. */
export async function createSimulatedSwitch(
  options: SimulatedSwitchOptions,
): Promise<SimulatedSwitch> {
  const { config, keys, dialect, clock, timers, random } = options
  const disk = options.disk ?? new SimulatedDisk({ random: createSeededRandom(1) })
  const latencyMs = () => 0
  const network = createSimulatedNetwork({ clock, timers, latencyMs, bufferedBytesMax: 1_000_000 })
  const issuers = new Map<string, SimulatedIssuer>()
  const listen = (name: string) => {
    const link = config.issuers.find((one) => one.name === name)
    assert.ok(link)
    const answer = (request: IsoMessage) => (options.answer ?? approve)(request, name)
    const address = { host: link.host, port: link.port }
    const framing = createFraming(defaultFraming)
    issuers.set(name, createSimulatedIssuer({ network, address, dialect, framing, timers, answer }))
  }
  const reachable = config.issuers.filter(({ name }) => !options.unreachable?.includes(name))
  for (const { name } of reachable) listen(name)
  const store = await openStore(options, disk)
  const published: VelocityOutcome[] = []
  const journal = new Journal({ log: pino({ level: 'silent' }), oneLineIn: 1, version: 'test' })
  const decision = { ...APPROVING_DECISION, ...options.decision }
  const world = assemble({
    config,
    keys,
    store,
    scorer: {
      async score() {
        if (options.scoreMs !== undefined) await wait(timers, options.scoreMs)
        return decision
      },
      publish: (event) => void published.push(event),
      queueDepth: 0,
    },
    journal,
    transport: network.transport,
    clock,
    timers,
    random,
    dialects: new Map(config.issuers.map((one) => [one.dialect ?? '', dialect])),
    onBug: (error) => {
      throw error
    },
  })
  const recovered = await recoverWorld(world)
  const until = untilBy(timers)
  for (const { name } of reachable) {
    await until(() => world.issuers.get(name)?.isUp === true, `the link to ${name} was up`)
  }
  let closed: Promise<void> | undefined
  return {
    world,
    store,
    disk,
    network,
    recovered,
    issuers,
    published,
    asked: (name) =>
      (issuers.get(name)?.received ?? []).filter((message) => !message.mti.startsWith('08')),
    listen,
    until,
    metrics: () => journal.registry.metrics(),
    close: () => {
      closed ??= disk.isDown ? abandonWorld(world) : closeWorld(world)
      return closed
    },
  }
}

async function closeWorld({ storeAndForward, issuers, store }: World): Promise<void> {
  await storeAndForward.close()
  await Promise.all([...issuers.values()].map((issuer) => issuer.close()))
  await store.close()
}

/** A process that its crash has ended: nothing of it would ever settle, but its links go on. */
async function abandonWorld({ storeAndForward, issuers }: World): Promise<void> {
  void storeAndForward.close()
  await Promise.all([...issuers.values()].map((issuer) => issuer.close()))
}

async function openStore(
  { clock, timers, random, around }: SimulatedSwitchOptions,
  disk: SimulatedDisk,
): Promise<TransactionStore> {
  const opened = await openEmbeddedStore({
    disk: around?.(disk) ?? disk,
    index: new MemoryRecordIndex(),
    clock,
    timers,
    random,
    owner: Buffer.from(random.fill(new Uint8Array(8))).toString('hex'),
    keyRetentionMs: 60_000,
  })
  assert.ok(opened.ok)
  return opened.store
}

function wait(timers: Timers, durationMs: number): Promise<void> {
  return new Promise((resolve) => timers.set(durationMs, resolve))
}

/** Looks every 5 ms, for 5 s at most. */
export function untilBy(timers: Timers): SimulatedSwitch['until'] {
  return async (condition, what) => {
    for (let i = 0; i < 1000; i++) {
      if (condition()) return
      await wait(timers, 5)
    }
    assert.fail(`never: ${what}`)
  }
}

/** The body of an answer; fails where it is none. */
export function bodyOf(reply: Reply): AnswerBody {
  assert.equal(reply.kind, 'answer', JSON.stringify(reply))
  return reply.kind === 'answer' ? reply.body : {}
}

/** The code of a refusal; fails where it is none. */
export function codeOf(reply: Reply): string {
  assert.equal(reply.kind, 'refused', JSON.stringify(reply))
  return reply.kind === 'refused' ? reply.code : ''
}
