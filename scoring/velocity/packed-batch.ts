// A batch as the script on Redis reads it:
//
//   events 1 | bytes of an event 1 | event | event | ...
//
// then for each entity: kind 1 | key length 1 | key | version 8 (tiles) | events 1 | indexes, 1
// each
//   kind: 0 ring, 1 ring to be returned, 2 tile, 3 tile to be returned; with 4 its daily counts of
//         late labels, too

import type { Batch } from './batch.ts'
import { type CompiledPlan, IS_TILE } from './plan.ts'
import { type TileBase, versionBytes } from './tile.ts'

const NO_VERSION = versionBytes(0)

/**
 * `bases`: the compacted parts at hand, whose bytes need not be sent again. `known`: 1 for events
 * that a ring on another server knew already, which no tile may count again.
 */
export function packBatch(
  batch: Batch,
  plan: CompiledPlan | undefined,
  bases: readonly (TileBase | undefined)[],
  known: Uint8Array | undefined,
): Buffer {
  let size = 2 + batch.bytes.length
  for (const { key, events } of batch.entities) size += 11 + key.length + events.length
  const packed = Buffer.allocUnsafe(size)
  packed[0] = batch.count
  packed[1] = batch.eventBytes
  batch.bytes.copy(packed, 2)
  let at = 2 + batch.bytes.length
  for (let i = 0; i < batch.entities.length; i++) {
    const { entity, key, events } = batch.entities[i] as Batch['entities'][number]
    const isTile = IS_TILE[entity] === true
    const query = plan?.queries[entity]
    const isLabelled = query !== undefined && query.labelSlots.length > 0
    packed[at++] = (isTile ? 2 : 0) + (query === undefined ? 0 : 1) + (isLabelled ? 4 : 0)
    packed[at++] = key.length
    at += packed.write(key, at, 'latin1')
    if (isTile) {
      const base = bases[i]
      at += (base === undefined ? NO_VERSION : versionBytes(base.version)).copy(packed, at)
    }
    const countAt = at++
    for (const event of events) if (known?.[event] !== 1) packed[at++] = event
    packed[countAt] = at - countAt - 1
  }
  return packed.subarray(0, at)
}
