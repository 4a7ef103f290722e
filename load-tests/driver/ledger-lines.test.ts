import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { startIssuer } from '../processes/index.ts'
import { openIsoClient } from '../processes/iso-client.ts'
import { balanceBooks } from './books.ts'
import { readLedgerLines } from './ledger-lines.ts'

test('the lines of a real issuer say what its control port says', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-ledger-'))
  const ledgerFile = path.join(folder, 'demo-a.ndjson')
  const issuer = await startIssuer({ name: 'demo-a', ledgerFile, behaviour: { answers: 'cents' } })
  let answered = () => {}
  const client = await openIsoClient({ port: issuer.port, onMessage: () => answered() })
  const ask = (mti: string, fields: Record<number, string>) =>
    new Promise<void>((resolve) => {
      answered = resolve
      const all: (string | undefined)[] = []
      for (const [field, value] of Object.entries(fields)) all[Number(field)] = value
      client.send({ mti, fields: all })
    })
  const purchase = (stan: string, amount: string) => ({
    ...{ 2: '4761739001010119', 3: '000000', 4: amount, 7: '1122100000', 11: stan, 14: '2912' },
    ...{ 18: '5411', 22: '071', 25: '00', 32: '100001', 37: `632610${stan}`, 41: 'T-0001  ' },
    ...{ 42: 'M-1001         ', 43: 'Corner Shop              Berlin       DE', 49: '978' },
  })
  await ask('0100', purchase('000001', '000000002500'))
  await ask('0100', purchase('000002', '000000002551'))
  await ask('0100', purchase('000003', '000000002600'))
  const original = '010000000311221000000000010000100000000000'
  await ask('0420', { ...purchase('000004', '000000002600'), 90: original })
  client.destroy()
  const known = (await issuer.ledger()).filter((entry) => entry.approvalCode !== null)
  await issuer.stop()
  const read = await readLedgerLines(ledgerFile, 0)
  assert.equal(read.length, 2)
  for (const [i, entry] of read.entries()) {
    const { approvalCode, approvedAmount, maskedPan, terminalId, reversals } = known[i] ?? {}
    assert.deepEqual(entry, { approvalCode, approvedAmount, maskedPan, terminalId, reversals })
  }
  assert.equal(read[1]?.reversals.length, 1, 'the reversal took effect')
  assert.equal((await readLedgerLines(ledgerFile, 1)).length, 1)
  const books = balanceBooks([], [{ issuer: 'demo-a', entries: read }])
  assert.deepEqual(books.counts, { approval_unknown_to_acquirer: 1 })
  await rm(folder, { recursive: true })
})
