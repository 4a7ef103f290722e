// What the metrics page reads from the parts at each scrape.

import type { ScorerPool } from '#scoring'
import type { World } from '../world.ts'

/** Depths and sizes, by what they are of; nothing is kept between two scrapes. */
export function gauges(world: World, scorer: ScorerPool) {
  const each = (read: (issuer: string) => number) =>
    Object.fromEntries([...world.issuers.keys()].map((issuer) => [issuer, read(issuer)]))
  return {
    queueDepths: () => ({ scoring: scorer.queueDepth, in_flight: world.inFlight.size }),
    storeAndForwardDepths: () => each((issuer) => world.storeAndForward.depth(issuer)),
    deadLetters: () => each((issuer) => world.storeAndForward.deadLetters(issuer)),
    storeBytes: () => world.store.status.bytes,
    storeFreeBytes: () => world.store.status.freeBytes ?? null,
    issuerConnections: () =>
      Object.fromEntries([...world.issuers].map(([name, issuer]) => [name, issuer.connections])),
    featurePsi: () =>
      Object.fromEntries((scorer.drift()?.psi ?? []).map(({ name, psi }) => [name, psi])),
    featurePsiSamples: () => scorer.drift()?.samples ?? 0,
    modelAgeSeconds: () => (world.clock.now() - Date.parse(scorer.info.modelCreatedAt)) / 1000,
  }
}
