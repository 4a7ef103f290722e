// How long a backlog of reversals takes once its issuer answers again, and what that costs traffic
// to another issuer. Real processes: two issuers and a switch.
//
//   node --import tsx load-tests/chaos/backlog.ts [reversals, 10000]
//
// demo-b decides and answers nothing, reversals neither; so many purchases to it time out, each
// with its reversal. The same traffic to demo-a is measured while demo-b is silent, and again from
// the moment in which it answers. Latency counts from the intended send time. Prints one line of
// JSON; exit 1 where the backlog takes 60 s or more, or an approval stays at the issuer.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { post, purchase } from '../e2e/system.ts'
import { isLive } from '../issuer/index.ts'
import { startIssuer, startSwitch } from '../processes/index.ts'

const DRAIN_MS_MAX = 60_000
const ISSUER_TIMEOUT_MS = 1_000
/** Purchases to the silent issuer at a time: about 600 a second. */
const AT_A_TIME = 600
const TRAFFIC_PER_SECOND = 50
const BASELINE_MS = 20_000

const silent = { silentPercent: 100, faultyReversals: true }
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

async function measure(reversals: number): Promise<boolean> {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-backlog-'))
  const [demoA, demoB] = await Promise.all([
    startIssuer({ name: 'demo-a' }),
    startIssuer({ name: 'demo-b', behaviour: silent }),
  ])
  const link = { host: '127.0.0.1', dialect: 'iso8583-1987-ascii', timeoutMs: ISSUER_TIMEOUT_MS }
  // Without its breaker, so that the requests leave at all.
  const breaker = { timeoutsInARow: 10_000, openMinMs: 1_000, openMaxMs: 1_000 }
  const running = await startSwitch({
    folder,
    issuers: [demoA, demoB],
    config: {
      log: { oneLineIn: 0 },
      issuers: [
        { ...link, name: 'demo-a', port: demoA.port },
        { ...link, name: 'demo-b', port: demoB.port, breaker },
      ],
    },
  })
  const depth = () => depthOf(running.adminUrl)
  try {
    const outcomes = await makeBacklog(running.url, reversals)
    const queued = await depth()
    const before = new Traffic(running.url, 'before')
    await pause(BASELINE_MS)
    const baseline = await before.end()
    const during = new Traffic(running.url, 'during')
    await demoB.setBehaviour({ silentPercent: 0, faultyReversals: false })
    const startedMs = performance.now()
    while ((await depth()) > 0 && performance.now() - startedMs < 3 * DRAIN_MS_MAX) await pause(250)
    const drainSeconds = (performance.now() - startedMs) / 1_000
    const drained = await during.end()
    const live = (await demoB.ledger()).filter(isLive).length
    const report = { queued, outcomes, drainSeconds, baseline, drained, liveAtIssuer: live }
    process.stdout.write(`${JSON.stringify(report)}\n`)
    return live === 0 && drainSeconds * 1_000 < DRAIN_MS_MAX
  } finally {
    await running.stop()
    await Promise.all([demoA.stop(), demoB.stop()])
    await rm(folder, { recursive: true, force: true })
  }
}

/** Resolves with how the purchases were answered, by DE39. */
async function makeBacklog(url: string, reversals: number): Promise<Record<string, number>> {
  const outcomes: Record<string, number> = {}
  let next = 0
  const buy = async (): Promise<void> => {
    while (next < reversals) {
      const number = next++
      const answer = await post(url, `backlog-${number}`, purchase(number, 1_000, '541333'))
      const code = String(answer.body.responseCode ?? answer.status)
      outcomes[code] = (outcomes[code] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, buy))
  return outcomes
}

async function depthOf(adminUrl: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text()
  const line = /^switchyard_store_and_forward_depth\{issuer="demo-b"\} (\d+)/m.exec(text)
  return Number(line?.[1] ?? Number.NaN)
}

/** Purchases to demo-a at a fixed rate, whatever becomes of those before. */
class Traffic {
  readonly #url: string
  readonly #name: string
  readonly #startedMs = performance.now()
  readonly #latenciesMs: number[] = []
  readonly #running: Promise<void>[] = []
  readonly #timer: NodeJS.Timeout
  #notApproved = 0

  constructor(url: string, name: string) {
    this.#url = url
    this.#name = name
    this.#timer = setInterval(() => this.#send(), 5)
  }

  #send(): void {
    const intervalMs = 1_000 / TRAFFIC_PER_SECOND
    for (;;) {
      const number = this.#running.length
      const intendedMs = this.#startedMs + number * intervalMs
      if (intendedMs > performance.now()) return
      this.#running.push(this.#buy(number, intendedMs))
    }
  }

  async #buy(number: number, intendedMs: number): Promise<void> {
    const card = 20_000 + number
    const { body } = await post(this.#url, `${this.#name}-${number}`, purchase(card, 1_000))
    this.#latenciesMs.push(performance.now() - intendedMs)
    if (body.outcome !== 'approved') this.#notApproved++
  }

  async end() {
    clearInterval(this.#timer)
    await Promise.all(this.#running)
    const sorted = this.#latenciesMs.sort((a, b) => a - b)
    const at = (part: number) =>
      Math.round((sorted[Math.floor(sorted.length * part)] ?? 0) * 10) / 10
    return { sent: sorted.length, notApproved: this.#notApproved, p50Ms: at(0.5), p99Ms: at(0.99) }
  }
}

process.exitCode = (await measure(Number(process.argv[2] ?? 10_000))) ? 0 : 1
