// Acquirers over ISO 8583 on TCP against real processes, in two dialects at once.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { promisify } from 'node:util'
import type { IsoMessage } from '#switch'
import { isLive } from '../issuer/index.ts'
import { scanFolder } from '../pan-scan.ts'
import { type IsoClient, openIsoClient, pause } from '../processes/index.ts'
import { mix32 } from '../random.ts'
import { ask, isoRequest, nextStan } from './acquirer.ts'
import { entriesOf, eventually, purchase, type System, startSystem } from './system.ts'

const peer = { acquirer: 'demo', addresses: ['127.0.0.1'] }
const base = { host: '127.0.0.1', port: 0 }
const binaryFraming = {
  encoding: 'ascii',
  bytes: 4,
  countsItself: true,
} as const
const listeners = [
  { ...base, name: 'ascii', dialect: 'iso8583-1987-ascii', peers: [{ ...peer, name: 'one' }] },
  {
    ...base,
    name: 'binary',
    dialect: 'iso8583-1987-binary',
    framing: binaryFraming,
    stepUpCode: '1A',
    peers: [{ ...peer, name: 'two', institutions: ['100001', '200002'] }],
  },
  {
    ...base,
    name: 'elsewhere',
    dialect: 'iso8583-1987-ascii',
    peers: [{ acquirer: 'demo', name: 'three', addresses: ['192.0.2.1'] }],
  },
]

let system: System
before(async () => {
  system = await startSystem({ config: { iso: { listeners } } })
})
after(() => system?.stop())

type Wire = 'ascii' | 'binary'

function open(wire: Wire): Promise<IsoClient> {
  const port = system.running.isoPorts[wire] ?? 0
  return wire === 'ascii'
    ? openIsoClient({ port })
    : openIsoClient({ port, dialect: 'iso8583-1987-binary', framing: binaryFraming })
}

for (const wire of ['ascii', 'binary'] as const) {
  test(`${wire}: sign-on and echo, then a purchase with its own numbers back`, async () => {
    const client = await open(wire)
    for (const code of ['001', '301']) {
      const sign: IsoMessage = { mti: '0800', fields: [] }
      sign.fields[7] = '1122100000'
      sign.fields[11] = nextStan()
      sign.fields[70] = code
      const answer = await ask(client, sign)
      assert.deepEqual([answer.mti, answer.fields[39], answer.fields[70]], ['0810', '00', code])
    }
    const amount = wire === 'ascii' ? 3101 : 3102
    const message = isoRequest(amount, amount)
    const answer = await ask(client, message)
    assert.equal(answer.mti, '0110')
    assert.equal(answer.fields[39], '00')
    for (const field of [2, 3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49]) {
      assert.equal(answer.fields[field], message.fields[field], `DE${field}`)
    }
    const [entry, ...more] = await entriesOf(system.demoA, amount)
    assert.deepEqual(more, [])
    assert.ok(entry !== undefined && isLive(entry))
    assert.equal(answer.fields[38], entry.approvalCode)
    assert.notEqual(entry.stan, message.fields[11], 'the issuer gets our own numbers')
    client.destroy()
  })
}

test('the examples of docs/connect.md are answered', async () => {
  const page = readFileSync(new URL('../../switch/docs/connect.md', import.meta.url), 'utf8')
  const examples = [...page.matchAll(/```sh\n(node --input-type=module[\s\S]*?)```/g)]
  const printed: string[] = []
  for (const [, example = ''] of examples) {
    const script = example.replace('8583', String(system.running.isoPorts.ascii))
    printed.push((await promisify(execFile)('bash', ['-ec', script])).stdout)
  }
  assert.equal(printed.length, 2)
  assert.match(printed[0] ?? '', /0810[\s\S]*0110.*4761739001010119/)
  // DE39 behind DE32: the authorization was approved, its reversal accepted.
  assert.match(printed[1] ?? '', /0110.*4761730000000011[\s\S]*0430.*4761730000000011/)
  await eventually(async () => {
    const entries = await entriesOf(system.demoA, 2599)
    assert.deepEqual(entries.map(isLive).sort(), [false, true])
  })
})

test('0200, a withdrawal, an inquiry, an issuer’s decline, no route', async () => {
  const client = await open('ascii')
  const cases = [
    [isoRequest(3201, 3201, {}, '0200'), '0210', '00'],
    [isoRequest(3202, 3202, { 3: '010000', 18: '6011' }, '0200'), '0210', '00'],
    [isoRequest(3203, 0, { 3: '310000', 4: undefined }), '0110', '00'],
    [isoRequest(3204, 3251, { 2: purchase(3204, 1, '541333').card.pan }), '0110', '51'],
    [isoRequest(3205, 3205, { 2: '4111111111111111' }), '0110', '92'],
    [isoRequest(3206, 3206, { 32: '200002' }), '0110', '03'],
    [isoRequest(3207, 3207, {}, '0400'), '0410', '25'],
  ] as const
  for (const [message, mti, code] of cases) {
    const answer = await ask(client, message)
    assert.deepEqual([answer.mti, answer.fields[39]], [mti, code])
  }
  assert.equal((await entriesOf(system.demoA, 3206)).length, 0)
  const binary = await open('binary')
  const second = await ask(binary, isoRequest(3208, 3208, { 32: '200002' }))
  assert.equal(second.fields[39], '00')
  client.destroy()
  binary.destroy()
})

