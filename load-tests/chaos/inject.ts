// Does one planned fault to the stand, waits, and undoes it; says what it did and begins to time
// the recovery.

import { spawnSync } from 'node:child_process'
import { pause } from '../processes/index.ts'
import type { AnswerEvent } from './acquirer.ts'
import type { PlannedFault } from './faults.ts'
import { smallDiskMegabytes } from './limits.ts'
import type { TcpProxy, Weather } from './proxy.ts'
import type { Recoveries } from './recoveries.ts'
import type { Stand } from './stand.ts'

/** How long a switch may go on with a disk that is full. */
const DISK_NOTICED_MS = 15_000
/** A switch that is down already is hit when it is there again, but not later than that. */
const SWITCH_BACK_MS = 30_000
/** The share of switches that are hit as soon as they listen, ready or not. */
const WHILE_RECOVERING = 0.25
/** Connections of a cut link end so often. */
const CUT_EVERY_MS = 250

/** Resolves with what it was done to, once it is undone. */
export async function inject(
  stand: Stand,
  planned: PlannedFault,
  recoveries: Recoveries,
): Promise<string> {
  const { fault, forMs, draw } = planned
  const [what, part = ''] = splitName(fault)
  if (fault === 'full-disk') return fillDisk(stand, forMs, recoveries)
  if (part.startsWith('switch')) return hitSwitch(stand, planned, recoveries)
  if (part === 'issuer') {
    const index = Math.floor(draw * stand.issuers.length)
    const issuer = at(stand.issuers, index)
    if (what === 'kill') {
      await issuer.running.kill()
      await pause(forMs)
      await issuer.revive()
    } else if (what === 'stop') {
      await whileStopped(issuer.running, forMs)
    } else {
      await badWeather(at(stand.issuerLinks, index), planned, { delayMs: 100, spreadMs: 1_000 })
    }
    return issuer.name
  }
  if (part === 'redis') {
    await hitRedis(stand, planned)
    recoveries.begin('Redis back to full decisions', performance.now(), isFullDecision)
    return 'Redis'
  }
  if (what === 'kill') {
    await stand.postgres?.kill()
    await pause(forMs)
    await stand.postgres?.restart()
    recoveries.begin('PostgreSQL back to first approval', performance.now(), isApproval)
    return 'PostgreSQL'
  }
  if (what === 'stop' && stand.postgres !== undefined) {
    await whileStopped(stand.postgres, forMs)
    recoveries.begin('PostgreSQL continued to first approval', performance.now(), isApproval)
    return 'PostgreSQL'
  }
  const index = Math.floor(draw * stand.postgresLinks.length)
  await badWeather(at(stand.postgresLinks, index), planned, { delayMs: 20, spreadMs: 300 })
  return `PostgreSQL of ${at(stand.switches, index).name}`
}

/** The first digits of a draw choose the part; what is behind them is free for something else. */
const nextDraw = (draw: number) => (draw * 1_000) % 1

/** `kill-switch` to `kill` and `switch`; `half-open-redis` to `half-open` and `redis`. */
function splitName(fault: string): readonly string[] {
  return /^(half-open|[a-z]+)-(.*)$/.exec(fault)?.slice(1) ?? []
}

const isApproval = ({ told }: AnswerEvent) =>
  told.outcome === 'approved' && told.type === 'authorization'

/** One that was not decided before and found again. */
const isFullDecision = ({ told, lostAtMs }: AnswerEvent) =>
  told.type === 'authorization' &&
  lostAtMs === undefined &&
  told.degraded?.includes('velocity') === false

async function hitSwitch(
  stand: Stand,
  { fault, forMs, draw }: PlannedFault,
  recoveries: Recoveries,
): Promise<string> {
  const index = Math.floor(draw * stand.switches.length)
  const one = at(stand.switches, index)
  // Most are hit when they serve, some while they recover.
  await one.waitThere({ isReady: nextDraw(draw) > WHILE_RECOVERING, timeoutMs: SWITCH_BACK_MS })
  const hitMs = performance.now()
  if (fault === 'kill-switch') {
    if (!one.signal('SIGKILL')) return `${one.name}, which was down`
    const byIt = (event: AnswerEvent) => event.target === index && isApproval(event)
    recoveries.begin('switch killed to its first approval again', hitMs, byIt)
    timeFailOver(stand, index, hitMs, 'switch killed', recoveries)
    return one.name
  }
  if (!one.signal('SIGSTOP')) return `${one.name}, which was down`
  const stopped = one.running
  if (fault === 'stop-switch-past-lease') {
    timeFailOver(stand, index, hitMs, 'switch stopped past its lease', recoveries)
  }
  await pause(forMs)
  stopped?.signal('SIGCONT')
  return one.name
}

