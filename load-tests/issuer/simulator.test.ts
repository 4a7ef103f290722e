import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { createFraming, type Dialect, defaultFraming, type IsoMessage, loadDialect } from '#switch'
import { startIssuer } from '../processes/index.ts'
import { type Behaviour, changeBehaviour, wellBehaved } from './behaviour.ts'
import { Ledger, type LedgerEntry } from './ledger.ts'
import { Simulator } from './simulator.ts'

const framing = createFraming(defaultFraming)
const pan = '4761739001010119'
let dialect: Dialect
let folder: string

before(async () => {
  const file = new URL('../../switch/iso8583/dialects/iso8583-1987-ascii.yaml', import.meta.url)
  const loaded = loadDialect(await readFile(file, 'utf8'), 'iso8583-1987-ascii')
  assert.ok(loaded.ok)
  dialect = loaded.dialect
  folder = await mkdtemp(path.join(tmpdir(), 'switchyard-issuer-'))
})

after(() => rm(folder, { recursive: true, force: true }))

/** A simulator in this process; `entries` are its ledger's. */
async function open(change: Partial<Behaviour>) {
  const ledger = new Ledger({
    append: () => undefined,
    tokenKey: new Uint8Array(32),
    approvalCodeStart: 1,
  })
  const simulator = new Simulator({
    ledger,
    flushLedger: () => undefined,
    dialect,
    behaviour: wellBehaved,
    seed: 1,
  })
  const behave = (next: Partial<Behaviour>) => {
    const result = changeBehaviour(simulator.behaviour, next)
    assert.ok(result.ok)
    simulator.behaviour = result.behaviour
  }
  behave(change)
  const port = await simulator.listen(0)
  const entries = (): LedgerEntry[] => [...ledger.entries()]
  /** Until so many messages have come in all. */
  const took = async (messages: number) => {
    while (simulator.counts().messages < messages) await new Promise(setImmediate)
  }
  return { simulator, port, behave, entries, took }
}

/** A connection to an issuer that keeps what comes. */
class Line {
  readonly answers: IsoMessage[] = []
  readonly #socket: Socket
  #isClosed = false
  #changed: () => void = () => undefined

  constructor(port: number) {
    this.#socket = connect({ host: '127.0.0.1', port })
    const splitter = framing.createSplitter(
      (payload) => {
        const decoded = dialect.decode(payload)
        assert.ok(decoded.ok)
        this.answers.push(decoded.message)
        this.#changed()
      },
      (problem) => assert.fail(problem.message),
    )
    this.#socket.on('data', (chunk) => splitter.push(chunk as Buffer))
    this.#socket.on('error', () => undefined)
    this.#socket.on('close', () => {
      this.#isClosed = true
      this.#changed()
    })
  }

  send(...messages: IsoMessage[]): void {
    this.#socket.write(Buffer.concat(messages.map(frame)))
  }

  sendBytes(bytes: Uint8Array): void {
    this.#socket.write(bytes)
  }

  /** The next answer, or `closed`. */
  async next(): Promise<IsoMessage | 'closed'> {
    while (this.answers.length === 0 && !this.#isClosed) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve
      })
    }
    return this.answers.shift() ?? 'closed'
  }

  async ask(message: IsoMessage): Promise<IsoMessage> {
    this.send(message)
    const answer = await this.next()
    assert.ok(answer !== 'closed')
    return answer
  }

  close(): void {
    this.#socket.destroy()
  }
}

function frame(message: IsoMessage): Uint8Array {
  const encoded = dialect.encode(message)
  assert.ok(encoded.ok)
  const framed = framing.encode(encoded.bytes)
  assert.ok(framed.ok)
  return framed.bytes
}

function isoMessage(mti: string, fields: Readonly<Record<number, string>>): IsoMessage {
  const message: IsoMessage = { mti, fields: [] }
  for (const [field, value] of Object.entries(fields)) message.fields[Number(field)] = value
  return message
}

function purchase(stan: string, amount = 2599, mti = '0100'): IsoMessage {
  return isoMessage(mti, {
    2: pan,
    3: '000000',
    4: String(amount).padStart(12, '0'),
    7: '1122100000',
    11: stan,
    14: '2912',
    18: '5411',
    22: '071',
    32: '100001',
    37: '632610000001',
    41: 'T-0001  ',
    42: 'M-1001         ',
    49: '978',
  })
}

function reversal(original: string, stan: string, mti = '0420'): IsoMessage {
  const message = purchase(stan, 2599, mti)
  message.fields[90] = `0100${original}1122100000${'100001'.padStart(11, '0')}${'0'.repeat(11)}`
  return message
}

test('approves, echoes what an answer is matched by, and keeps the books', async () => {
  const issuer = await startIssuer({ name: 'demo-a' })
  const line = new Line(issuer.port)
  const answer = await line.ask(purchase('000001'))
  assert.equal(answer.mti, '0110')
  assert.equal(answer.fields[39], '00')
  assert.match(String(answer.fields[38]), /^[0-9A-Z]{6}$/)
  for (const field of [2, 3, 4, 7, 11, 32, 37, 41, 42, 49]) {
    assert.equal(answer.fields[field], purchase('000001').fields[field], `DE${field}`)
  }
  const [entry] = await issuer.ledger()
  assert.equal(entry?.approvalCode, answer.fields[38])
  assert.equal(entry?.terminalId, 'T-0001')
  assert.equal(entry?.maskedPan, '476173******0119')
  const status = await issuer.status()
  assert.deepEqual([status.messages, status.approvals, status.liveApprovals], [1, 1, 1])
  await issuer.setBehaviour({ answers: 'decline' })
  assert.equal((await line.ask(purchase('000002'))).fields[39], '05')
  await assert.rejects(issuer.setBehaviour({ unheardOf: 1 } as object), /unheardOf/)
  line.close()
  assert.equal(await issuer.stop(), 0)
  assert.match(issuer.logs, /"stopped":true.*"cpuMicrosPerMessage":/)
})