test('a repeat gets the first answer, from any connection; another amount gets 94', async () => {
  const first = await open('ascii')
  const message = isoRequest(3301, 3301)
  const answer = await ask(first, message)
  first.destroy()
  const second = await open('ascii')
  const repeated = await ask(second, { ...message, mti: '0101' })
  assert.deepEqual(repeated, answer)
  // Not one of DE2, 3, 4, 49: still the same request.
  const later = await ask(second, { mti: '0101', fields: [...message.fields].fill('1122', 13, 14) })
  assert.equal(later.fields[38], answer.fields[38])
  const fields = [...message.fields]
  fields[4] = '000000003302'
  const other = await ask(second, { mti: '0101', fields })
  assert.equal(other.fields[39], '94')
  assert.equal((await entriesOf(system.demoA, 3301)).length, 1)
  assert.equal((await entriesOf(system.demoA, 3302)).length, 0)
  second.destroy()
})

test('200 in flight on one connection: each answer is its own', async () => {
  const client = await open('binary')
  const sent = Array.from({ length: 200 }, (_, i) => isoRequest(40_000 + i, 40_000 + i))
  for (const message of sent) client.send(message)
  await eventually(async () => assert.equal(client.received.length, sent.length))
  const byStan = new Map(sent.map((message) => [message.fields[11], message]))
  for (const answer of client.received) {
    const asked = byStan.get(answer.fields[11])
    assert.equal(answer.fields[4], asked?.fields[4])
    assert.equal(answer.fields[37], asked?.fields[37])
    assert.equal(answer.fields[39], '00')
  }
  client.destroy()
})

test('an unknown peer is closed; so is one that sends what can’t be split', async () => {
  const unknown = connect(system.running.isoPorts.elsewhere ?? 0, '127.0.0.1')
  await new Promise((resolve) => unknown.once('close', resolve).on('error', () => {}))
  const client = await open('ascii')
  client.sendBytes(Buffer.from([0xff, 0xff, 0, 0]))
  await client.closed
})

test('2,000 broken frames over many connections: no crash, no hang, bounded memory', async () => {
  const rss = () =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${system.running.pid}/status`, 'utf8'))?.[1])
  const before = rss()
  let drawn = 0
  const draw = (max: number) => {
    return mix32(7, ++drawn) % max
  }
  let sent = 0
  for (let i = 0; i < 100; i++) {
    const client = await open(i % 2 === 0 ? 'ascii' : 'binary')
    for (let j = 0; j < 20; j++) {
      // The BIN has no route, so whatever is still readable asks no issuer.
      const frame = Buffer.from(client.frameOf(isoRequest(5, 1, { 2: '4111111111111111' })))
      const changes = 1 + draw(4)
      for (let k = 0; k < changes; k++) frame[draw(frame.length)] = draw(256)
      client.sendBytes(frame.subarray(0, frame.length - (draw(8) === 0 ? draw(20) : 0)))
      sent++
    }
    if (draw(2) === 0) client.destroy()
  }
  assert.equal(sent, 2_000)
  await pause(300)
  const client = await open('ascii')
  const answer = await ask(client, isoRequest(3401, 3401))
  assert.equal(answer.fields[39], '00')
  client.destroy()
  const grown = rss() - before
  assert.ok(grown < 200_000, `grew by ${grown} kB`)
})

test('SIGTERM: what is in flight is answered before the connection ends', async () => {
  await system.demoA.setBehaviour({ delayMs: 800 })
  const client = await open('ascii')
  client.send(isoRequest(3501, 3501))
  await eventually(async () => assert.equal((await entriesOf(system.demoA, 3501)).length, 1))
  system.running.signal('SIGTERM')
  await client.closed
  assert.equal(client.received[0]?.fields[39], '00')
  assert.equal(await system.running.exited, 0)
})

test('no card number is in any log or store', async () => {
  const { findings, files } = await scanFolder(system.running.dataDir)
  assert.ok(files > 0, 'not yet')
  assert.deepEqual(findings, [])
  const log = readFileSync(path.join(system.folder, 'switch.log'), 'utf8')
  assert.ok(!/476173\d{10}|541333\d{10}|4111111111111111/.test(log), 'not yet')
})
