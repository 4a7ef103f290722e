// The door of the process launchers: real processes for tests, load runs and demos.

export { makeCertificates, type TestCertificates } from './certificates.ts'
export { changingPack } from './changing-pack.ts'
export { Child, pause, projectFolder } from './child.ts'
export { freePort } from './free-port.ts'
export { type IsoClient, type IsoClientOptions, openIsoClient } from './iso-client.ts'
export {
  type IssuerStatus,
  type RunningIssuer,
  readLedger,
  readStatus,
  type StartIssuerOptions,
  startIssuer,
} from './issuer.ts'
export {
  postgresMissing,
  type RunningPostgres,
  type StartPostgresOptions,
  startPostgres,
} from './postgres-server.ts'
export {
  type RunningRedisCluster,
  type RunningSentinels,
  startRedisCluster,
  startSentinels,
} from './redis-cluster.ts'
export { type RunningRedis, redisMissing, startRedis } from './redis-server.ts'
export { mountSmallDisk, type SmallDisk } from './small-disk.ts'
export { type RunningSwitch, type StartSwitchOptions, startSwitch } from './switch.ts'
export {
  openWebSocket,
  UpgradeRefused,
  type WebSocketClient,
  type WebSocketEvents,
} from './web-socket.ts'
