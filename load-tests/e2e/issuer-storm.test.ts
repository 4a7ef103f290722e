// Issuers that are paused, killed and flapping while traffic runs: no crossed answer, every unknown
// ended in one reversal, and books that balance.

import assert from 'node:assert/strict'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { type ApprovedAnswer, balanceBooks } from '../driver/books.ts'
import { pause, type RunningIssuer, startIssuer } from '../processes/index.ts'
import { eventually, purchase, type System, startSystem } from './system.ts'

const issuerTimeoutMs = 700
const bins = ['476173', '541333'] as const
let system: System
before(async () => {
  system = await startSystem({ issuerTimeoutMs })
  const { demoA, demoB } = system
  await system.running.stop()
  // Two connections a link, and a route that goes on: all that this is about at once.
  const link = { host: '127.0.0.1', dialect: 'iso8583-1987-ascii', timeoutMs: issuerTimeoutMs }
  await demoB.setBehaviour({ answers: 'approve' })
  await system.restart({
    issuers: [
      { ...link, name: 'demo-a', port: demoA.port, connections: 2 },
      { ...link, name: 'demo-b', port: demoB.port, connections: 2 },
    ],
    routes: [
      { bins: [bins[0]], issuer: 'demo-a', failOver: ['demo-b'] },
      { bins: [bins[1]], issuer: 'demo-b' },
    ],
  })
})
after(() => system?.stop())

test('killed, paused and flapping under load: every unknown ends in one reversal', async () => {
  const approved: ApprovedAnswer[] = []
  const outcomes = new Map<string, number>()
  let number = 0
  let isOver = false
  const buy = async (): Promise<void> => {
    while (!isOver) {
      const own = number++
      const amount = 10_000 + own
      const request = purchase(own, amount, bins[own % 2])
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
    const books = balanceBooks(approved, [
      { issuer: 'demo-a', entries: await back.ledger() },
      { issuer: 'demo-b', entries: await system.demoB.ledger() },
    ])
    assert.deepEqual(books.discrepancies, [])
    assert.ok(books.approvals > 50 && books.reversedApprovals > 0, JSON.stringify([...outcomes]))
  }, 60_000)
  await back.stop()
})

/** Ends with issuers that behave. Resolves with demo-a as it is then. */
async function storm({ demoA, demoB, folder }: System): Promise<RunningIssuer> {
  await pause(1_000)
  demoB.pause()
  await pause(2_000)
  demoB.resume()
  await demoA.setBehaviour({
    dropPercent: 20,
    latePercent: 10,
    lateMs: 1_000,
    duplicatePercent: 20,
  })
  await pause(3_000)
  await demoA.kill('SIGKILL')
  let back = demoA
  for (let i = 0; i < 3; i++) {
    const { port } = demoA
    const ledgerFile = path.join(folder, 'demo-a.ndjson')
    back = await startIssuer({ name: 'demo-a', port, ledgerFile, seed: i + 2 })
    await pause(1_500)
    if (i < 2) await back.kill('SIGKILL')
  }
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
