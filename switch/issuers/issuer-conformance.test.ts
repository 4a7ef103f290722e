import { readDialect } from '../adapters/dialect-files.ts'
import { createFraming, defaultFraming } from '../iso8583/index.ts'
import {
  answerOf,
  createSeededRandom,
  createSimulatedHttp,
  createSimulatedIssuer,
  createSimulatedNetwork,
  createVirtualTime,
  httpAnswerOf,
  type SimulatedHttpAnswer,
} from '../simulation/index.ts'
import { createHttpIssuer, createIssuer } from './create-issuer.ts'
import type { LateIssuerAnswer } from './issuer.ts'
import { type IssuerRig, type PeerBehaviour, testIssuer } from './issuer-conformance.ts'
import type { IssuerEvent } from './issuer-events.ts'
import { NO_STAN } from './trace-numbers.ts'

const address = { host: 'issuer.test', port: 9101 }
const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
const loaded = readDialect('iso8583-1993-binary')
if (!loaded.ok) throw new Error('the dialect does not load')
const { dialect } = loaded
const silent: PeerBehaviour = { kind: 'silent' }
const config = {
  name: 'demo-a',
  ...address,
  timeoutMs: 1_000,
  breaker: { timeoutsInARow: 3, openMinMs: 1_000, openMaxMs: 4_000 },
}

function createWorld() {
  const time = createVirtualTime({ startMs: Date.UTC(2026, 10, 22, 10), settle })
  const late: LateIssuerAnswer[] = []
  const events: IssuerEvent[] = []
  const deps = {
    clock: time.clock,
    timers: time.timers,
    random: createSeededRandom(5),
    lastStan: NO_STAN,
    onLateAnswer: (answer: LateIssuerAnswer) => void late.push(answer),
    onEvent: (event: IssuerEvent) => void events.push(event),
  }
  return { time, late, events, deps, advance: (ms: number) => time.advance(ms) }
}

testIssuer('an issuer over ISO 8583', async (): Promise<IssuerRig> => {
  const { time, late, events, deps, advance } = createWorld()
  const { clock, timers } = time
  const latencyMs = () => 1
  const network = createSimulatedNetwork({ clock, timers, latencyMs, bufferedBytesMax: 100_000 })
  let behaviour: PeerBehaviour = silent as PeerBehaviour
  const listen = () =>
    createSimulatedIssuer({
      network,
      address,
      dialect,
      framing: createFraming(defaultFraming),
      timers,
      clock,
      answer: (request) => {
        if (behaviour.kind === 'silent') return []
        const { code, afterMs, rrn } = behaviour
        const changes = rrn === undefined ? {} : { 37: rrn }
        return [{ afterMs, message: answerOf(request, code, changes) }]
      },
    })
  const peers = [listen()]
  const issuer = createIssuer(config, { ...deps, transport: network.transport, dialect })
  await advance(50)
  return {
    issuer,
    late,
    events,
    received: () =>
      peers
        .flatMap(({ received }) => received)
        .filter(({ mti }) => mti[1] !== '8')
        .map(({ mti, fields }) => ({ mti, stan: String(fields[11]) })),
    behave: (next) => {
      behaviour = next
    },
    isolate: (isAway) => {
      if (isAway) for (const peer of peers) peer.stop()
      else peers.push(listen())
    },
    cut: () => network.cut(),
    advance,
  }
})

testIssuer('an issuer by HTTP', async (): Promise<IssuerRig> => {
  const { time, late, events, deps, advance } = createWorld()
  let behaviour: PeerBehaviour = silent as PeerBehaviour
  let cutAll: (() => void)[] = []
  const peer = createSimulatedHttp(time.timers, (post): SimulatedHttpAnswer => {
    if (post.path === 'echo') return { afterMs: 1, status: 200, body: {} }
    if (behaviour.kind === 'silent') return null
    const { code, afterMs, rrn } = behaviour
    const body = httpAnswerOf(post, code, rrn === undefined ? {} : { rrn })
    return { afterMs, status: 200, body }
  })
  const createHttpClient: typeof peer.createHttpClient = (options) => {
    const client = peer.createHttpClient(options)
    return {
      ...client,
      send: (request) =>
        new Promise((resolve) => {
          cutAll.push(() => resolve({ kind: 'unknown', code: 'UND_ERR_SOCKET' }))
          void client.send(request).then(resolve)
        }),
    }
  }
  const http = { keyId: 'switch', secret: Buffer.alloc(32, 7) }
  const issuer = createHttpIssuer({ ...config, http }, { ...deps, createHttpClient })
  await advance(50)
  return {
    issuer,
    late,
    events,
    received: () =>
      peer.received
        .filter(({ path }) => path !== 'echo')
        .map(({ body }) => {
          const mti = String(body.messageType)
          return {
            mti: body.repeat === true ? `${mti.slice(0, 3)}1` : mti,
            stan: String(body.stan),
          }
        }),
    behave: (next) => {
      behaviour = next
    },
    isolate: (isAway) => peer.refuse(isAway ? 'ECONNREFUSED' : null),
    cut: () => {
      for (const cut of cutAll) cut()
      cutAll = []
    },
    advance,
  }
})