test('signs on, echoes, and answers many messages in one chunk, cut anywhere', async () => {
  const issuer = await open({})
  const line = new Line(issuer.port)
  for (const [code, stan] of [
    ['001', '000001'],
    ['301', '000002'],
  ] as const) {
    const answer = await line.ask(isoMessage('0800', { 7: '1122100000', 11: stan, 70: code }))
    assert.deepEqual(
      [answer.mti, answer.fields[39], answer.fields[70], answer.fields[11]],
      ['0810', '00', code, stan],
    )
  }
  const bytes = Buffer.concat([frame(purchase('000003')), frame(purchase('000004'))])
  for (const byte of bytes) line.sendBytes(Buffer.from([byte]))
  for (const stan of ['000003', '000004']) {
    const answer = await line.next()
    assert.ok(answer !== 'closed')
    assert.equal(answer.fields[11], stan)
  }
  line.close()
  issuer.simulator.close()
})

test('reverses by DE90: known 00, unknown 25, and unreadable 30', async () => {
  const issuer = await open({})
  const line = new Line(issuer.port)
  await line.ask(purchase('000001'))
  const done = await line.ask(reversal('000001', '900001'))
  assert.deepEqual([done.mti, done.fields[39], done.fields[11]], ['0430', '00', '900001'])
  assert.equal((await line.ask(reversal('000001', '900001', '0421'))).fields[39], '00')
  assert.equal((await line.ask(reversal('000002', '900002'))).fields[39], '25')
  assert.equal((await line.ask(purchase('000002'))).fields[39], '94')
  assert.equal((await line.ask(reversal('000002', '900002', '0421'))).fields[39], '00')
  const without = reversal('000001', '900003')
  without.fields[90] = undefined
  assert.equal((await line.ask(without)).fields[39], '30')
  line.close()
  issuer.simulator.close()
})

test('cents: the answer is in the amount, 68 stays silent and is approved all the same', async () => {
  const issuer = await open({ answers: 'cents' })
  const line = new Line(issuer.port)
  assert.equal((await line.ask(purchase('000001', 2551))).fields[39], '51')
  line.send(purchase('000002', 2568), purchase('000003', 2510))
  const partial = await line.next()
  assert.ok(partial !== 'closed')
  assert.deepEqual(
    [partial.fields[11], partial.fields[39], partial.fields[4]],
    ['000003', '10', '000000001255'],
  )
  const silent = issuer.entries().find(({ stan }) => stan === '000002')
  assert.equal(silent?.responseCode, '00')
  line.close()
  issuer.simulator.close()
})

test('faults: duplicates, delays that overtake, lost, cut', async () => {
  const issuer = await open({ duplicatePercent: 100 })
  const line = new Line(issuer.port)
  await line.ask(purchase('000001'))
  const second = await line.next()
  assert.ok(second !== 'closed' && second.fields[11] === '000001')

  issuer.behave({ duplicatePercent: 0, delayMs: 150 })
  const sentAt = performance.now()
  await line.ask(purchase('000002'))
  assert.ok(performance.now() - sentAt >= 145)

  issuer.behave({ delayMs: 0, losePercent: 100 })
  line.send(purchase('000003'))
  await issuer.took(3)
  issuer.behave({ losePercent: 0, silentPercent: 100 })
  line.send(purchase('000004'))
  await issuer.took(4)
  assert.deepEqual(
    issuer.entries().map(({ stan }) => stan),
    ['000001', '000002', '000004'],
  )

  issuer.behave({ silentPercent: 0, dropPercent: 100 })
  line.send(purchase('000005'))
  assert.equal(await line.next(), 'closed')
  assert.ok(issuer.entries().some(({ stan }) => stan === '000005'))
  issuer.simulator.close()
})

test('a frame that is too long closes the connection, an unreadable message does not', async () => {
  const issuer = await open({})
  const line = new Line(issuer.port)
  line.sendBytes(Buffer.from([0, 3, 0x31, 0x32, 0x33]))
  assert.equal((await line.ask(purchase('000001'))).fields[39], '00')
  line.sendBytes(Buffer.from([0xff, 0xff, 0]))
  assert.equal(await line.next(), 'closed')
  assert.equal(issuer.simulator.counts().unreadable, 2)
  issuer.simulator.close()
})

test('killed and started again on its file, it knows what it approved', async () => {
  const ledgerFile = path.join(folder, 'demo-a.ndjson')
  const first = await startIssuer({ name: 'demo-a', ledgerFile })
  let line = new Line(first.port)
  const answer = await line.ask(purchase('000001'))
  assert.equal(await first.kill('SIGKILL'), 137)
  const second = await startIssuer({ name: 'demo-a', ledgerFile, port: first.port })
  line = new Line(second.port)
  const again = await line.ask(purchase('000001'))
  assert.equal(again.fields[38], answer.fields[38])
  assert.equal((await line.ask(reversal('000001', '900001'))).fields[39], '00')
  assert.ok(!(await readFile(ledgerFile, 'utf8')).includes(pan))
  line.close()
  await second.stop()
})

test('a wrong option is named', async () => {
  await assert.rejects(
    startIssuer({ name: 'demo-a', behaviour: { silentPercent: 200 } }),
    /silentPercent is a number from 0 to 100/,
  )
})
