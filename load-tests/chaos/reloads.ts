// What reloads cost the traffic: the same open-loop load in turns without and with reloads, on one
// running switch. Real processes: two issuers and a switch.
//
//   node --import tsx load-tests/chaos/reloads.ts [reloads, 100] [messages a second, 200]
//
// Turns alternate, A without and B with an even part of the reloads, so that a noisy machine hits
// both. Every reload changes a rule, so that it is compiled, tested, prepared and switched over.
// Latency counts from the intended send time. Prints one line of JSON; exit 1 where a message
// failed or a reload was refused.

import { cp, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { post, purchase } from '../e2e/system.ts'
import { pause, projectFolder, startIssuer, startSwitch } from '../processes/index.ts'

const TURNS = 4
/** A reload a third of a second: a hundred of them in turns of eight seconds. */
const RELOAD_EVERY_MS = 320
const TOKEN = 'an-admin-token'

interface Turn {
  readonly latenciesMs: number[]
  failed: number
  degraded: number
}

const packOf = (number: number) => `typology: reloaded
rules:
  - id: reloaded.one
    title: Changes with every reload
    mode: live
    when: merchant.id == "M-reloaded-${number}"
    outcome: review
    reason: reloaded
`

/** Open loop: a message is sent when it is due, however late the ones before it are. */
async function drive(url: string, perSecond: number, durationMs: number, first: number) {
  const turn: Turn = { latenciesMs: [], failed: 0, degraded: 0 }
  const startedMs = performance.now()
  const count = Math.round((perSecond * durationMs) / 1_000)
  const sent: Promise<void>[] = []
  for (let i = 0; i < count; i++) {
    const dueMs = startedMs + (i * 1_000) / perSecond
    const waitMs = dueMs - performance.now()
    if (waitMs > 0) await pause(waitMs)
    sent.push(send(url, first + i, dueMs, turn))
  }
  await Promise.all(sent)
  return turn
}

async function send(url: string, number: number, dueMs: number, turn: Turn): Promise<void> {
  try {
    const { status, body } = await post(
      url,
      `reloads-${number}`,
      purchase(number, 1_000 + (number % 9_000)),
    )
    turn.latenciesMs.push(performance.now() - dueMs)
    if (status !== 200) turn.failed++
    const { degraded } = body.risk as { degraded: readonly string[] }
    if (degraded.length > 0) turn.degraded++
  } catch {
    turn.failed++
  }
}

function figures(turns: readonly Turn[]) {
  const all = turns.flatMap(({ latenciesMs }) => latenciesMs).sort((a, b) => a - b)
  const at = (share: number) =>
    Math.round((all[Math.floor(share * (all.length - 1))] ?? Number.NaN) * 10) / 10
  const sum = (read: (turn: Turn) => number) => turns.reduce((total, turn) => total + read(turn), 0)
  return {
    messages: all.length,
    failed: sum(({ failed }) => failed),
    degraded: sum(({ degraded }) => degraded),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    p999Ms: at(0.999),
    p99MsByTurn: turns.map(({ latenciesMs }) => {
      const sorted = [...latenciesMs].sort((a, b) => a - b)
      return Math.round((sorted[Math.floor(0.99 * (sorted.length - 1))] ?? 0) * 10) / 10
    }),
  }
}

async function measure(reloads: number, perSecond: number): Promise<boolean> {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-reloads-'))
  const rulesDir = path.join(folder, 'rules')
  for (const part of ['packs', 'lists']) {
    await cp(path.join(projectFolder, 'rules', part), path.join(rulesDir, part), {
      recursive: true,
    })
  }
  const file = path.join(rulesDir, 'packs', 'reloaded.yaml')
  await writeFile(file, packOf(0))
  const issuers = await Promise.all([
    startIssuer({ name: 'demo-a' }),
    startIssuer({ name: 'demo-b' }),
  ])
  const running = await startSwitch({
    folder,
    issuers,
    config: { log: { oneLineIn: 0 }, watchRules: false },
    env: { RULES_DIR: rulesDir, ADMIN_TOKEN: TOKEN },
  })
  let number = 0
  let refused = 0
  const tookMs: number[] = []
  const reload = async () => {
    await writeFile(`${file}.draft`, packOf(++number))
    await rename(`${file}.draft`, file)
    const startedMs = performance.now()
    const response = await fetch(`${running.adminUrl}/v1/rules/reload`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}` },
    })
    const report = (await response.json()) as { result: string }
    tookMs.push(performance.now() - startedMs)
    if (report.result !== 'taken') refused++
  }
  try {
    const each = Math.ceil(reloads / TURNS)
    const durationMs = each * RELOAD_EVERY_MS
    let first = 0
    const next = () => {
      first += Math.ceil((perSecond * durationMs) / 1_000) + 1
      return first
    }
    await drive(running.url, perSecond, Math.min(5_000, durationMs), 0)
    await reload()
    const [without, during]: [Turn[], Turn[]] = [[], []]
    const residentBefore = await residentMegabytes(running.adminUrl)
    for (let turn = 0; turn < TURNS; turn++) {
      without.push(await drive(running.url, perSecond, durationMs, next()))
      const driving = drive(running.url, perSecond, durationMs, next())
      for (let i = 0; i < each; i++) {
        const dueMs = performance.now() + RELOAD_EVERY_MS
        await reload()
        await pause(Math.max(0, dueMs - performance.now()))
      }
      during.push(await driving)
    }
    const [a, b] = [figures(without), figures(during)]
    tookMs.sort((one, other) => one - other)
    const residentAfter = await residentMegabytes(running.adminUrl)
    const report = {
      perSecond,
      reloads: number,
      refused,
      reloadMs: {
        p50: Math.round(tookMs[tookMs.length >> 1] ?? 0),
        max: Math.round(tookMs.at(-1) ?? 0),
      },
      without: a,
      during: b,
      p99Ratio: Math.round((100 * b.p99Ms) / a.p99Ms) / 100,
      residentMegabytes: { before: residentBefore, after: residentAfter },
    }
    console.log(JSON.stringify(report))
    return refused === 0 && a.failed + b.failed === 0
  } finally {
    await running.stop()
    await Promise.all(issuers.map((issuer) => issuer.stop()))
    await rm(folder, { recursive: true, force: true })
  }
}

async function residentMegabytes(adminUrl: string): Promise<number> {
  const text = await (await fetch(`${adminUrl}/metrics`)).text()
  const bytes = /^switchyard_process_resident_memory_bytes (\S+)/m.exec(text)?.[1]
  return Math.round(Number(bytes) / 1e6)
}

const [reloads = 100, perSecond = 200] = process.argv.slice(2).map(Number)
process.exitCode = (await measure(reloads, perSecond)) ? 0 : 1
