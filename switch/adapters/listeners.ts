// Adapter: the ports that a switch listens on: acquirers over HTTP and ISO 8583, and operators.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { ScorerPool } from '#scoring'
import type { Config, IsoListenerConfig } from '../config/index.ts'
import {
  createAcquirerApi,
  createIsoDoor,
  createOperationsApi,
  ExchangedKeys,
  type HttpServer,
  ISO_BUFFERED_BYTES_MAX,
  ISO_CONNECTIONS_MAX,
} from '../ingress/index.ts'
import { BODY_BYTES_MAX, HTTP_CONNECTIONS_MAX, OPERATIONS_CONNECTIONS_MAX } from '../limits.ts'
import {
  type ModelSwaps,
  modelCommands,
  operatorCommands,
  type RuleReloads,
  readiness,
  VelocityWatch,
} from '../operations/index.ts'
import { requeue } from '../requeue.ts'
import type { World } from '../world.ts'
import type { Dialects } from './dialect-files.ts'
import { openFileDisk } from './file-disk.ts'
import { listen } from './http-server.ts'
import { listenForStreams, type NetListener } from './net-listener.ts'
import type { ProcessEnd } from './process-end.ts'
import { systemTimers } from './system-clock.ts'

export function listenForAcquirers(world: World, processEnd: ProcessEnd): Promise<HttpServer> {
  const api = createAcquirerApi(world)
  const { host, port } = world.config.http
  return listen({
    host,
    port,
    // Any process on the same store may answer.
    isShared: world.store.sharing !== undefined,
    bodyBytesMax: BODY_BYTES_MAX,
    connectionsMax: HTTP_CONNECTIONS_MAX,
    api,
    stream: api.stream,
    onBug: processEnd.afterBug,
  })
}

/** One listener after the other; rejects where one can't be had. */
export async function listenForIso(
  world: World,
  dialects: Dialects,
  processEnd: ProcessEnd,
): Promise<readonly NetListener[]> {
  const configured = world.config.iso?.listeners ?? []
  if (configured.length === 0) return []
  const keyFolder = await openFileDisk(path.join(world.config.dataDir, 'exchanged-keys'))
  if (!keyFolder.ok) throw new Error(keyFolder.problem.message)
  processEnd.atEnd(() => keyFolder.disk.close())
  const keys = await ExchangedKeys.open(keyFolder.disk, world.vault)
  const listeners: NetListener[] = []
  for (const listener of configured) {
    listeners.push(
      await listenForStreams({
        host: listener.host,
        port: listener.port,
        connectionsMax: ISO_CONNECTIONS_MAX,
        bufferedBytesMax: ISO_BUFFERED_BYTES_MAX,
        accept: createIsoDoor(world, listener, dialects, keys),
        onBug: processEnd.afterBug,
        ...(listener.tls === undefined ? {} : { tls: readTls(listener.tls) }),
      }),
    )
  }
  return listeners
}

function readTls({ certFile, keyFile, caFile }: NonNullable<IsoListenerConfig['tls']>) {
  const read = (file: string) => readFileSync(file, 'utf8')
  return { cert: read(certFile), key: read(keyFile), ca: read(caFile) }
}

/** Where each configured listener is reached, by name; `listening` in the same order. */
export function isoUrls(config: Config, listening: readonly NetListener[]): Record<string, string> {
  return Object.fromEntries(
    (config.iso?.listeners ?? []).map(({ name, host, tls }, i) => {
      const scheme = tls === undefined ? 'tcp' : 'tls'
      return [name, `${scheme}://${host}:${listening[i]?.port}`]
    }),
  )
}

/** The operations port: health, metrics, and what an operator may order. */
export function listenForOperators(
  world: World,
  scorer: ScorerPool,
  { reloads, swaps }: { readonly reloads: RuleReloads; readonly swaps: ModelSwaps },
  processEnd: ProcessEnd,
  adminToken: string | undefined,
): Promise<HttpServer> {
  const { host, port } = world.config.admin
  const watch = new VelocityWatch(() => scorer.stats(), systemTimers, world.journal.log)
  processEnd.atEnd(async () => watch.stop())
  const checks = () =>
    readiness(world, {
      rules: reloads.status,
      model: swaps.line,
      workersReady: scorer.stats().workersReady,
      velocity: scorer.info.velocity,
      velocityFault: watch.fault,
    })
  world.journal.watchReadiness(checks)
  return listen({
    host,
    port,
    bodyBytesMax: BODY_BYTES_MAX,
    connectionsMax: OPERATIONS_CONNECTIONS_MAX,
    api: createOperationsApi({
      readiness: checks,
      metrics: () => world.journal.registry.metrics(),
      adminToken,
      rules: () => reloads.status,
      model: () => swaps.status,
      commands: {
        ...operatorCommands(reloads, world),
        ...modelCommands(swaps),
      },
      requeue: (transactionId) =>
        requeue(world.store, transactionId, (delivery) => world.storeAndForward.requeue(delivery)),
    }),
    onBug: processEnd.afterBug,
  })
}
