// Where a life of the switch may end: at any call that it makes of a port, and at any call that a
// port makes of it. A call is counted, and the one that was ordered is the last.

/** What the message path calls, and what calls it. Stable: plans and coverage name them. */
export const PORT_CALLS = [
  'disk.list',
  'disk.open',
  'disk.remove',
  'disk.rename',
  'file.append',
  'file.sync',
  'file.read',
  'file.truncate',
  'file.close',
  'index.write',
  'index.clear',
  'index.close',
  'transport.connect',
  'connection.write',
  'connection.destroy',
  'timers.set',
  'timers.clear',
  'timers.fire',
  'random.fill',
  'clock.now',
  'clock.monotonic',
  'runner.run',
] as const
export type PortCall = (typeof PORT_CALLS)[number]

/** A call of the port after which nothing of this life has any effect. */
export interface CrashOrder {
  readonly call: PortCall | 'any'
  /** 1: the next such call. */
  readonly nth: number
  /** The machine loses its power; otherwise the process alone is killed. */
  readonly isPowerCut: boolean
  /** At the next call from where no life has ended yet. */
  readonly isFresh?: boolean
}

/** How much of the last call took effect: none, all, or between bytes. */
export type CrashPhase = 'before' | 'after' | 'between'

export interface Crash {
  readonly call: PortCall
  /** File and line of the caller, from the project's folder. */
  readonly site: string
  readonly phase: CrashPhase
  readonly isPowerCut: boolean
}

export class CrashPoints {
  /** From then on no call has any effect, and none settles. */
  isDead = false
  #order: CrashOrder | undefined
  #left = 0
  #phase: CrashPhase = 'before'
  /** Where lives have ended; they share it. */
  readonly #ended: Set<string>
  readonly #onCrash: (crash: Crash) => void

  constructor(ended: Set<string>, onCrash: (crash: Crash) => void) {
    this.#ended = ended
    this.#onCrash = onCrash
  }

  order(order: CrashOrder, phase: CrashPhase): void {
    this.#order = order
    this.#left = order.isFresh === true ? LOOKS_MAX : order.nth
    this.#phase = phase
  }

  /** Undefined: the life goes on. Otherwise this call is the last: `end` follows its effect. */
  reach(call: PortCall): CrashPhase | undefined {
    const order = this.#order
    if (order === undefined || (order.call !== 'any' && order.call !== call)) return undefined
    if (order.isFresh === true) {
      // A look at the stack takes as long as all the rest of a call.
      if (--this.#left < 0) return undefined
      return this.#ended.has(`${call} ${siteOfCall()}`) ? undefined : this.#phase
    }
    return --this.#left > 0 ? undefined : this.#phase
  }

  end(call: PortCall): void {
    const order = this.#order
    if (this.isDead || order === undefined) return
    this.isDead = true
    this.#order = undefined
    const site = siteOfCall()
    this.#ended.add(`${call} ${site}`)
    this.#onCrash({ call, site, phase: this.#phase, isPowerCut: order.isPowerCut })
  }
}

/** Sites by their place in the code that runs: finding the line that was written takes long. */
const knownSites = new Map<string, string>()

/** File and line of the caller outside the simulation. */
function siteOfCall(): string {
  const { prepareStackTrace } = Error
  let place = ''
  Error.prepareStackTrace = (_, calls) => {
    for (const call of calls) {
      const file = call.getFileName() ?? ''
      if (!PROJECT.test(file) || file.includes('/switch/simulation/')) continue
      place = `${file} ${call.getLineNumber()} ${call.getColumnNumber()}`
      break
    }
    return ''
  }
  const holder: { stack?: string } = {}
  Error.captureStackTrace(holder, siteOfCall)
  void holder.stack
  Error.prepareStackTrace = prepareStackTrace
  const known = knownSites.get(place)
  if (known !== undefined) return known
  const site = callerOf(new Error('site').stack ?? '')
  knownSites.set(place, site)
  return site
}

/** Calls that an order for a new site looks at. */
const LOOKS_MAX = 4_000
const PROJECT = /\/(?:switch|scoring|rules)\/[^\s:()]+\.ts$/
const FRAME = /((?:switch|scoring|rules)\/[^\s:()]+\.ts):([0-9]+):[0-9]+\)?$/

/** The first frame outside the simulation. */
export function callerOf(stack: string): string {
  for (const line of stack.split('\n')) {
    const [, file, number] = FRAME.exec(line.trim()) ?? []
    if (file === undefined || file.startsWith('switch/simulation/')) continue
    return `${file}:${number}`
  }
  return 'event loop'
}
