// The door of the peers: servers that a load run is held against, each started as a process.

import path from 'node:path'
import { Child, projectFolder, redisMissing, startRedis } from '../processes/index.ts'

export const PEERS = ['echo', 'plain'] as const
export type PeerName = (typeof PEERS)[number]

export function isPeerName(name: string): name is PeerName {
  return PEERS.some((known) => known === name)
}

export interface RunningPeer {
  readonly name: PeerName
  readonly url: string
  readonly pid: number
  readonly redisPid: number | null
  readonly issuerPid: number | null
  stop(): Promise<unknown>
}

const readyTimeoutMs = 60_000
const modelFile = path.join(projectFolder, 'scoring/models/switchyard-trees/model.onnx')

/** Starts a peer with what it needs; throws where that is not installed. */
export async function startPeer(name: PeerName): Promise<RunningPeer> {
  if (name === 'echo') {
    const echo = await start('echo', [])
    return { ...peerOf(name, echo), redisPid: null, issuerPid: null, stop: () => echo.child.stop() }
  }
  const missing = redisMissing()
  if (missing !== false) throw new Error(`the plain stack counts on Redis: ${missing}`)
  const redis = await startRedis()
  const issuer = await start('issuer', [])
  const plain = await start('plain', [redis.url, String(issuer.port), modelFile])
  return {
    ...peerOf(name, plain),
    redisPid: redis.pid,
    issuerPid: issuer.child.pid,
    async stop() {
      await plain.child.stop()
      await issuer.child.stop()
      await redis.stop()
    },
  }
}

interface Started {
  readonly child: Child
  readonly port: number
}

function peerOf(name: PeerName, { child, port }: Started) {
  return { name, url: `http://127.0.0.1:${port}`, pid: child.pid }
}

async function start(file: string, args: readonly string[]): Promise<Started> {
  const child = Child.start({
    title: `peer ${file}`,
    args: ['--import', import.meta.resolve('tsx'), `load-tests/peers/${file}.ts`, ...args],
  })
  const port = await child.until('it was ready', readyTimeoutMs, async () => {
    const line = child.logs.split('\n').find((it) => it.startsWith('{"ready":true'))
    return line === undefined ? undefined : (JSON.parse(line) as { port: number }).port
  })
  return { child, port }
}
