import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createNetTransport } from '../adapters/net-transport.ts'
import { createSystemRandom, systemClock, systemTimers } from '../adapters/system-clock.ts'
import { Pan } from '../card-data/index.ts'
import { createFraming, defaultFraming, type IsoMessage, loadDialect } from '../iso8583/index.ts'
import { answerOf, createSeededRandom } from '../simulation/index.ts'
import type { Attempt } from '../store/index.ts'
import { createIssuer } from './create-issuer.ts'
import { NO_STAN } from './trace-numbers.ts'

const dialectFile = new URL('../iso8583/dialects/iso8583-1987-ascii.yaml', import.meta.url)
const loaded = loadDialect(readFileSync(dialectFile, 'utf8'), 'iso8583-1987-ascii')
assert.ok(loaded.ok)
const { dialect } = loaded
const framing = createFraming(defaultFraming)
const pan = Pan.parse('4761739001010119') as Pan

/** A server that answers each request after `delayMs`, in whatever order that gives. */
async function listen(delayMs: () => number) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    const reply = (message: IsoMessage) => {
      const encoded = dialect.encode(message)
      assert.ok(encoded.ok)
      const frame = framing.encode(encoded.bytes)
      assert.ok(frame.ok)
      if (socket.writable) socket.write(frame.bytes)
    }
    const splitter = framing.createSplitter(
      (payload) => {
        const decoded = dialect.decode(payload)
        assert.ok(decoded.ok)
        const { message } = decoded
        if (message.mti === '0800') reply(answerOf(message, '00'))
        else {
          const answer = answerOf(message, '00', { 38: message.fields[11] })
          setTimeout(reply, delayMs(), answer)
        }
      },
      (problem) => assert.fail(problem.message),
    )
    socket.on('data', (bytes) => splitter.push(bytes))
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, sockets, port: (server.address() as AddressInfo).port }
}

async function until(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!isTrue()) {
    assert.ok(performance.now() < deadline, 'it never came')
    await sleep(1)
  }
}

test('over TCP: many in flight, answered out of order, then a lost connection and a new one', async () => {
  const random = createSeededRandom(11)
  const { server, sockets, port } = await listen(() => random.below(40))
  const issuer = createIssuer(
    {
      name: 'demo-a',
      host: '127.0.0.1',
      port,
      reconnect: { minMs: 10, maxMs: 50 },
    },
    {
      transport: createNetTransport(),
      clock: systemClock,
      timers: systemTimers,
      random: createSystemRandom(),
      dialect,
      lastStan: NO_STAN,
      onLateAnswer: () => assert.fail('nothing is late here'),
      onEvent: (event) => assert.notEqual(event.kind, 'unmatched_answer'),
    },
  )
  const attemptOf = (): Attempt => ({
    issuer: issuer.name,
    mti: '0100',
    processingCode: '000000',
    ...issuer.drawTraceNumbers(),
    acquiringInstitution: '100001',
    amount: random.below(100_000),
    currencyNumeric: '978',
    terminalId: 'T-0001',
    merchantId: 'M-1001',
    merchantNameLocation: 'Corner Shop',
    mcc: '5411',
    entryMode: '071',
    card: null,
  })
  const ask = async (attempt: Attempt) => ({
    attempt,
    result: await issuer.ask(attempt, { pan, expiry: '2912', cvv: undefined }, 8_000),
  })
  await until(() => issuer.isUp)
  const asked = await Promise.all(Array.from({ length: 500 }, () => ask(attemptOf())))
  for (const { attempt, result } of asked) {
    assert.ok(result.kind === 'answered')
    assert.equal(result.answer.approvalCode, attempt.stan)
    assert.equal(result.answer.amount, attempt.amount)
  }
  const lost = Array.from({ length: 20 }, () => ask(attemptOf()))
  await sleep(2)
  for (const socket of sockets) socket.resetAndDestroy()
  for (const { result } of await Promise.all(lost)) {
    // Nobody waits for the deadline, which would be `timeout`.
    if (result.kind === 'unknown') assert.equal(result.why, 'connection_lost')
    else assert.equal(result.kind, 'answered')
  }
  await until(() => issuer.isUp)
  assert.equal((await ask(attemptOf())).result.kind, 'answered')
  await issuer.close()
  await until(() => sockets.size === 0)
  server.close()
  await once(server, 'close')
})
