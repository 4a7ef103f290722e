// A real Redis Cluster of three masters with a replica each, and a master with a replica under
// three Sentinels: on free ports of loopback, ended by their handles.

import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { Child } from './child.ts'
import { freePort } from './free-port.ts'
import { findRedisServer, type RunningRedis, startRedis } from './redis-server.ts'

const run = promisify(execFile)

/** A master that says nothing for so long is replaced by its replica. */
const NODE_TIMEOUT_MS = 1_000
const FORMED_TIMEOUT_MS = 30_000

export interface RunningRedisCluster {
  /** `redis+cluster://127.0.0.1:port,...` */
  readonly url: string
  readonly nodes: readonly RunningRedis[]
  /** The answer of one node to one command, as redis-cli prints it. */
  ask(port: number, ...command: string[]): Promise<string>
  /** The port of the master that has a slot, as the given node sees it. */
  masterOf(slot: number): Promise<number>
  /** Moves a slot with its keys, one after the other, as resharding does it. */
  moveSlot(slot: number, fromPort: number, toPort: number): Promise<void>
  stop(): Promise<void>
}

export async function startRedisCluster(): Promise<RunningRedisCluster> {
  const nodes: RunningRedis[] = []
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()))
  }
  try {
    for (let i = 0; i < 6; i++) {
      const args = ['--cluster-enabled', 'yes', '--cluster-port', `${await freePort()}`]
      nodes.push(
        await startRedis({ args: [...args, '--cluster-node-timeout', `${NODE_TIMEOUT_MS}`] }),
      )
    }
    const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`)
    const create = ['--cluster', 'create', ...addresses]
    await run('redis-cli', [...create, '--cluster-replicas', '1', '--cluster-yes'], {
      timeout: FORMED_TIMEOUT_MS,
    })
    await eventually(async () => {
      const states = await Promise.all(nodes.map(({ port }) => askPort(port, 'cluster', 'info')))
      return states.every((state) => state.includes('cluster_state:ok'))
    })
    const first = nodes[0] as RunningRedis
    return {
      url: `redis+cluster://${addresses.join(',')}`,
      nodes,
      ask: askPort,
      masterOf: (slot) => masterOf(first.port, slot),
      moveSlot,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function askPort(port: number, ...command: string[]): Promise<string> {
  const { stdout } = await run('redis-cli', ['-h', '127.0.0.1', '-p', `${port}`, ...command])
  return stdout.trim()
}

/** Lines of CLUSTER NODES: id address flags master ping pong epoch state slots... */
async function masterOf(askedPort: number, slot: number): Promise<number> {
  for (const line of (await askPort(askedPort, 'cluster', 'nodes')).split('\n')) {
    const [, address = '', flags = '', , , , , , ...ranges] = line.split(' ')
    if (!flags.includes('master') || flags.includes('fail')) continue
    const has = ranges.some((range) => {
      const [from, to = from] = range.split('-').map(Number)
      return slot >= Number(from) && slot <= Number(to)
    })
    if (has) return Number(/:(\d+)@/.exec(address)?.[1])
  }
  throw new Error(`no master has slot ${slot}`)
}

async function moveSlot(slot: number, fromPort: number, toPort: number): Promise<void> {
  const from = await askPort(fromPort, 'cluster', 'myid')
  const to = await askPort(toPort, 'cluster', 'myid')
  await askPort(toPort, 'cluster', 'setslot', `${slot}`, 'importing', from)
  await askPort(fromPort, 'cluster', 'setslot', `${slot}`, 'migrating', to)
  for (;;) {
    const keys = await askPort(fromPort, 'cluster', 'getkeysinslot', `${slot}`, '10')
    if (keys === '') break
    for (const key of keys.split('\n')) {
      await askPort(fromPort, 'migrate', '127.0.0.1', `${toPort}`, key, '0', '1000')
    }
  }
  await askPort(toPort, 'cluster', 'setslot', `${slot}`, 'node', to)
  await askPort(fromPort, 'cluster', 'setslot', `${slot}`, 'node', to)
}

export interface RunningSentinels {
  /** `redis+sentinel://127.0.0.1:port,.../velocity` */
  readonly url: string
  readonly master: RunningRedis
  readonly replica: RunningRedis
  stop(): Promise<void>
}

/** Three Sentinels over a master, called `velocity`, and its replica. */
export async function startSentinels(): Promise<RunningSentinels> {
  const endings: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (let end = endings.pop(); end !== undefined; end = endings.pop()) await end()
  }
  try {
    const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-sentinel-'))
    endings.push(() => rm(folder, { recursive: true, force: true }))
    const master = await startRedis()
    endings.push(() => master.stop())
    const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', `${master.port}`] })
    endings.push(() => replica.stop())
    await eventually(async () =>
      (await askPort(replica.port, 'info', 'replication')).includes('master_link_status:up'),
    )
    const ports: number[] = []
    for (let i = 0; i < 3; i++) {
      const port = await freePort()
      const file = path.join(folder, `${port}.conf`)
      await writeFile(
        file,
        `port ${port}\nbind 127.0.0.1\ndir ${folder}\n` +
          `sentinel monitor velocity 127.0.0.1 ${master.port} 2\n` +
          `sentinel down-after-milliseconds velocity ${NODE_TIMEOUT_MS}\n` +
          'sentinel failover-timeout velocity 5000\n',
      )
      const sentinel = Child.start({
        title: `Sentinel on ${port}`,
        program: findRedisServer() as string,
        args: [file, '--sentinel'],
      })
      endings.push(() => sentinel.stop())
      ports.push(port)
    }
    await eventually(async () => {
      const seen = await Promise.all(
        ports.map((port) => askPort(port, 'sentinel', 'master', 'velocity').catch(() => '')),
      )
      // Each knows the two others, and the replica.
      return seen.every((text) => {
        const lines = text.split('\n')
        const of = (name: string) => lines[lines.indexOf(name) + 1]
        return of('num-other-sentinels') === '2' && of('num-slaves') === '1'
      })
    })
    const addresses = ports.map((port) => `127.0.0.1:${port}`)
    return { url: `redis+sentinel://${addresses.join(',')}/velocity`, master, replica, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + FORMED_TIMEOUT_MS
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error('Redis did not form in time')
    await new Promise((resolve) => {
      setTimeout(resolve, 100)
    })
  }
}
