// Issuers in three dialects and by HTTP that are paused, killed, flapping, late, twice and out of
// order while traffic runs: no crossed answer, every unknown ended in one reversal, and books that
// balance.

import assert from 'node:assert/strict'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { type ApprovedAnswer, balanceBooks } from '../driver/books.ts'
import {
  pause,
  type RunningIssuer,
  type StartIssuerOptions,
  startIssuer,
} from '../processes/index.ts'
import { eventually, purchase, type System, startSystem } from './system.ts'

const issuerTimeoutMs = 700
const bins = ['476173', '541333', '5413331', '5413332'] as const
const secret = Buffer.alloc(32, 5).toString('base64')
const of1993 = { dialect: 'iso8583-1993-binary' }
const vip = { dialect: 'visa-base1' }
/** Beside demo-a, which speaks 1987 in ASCII. */
let others: readonly RunningIssuer[] = []
let system: System
before(async () => {
  system = await startSystem({ issuerTimeoutMs })
  const { demoA, folder } = system
  await system.running.stop()
  const ledgerFile = (name: string) => path.join(folder, `${name}.ndjson`)
  const start = (name: string, options: Partial<StartIssuerOptions>) =>
    startIssuer({ ...options, name, ledgerFile: ledgerFile(name) })
  others = await Promise.all([
    start('of-1993', of1993),
    start('vip', vip),
    start('by-http', { http: { key: `switch:${secret}` } }),
  ])
  const [second, third, fourth] = others.map(({ port }) => port)
  // Two connections a link, and a route that goes on: all that this is about at once.
  const link = { host: '127.0.0.1', timeoutMs: issuerTimeoutMs }
  const two = { ...link, connections: 2 }
  const http = { keyId: 'switch', secret }
  await system.restart({
    issuers: [
      { ...two, name: 'demo-a', port: demoA.port, dialect: 'iso8583-1987-ascii' },
      { ...two, ...of1993, name: 'of-1993', port: second },
      { ...two, ...vip, name: 'vip', port: third },
      { ...link, name: 'by-http', port: fourth, http },
    ],
    routes: [
      { bins: [bins[0]], issuer: 'demo-a', failOver: ['of-1993'] },
      { bins: [bins[1]], issuer: 'of-1993' },
      { bins: [bins[2]], issuer: 'vip' },
      { bins: [bins[3]], issuer: 'by-http' },
    ],
  })
})
after(async () => {
  await system?.stop()
  await Promise.all(others.map((issuer) => issuer.stop()))
})

test('killed, paused, flapping, late, twice and out of order: one reversal for each unknown', async () => {
  const approved: ApprovedAnswer[] = []
  const outcomes = new Map<string, number>()
  let number = 0
  let isOver = false
  const buy = async (): Promise<void> => {
    while (!isOver) {
      const own = number++
      const amount = 10_000 + own
      const request = purchase(own, amount, bins[own % bins.length])
      const { body } = await system.post(`storm-${own}`, request)
      const code = `${body.responseCode}`
      outcomes.set(code, (outcomes.get(code) ?? 0) + 1)
      if (body.outcome === 'approved') approved.push(approvedAnswer(`storm-${own}`, body, request))
    }
  }
  const buyers = Array.from({ length: 12 }, buy)
  const back = await storm(system)
  isOver = true
  await Promise.all(buyers)
  // What a killed issuer never decided is answered 25 and told again for the late-answer window, so
  // the queue need not be empty: the books say when all is well.
  await eventually(async () => {
    const ledgers = [back, ...others].map(async (issuer) => ({
      issuer: issuer.name,
      entries: await issuer.ledger(),
    }))
    const books = balanceBooks(approved, await Promise.all(ledgers))
    assert.deepEqual(books.discrepancies, [])
    assert.ok(books.approvals > 50 && books.reversedApprovals > 0, JSON.stringify([...outcomes]))
  }, 60_000)
  await back.stop()
})

const unruly = { latePercent: 10, lateMs: 1_000, duplicatePercent: 20, reorderPercent: 20 }
const calm = { ...unruly, latePercent: 0, duplicatePercent: 0, reorderPercent: 0, dropPercent: 0 }

/** Ends with issuers that behave. Resolves with demo-a as it is then. */
async function storm({ demoA, folder }: System): Promise<RunningIssuer> {
  const [of1993Issuer, vipIssuer, httpIssuer] = others as [
    RunningIssuer,
    RunningIssuer,
    RunningIssuer,
  ]
  await pause(1_000)
  of1993Issuer.pause()
  httpIssuer.pause()
  await pause(2_000)
  of1993Issuer.resume()
  httpIssuer.resume()
  for (const issuer of [demoA, ...others]) {
    await issuer.setBehaviour({ ...unruly, dropPercent: 10, silentPercent: 5 })
  }
  await pause(3_000)
  await vipIssuer.setBehaviour({ flapMs: 400 })
  await httpIssuer.setBehaviour({ flapMs: 400, wrongAmountPercent: 5, partialPercent: 10 })
  await demoA.kill('SIGKILL')
  let back = demoA
  for (let i = 0; i < 3; i++) {
    const { port } = demoA
    const ledgerFile = path.join(folder, 'demo-a.ndjson')
    back = await startIssuer({ name: 'demo-a', port, ledgerFile, seed: i + 2 })
    await pause(1_500)
    if (i < 2) await back.kill('SIGKILL')
  }
  const well = { ...calm, silentPercent: 0, flapMs: 0, wrongAmountPercent: 0, partialPercent: 0 }
  for (const issuer of others) await issuer.setBehaviour(well)
  await pause(1_000)
  return back
}

function approvedAnswer(
  idempotencyKey: string,
  body: Readonly<Record<string, unknown>>,
  request: ReturnType<typeof purchase>,
): ApprovedAnswer {
  return {
    idempotencyKey,
    issuer: String(body.issuer),
    approvalCode: String(body.approvalCode),
    amount: Number(body.amount),
    terminalId: request.terminal.id,
    maskedPan: (body.card as { masked: string }).masked,
    standIn: body.standIn === true,
  }
}
