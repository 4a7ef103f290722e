// The door to velocity: counters over entities and windows, on Redis or embedded.

export {
  createEmbeddedVelocity,
  type EmbeddedVelocity,
  type EmbeddedVelocityOptions,
} from './embedded.ts'
export { LateLabels } from './late-labels.ts'
export { RING_ATTEMPTS } from './limits.ts'
export { supportsAggregate, TILE_ENTITIES } from './plan.ts'
export {
  createRedisVelocity,
  type RedisVelocity,
  type RedisVelocityOptions,
} from './redis.ts'
export { type HostPort, parseRedisUrl, type RedisAddress } from './redis-address.ts'
export { KeysMoved, type RedisConnection } from './redis-connection.ts'
export type { RedisScript } from './redis-script.ts'
export { RING_TTL_SECONDS, ringKey, writeRing } from './ring-image.ts'
export * from './velocity.ts'
export { VelocityError, type VelocityErrorCode } from './velocity-error.ts'