/** What the others do while this one is away. */
function timeFailOver(
  stand: Stand,
  index: number,
  hitMs: number,
  what: string,
  recoveries: Recoveries,
): void {
  if (stand.switches.length < 2) return
  recoveries.begin(
    `${what} to first approval by the other`,
    hitMs,
    (event) => event.target !== index && isApproval(event),
  )
  // What recovery ends is declined 91; a key that was only on its way is simply taken.
  const isTakenOver = ({ target, told, lostAtMs }: AnswerEvent) =>
    target !== index && lostAtMs !== undefined && lostAtMs >= hitMs && told.responseCode === '91'
  recoveries.begin(`${what} to first claim taken over by the other`, hitMs, isTakenOver)
}

async function hitRedis({ redis, redisLink }: Stand, planned: PlannedFault): Promise<void> {
  if (redis === undefined || redisLink === undefined) return
  if (planned.fault === 'kill-redis') {
    await redis.running.kill()
    await pause(planned.forMs)
    await redis.revive()
  } else if (planned.fault === 'stop-redis') {
    await whileStopped(redis.running, planned.forMs)
  } else {
    await badWeather(redisLink, planned, { delayMs: 20, spreadMs: 200 })
  }
}

async function whileStopped(
  process: { pause(): void; resume(): void },
  forMs: number,
): Promise<void> {
  process.pause()
  await pause(forMs)
  process.resume()
}

async function badWeather(
  link: TcpProxy,
  { fault, forMs, draw }: PlannedFault,
  { delayMs, spreadMs }: { readonly delayMs: number; readonly spreadMs: number },
): Promise<void> {
  const [what = ''] = splitName(fault)
  const again = nextDraw(draw)
  if (what === 'cut') {
    for (const untilMs = performance.now() + forMs; performance.now() < untilMs; ) {
      link.cut()
      await pause(CUT_EVERY_MS)
    }
    return
  }
  const weather: Readonly<Record<string, Partial<Weather>>> = {
    delay: { delayMs: delayMs + again * spreadMs },
    throttle: { bytesPerSecond: 2_000 + again * 20_000 },
    stall: { isStalled: true },
    'half-open': { swallows: again < 0.5 ? 'to_server' : 'to_client' },
  }
  link.setWeather(weather[what] ?? {})
  await pause(forMs)
  link.setWeather({})
}

/** Until the switch has ended for it; then there is room again. */
async function fillDisk(stand: Stand, forMs: number, recoveries: Recoveries): Promise<string> {
  const one = at(stand.switches, 0)
  await one.waitThere({ isReady: true, timeoutMs: SWITCH_BACK_MS })
  const { running } = one
  if (running === undefined) return `${one.name}, which was down`
  const { disk } = stand
  if (disk !== undefined) {
    disk.fill()
  } else {
    // Its files may not grow any more: what a full disk says by another code (EFBIG).
    const bytes = await stand.segmentBytes()
    spawnSync('prlimit', [`--pid=${running.pid}`, `--fsize=${bytes}:`])
  }
  const ended = await Promise.race([running.exited, pause(DISK_NOTICED_MS)])
  await pause(forMs)
  disk?.resize(smallDiskMegabytes)
  // A quota ends with its process: one that did not notice is ended for it.
  if (ended === undefined) one.signal('SIGKILL')
  recoveries.begin('disk with room again to first approval', performance.now(), isApproval)
  return ended === undefined ? `${one.name}, which went on` : one.name
}

/** Whether this machine can make a disk full for one process without being root. */
export function canLimitFiles(): boolean {
  return spawnSync('prlimit', ['--version'], { stdio: 'ignore' }).status === 0
}

function at<T>(list: readonly T[], index: number): T {
  const found = list[index]
  if (found === undefined) throw new Error(`there is no part ${index} of ${list.length}`)
  return found
}
