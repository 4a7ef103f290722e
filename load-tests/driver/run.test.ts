import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import test from 'node:test'
import { LoadRun, type RunOptions, type RunResult } from './run.ts'

/** An acquirer's view of a switch whose every move the test decides. */
class Acquirer {
  readonly keys: string[] = []
  readonly bodies: string[] = []
  readonly #server: Server

  private constructor(
    handle: (acquirer: Acquirer, response: ServerResponse, count: number) => void,
  ) {
    this.#server = createServer((request, response) => {
      void readBody(request).then((body) => {
        this.keys.push(String(request.headers['idempotency-key']))
        this.bodies.push(body)
        handle(this, response, this.keys.length)
      })
    })
  }

  static async open(
    handle: (acquirer: Acquirer, response: ServerResponse, count: number) => void,
  ): Promise<{ acquirer: Acquirer; port: number; close: () => void }> {
    const acquirer = new Acquirer(handle)
    const server = acquirer.#server
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const close = () => {
      server.close()
      server.closeAllConnections()
    }
    return { acquirer, port: address.port, close }
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += chunk
  return text
}

function reply(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

function approve(acquirer: Acquirer, response: ServerResponse): void {
  const { amount } = JSON.parse(acquirer.bodies.at(-1) ?? '{}')
  const approvalCode = String(acquirer.keys.length).padStart(6, '0')
  reply(response, 200, { outcome: 'approved', issuer: 'demo-a', approvalCode, amount })
}

function run(port: number, change: Partial<RunOptions> = {}): Promise<RunResult> {
  return new LoadRun({
    target: { host: '127.0.0.1', port },
    protocol: 'json',
    apiKey: 'demo-key',
    ratePerSecond: 200,
    warmupMs: 100,
    durationMs: 500,
    arrivals: 'fixed',
    connections: 8,
    mix: { seed: 1, cards: 100, secondIssuerPercent: 0, startedAtMs: 0, ratePerSecond: 200 },
    runId: 'run',
    retryPauseMs: 20,
    signal: new AbortController().signal,
    onWindow: () => undefined,
    onProgress: () => undefined,
    ...change,
  }).run()
}

test('sends what was scheduled, each with a key of its own, and keeps every approval', async () => {
  const { acquirer, port, close } = await Acquirer.open(approve)
  const edges: string[] = []
  const result = await run(port, { onWindow: (edge) => edges.push(edge) })
  close()
  assert.equal(result.sent, 100)
  assert.equal(result.unsent, 0)
  assert.equal(result.warmup.sent, 20)
  assert.deepEqual(result.outcomes, { approved: 100, declined: 0, challenged: 0 })
  assert.deepEqual(result.errors, {})
  assert.equal(new Set(acquirer.keys).size, 120)
  const answers = [...result.approvedAnswers()]
  assert.equal(answers.length, 120)
  for (const answer of answers) {
    const body = JSON.parse(acquirer.bodies[acquirer.keys.indexOf(answer.idempotencyKey)] ?? '')
    assert.equal(body.amount, answer.amount)
    assert.equal(body.terminal.id, answer.terminalId)
    assert.equal(body.card.pan.slice(-4), answer.maskedPan.slice(-4))
  }
  assert.deepEqual(edges, ['start', 'end'])
})

test('a stall is paid by every request that it delayed, not only by those in flight', async () => {
  let stallUntil = 0
  const { port, close } = await Acquirer.open((acquirer, response, count) => {
    if (count === 30) stallUntil = performance.now() + 400
    setTimeout(() => approve(acquirer, response), Math.max(0, stallUntil - performance.now()))
  })
  const result = await run(port, { connections: 2, warmupMs: 0, durationMs: 1_000 })
  close()
  assert.equal(result.sent, 200)
  // 400 ms of 1,000 stood still, so 40% of the requests waited 200 ms in the mean; a closed loop
  // with two connections would have seen two slow ones.
  const slow = result.latencyMicros.getValueAtPercentile(75)
  assert.ok(slow > 100_000, `p75 is ${slow} us`)
  assert.ok(result.latencyMicros.maxValue > 350_000)
})

test('what could not be sent in time is counted as unsent', async () => {
  // Neither connection is ever answered, so the third request finds none.
  const { acquirer, port, close } = await Acquirer.open(() => undefined)
  const controller = new AbortController()
  const running = run(port, { connections: 2, signal: controller.signal, warmupMs: 0 })
  setTimeout(close, 1_800)
  const result = await running
  assert.equal(result.sent + result.unsent, result.scheduled)
  assert.equal(result.scheduled, 100)
  assert.ok(result.unsent >= 90, `${result.unsent} unsent`)
  assert.ok((result.errors.connection_closed ?? 0) >= 2)
  assert.equal(result.retried.unanswered, 2)
  assert.ok(acquirer.keys.length <= 10)
})

test('an unanswered request is asked again with its key and the same body', async () => {
  let dropped = false
  const { acquirer, port, close } = await Acquirer.open((it, response, count) => {
    if (count === 50 && !dropped) {
      dropped = true
      response.destroy()
    } else {
      approve(it, response)
    }
  })
  const result = await run(port)
  close()
  assert.deepEqual(result.errors, { connection_closed: 1 })
  assert.equal(result.retried.approved, 1)
  const key = acquirer.keys[49]
  const again = acquirer.keys.lastIndexOf(key ?? '')
  assert.ok(again > 49)
  assert.equal(acquirer.bodies[again], acquirer.bodies[49])
  assert.equal([...result.approvedAnswers()].length, 120)
})

test('refusals are errors by status and code; 503 outcome_unknown is asked again', async () => {
  const { port, close } = await Acquirer.open((acquirer, response, count) => {
    if (count === 40) reply(response, 503, { code: 'overloaded' })
    else if (count === 41) reply(response, 503, { code: 'outcome_unknown' })
    else if (count === 42) reply(response, 200, { outcome: 'declined' })
    else if (count === 43) reply(response, 200, { outcome: 'challenged' })
    else approve(acquirer, response)
  })
  const result = await run(port)
  close()
  assert.deepEqual(result.errors, { http_503_overloaded: 1, http_503_outcome_unknown: 1 })
  assert.deepEqual(result.outcomes, { approved: 96, declined: 1, challenged: 1 })
  assert.equal(result.retried.approved, 1)
  assert.equal(result.refusedMicros.totalCount, 2)
})

test('a connection that the server closes after an answer is dialled again', async () => {
  const { port, close } = await Acquirer.open((acquirer, response) => {
    response.setHeader('connection', 'close')
    approve(acquirer, response)
  })
  const result = await run(port)
  close()
  assert.deepEqual(result.errors, {})
  assert.equal(result.outcomes.approved, 100)
})

test('interrupted, it says what it has', async () => {
  const { port, close } = await Acquirer.open(approve)
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 300)
  const result = await run(port, { durationMs: 60_000, signal: controller.signal })
  close()
  assert.equal(result.interrupted, true)
  assert.ok(result.windowMs >= 150 && result.windowMs < 1_000, `${result.windowMs}`)
  assert.equal(result.unsent, 0)
  assert.equal(result.sent, result.outcomes.approved)
})

test('a target that is not there: nothing is sent, all is unsent', async () => {
  const { port, close } = await Acquirer.open(approve)
  close()
  const result = await run(port, { warmupMs: 0, durationMs: 100 })
  assert.equal(result.sent, 0)
  assert.equal(result.unsent, 20)
  assert.ok((result.errors.connect_failed ?? 0) > 0)
})
