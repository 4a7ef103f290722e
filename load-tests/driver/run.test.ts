import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import test from 'node:test'
import { type MixOptions, mixedRequest } from './mix.ts'
import { LoadRun, type PhaseResult, type RunOptions, type RunResult } from './run.ts'
import type { Phase } from './scenario.ts'

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

const mix: MixOptions = {
  ...{ seed: 1, cards: 100, secondIssuerPercent: 0, startedAtMs: 0, ratePerSecond: 200 },
}
const warmup: Phase = { name: 'warm-up', seconds: 0.1, ratePerSecond: 200, measured: false }
const measured: Phase = { name: 'measured', seconds: 0.5, ratePerSecond: 200 }

function run(port: number, change: Partial<RunOptions> = {}): Promise<RunResult> {
  return new LoadRun({
    target: { host: '127.0.0.1', port },
    protocol: 'json',
    apiKey: 'demo-key',
    phases: [warmup, measured],
    arrivals: 'fixed',
    connections: 8,
    seed: 1,
    requests: (index) => mixedRequest(mix, index),
    runId: 'run',
    retryPauseMs: 20,
    signal: new AbortController().signal,
    onPhase: () => undefined,
    onSecond: () => undefined,
    onProgress: () => undefined,
    ...change,
  }).run()
}

/** The last phase: the measured one. */
function tallyOf(result: RunResult): PhaseResult['tally'] {
  const last = result.phases.at(-1)
  assert.ok(last !== undefined)
  return last.tally
}

test('sends what was scheduled, each with a key of its own, and keeps every approval', async () => {
  const { acquirer, port, close } = await Acquirer.open(approve)
  const edges: number[] = []
  const result = await run(port, { onPhase: (phase) => edges.push(phase) })
  close()
  const tally = tallyOf(result)
  assert.equal(tally.sent, 100)
  assert.equal(tally.unsent, 0)
  assert.equal(result.phases[0]?.tally.sent, 20)
  assert.deepEqual(tally.outcomes, { approved: 100, declined: 0, challenged: 0 })
  assert.deepEqual(tally.errors, {})
  assert.equal(new Set(acquirer.keys).size, 120)
  const answers = [...result.approvedAnswers()]
  assert.equal(answers.length, 120)
  for (const answer of answers) {
    const body = JSON.parse(acquirer.bodies[acquirer.keys.indexOf(answer.idempotencyKey)] ?? '')
    assert.equal(body.amount, answer.amount)
    assert.equal(body.terminal.id, answer.terminalId)
    assert.equal(body.card.pan.slice(-4), answer.maskedPan.slice(-4))
  }
  assert.deepEqual(edges, [0, 1, 2])
})

test('a stall is paid by every request that it delayed, not only by those in flight', async () => {
  let stallUntil = 0
  const { port, close } = await Acquirer.open((acquirer, response, count) => {
    if (count === 30) stallUntil = performance.now() + 400
    setTimeout(() => approve(acquirer, response), Math.max(0, stallUntil - performance.now()))
  })
  const result = await run(port, { connections: 2, phases: [{ ...measured, seconds: 1 }] })
  close()
  const tally = tallyOf(result)
  assert.equal(tally.sent, 200)
  // 400 ms of 1,000 stood still, so 40% of the requests waited 200 ms in the mean; a closed loop
  // with two connections would have seen two slow ones.
  const slow = tally.latencyMicros.getValueAtPercentile(75)
  assert.ok(slow > 100_000, `p75 is ${slow} us`)
  assert.ok(tally.latencyMicros.maxValue > 350_000)
})

test('what could not be sent in time is counted as unsent', async () => {
  // Neither connection is ever answered, so the third request finds none.
  const { acquirer, port, close } = await Acquirer.open(() => undefined)
  const controller = new AbortController()
  const running = run(port, { connections: 2, signal: controller.signal, phases: [measured] })
  setTimeout(close, 1_800)
  const result = await running
  const { scheduled, unsent, errors } = tallyOf(result)
  assert.equal(scheduled, 100)
  assert.ok(unsent >= 90, `${unsent} unsent`)
  assert.ok((errors.connection_closed ?? 0) >= 2)
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
  assert.deepEqual(tallyOf(result).errors, { connection_closed: 1 })
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
  assert.deepEqual(tallyOf(result).errors, { http_503_overloaded: 1, http_503_outcome_unknown: 1 })
  assert.deepEqual(tallyOf(result).outcomes, { approved: 96, declined: 1, challenged: 1 })
  assert.equal(result.retried.approved, 1)
  assert.equal(tallyOf(result).refusedMicros.totalCount, 2)
})

test('a connection that the server closes after an answer is dialled again', async () => {
  const { port, close } = await Acquirer.open((acquirer, response) => {
    response.setHeader('connection', 'close')
    approve(acquirer, response)
  })
  const result = await run(port)
  close()
  assert.deepEqual(tallyOf(result).errors, {})
  assert.equal(tallyOf(result).outcomes.approved, 100)
})

test('interrupted, it says what it has', async () => {
  const { port, close } = await Acquirer.open(approve)
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 300)
  const phases = [warmup, { ...measured, seconds: 60 }]
  const result = await run(port, { phases, signal: controller.signal })
  close()
  const tally = tallyOf(result)
  assert.equal(result.interrupted, true)
  const { windowMs = 0 } = result.phases.at(-1) ?? {}
  assert.ok(windowMs >= 150 && windowMs < 30_000, `${windowMs}`)
  assert.equal(tally.unsent, 0)
  assert.equal(tally.sent, tally.outcomes.approved)
})

test('a target that is not there: nothing is sent, all is unsent', async () => {
  const { port, close } = await Acquirer.open(approve)
  close()
  const tally = tallyOf(await run(port, { phases: [{ ...measured, seconds: 0.1 }] }))
  assert.equal(tally.sent, 0)
  assert.equal(tally.unsent, 20)
  assert.ok((tally.errors.connect_failed ?? 0) > 0)
})

test('a closed loop keeps so many under way, and what follows is offered at its peak', async () => {
  let underWay = 0
  let most = 0
  const { port, close } = await Acquirer.open((acquirer, response) => {
    underWay++
    most = Math.max(most, underWay)
    setTimeout(() => {
      underWay--
      approve(acquirer, response)
    }, 20)
  })
  const phases: Phase[] = [
    { name: 'peak', seconds: 0.6, inFlight: 3, measured: false },
    { name: 'half', seconds: 0.6, timesPeak: 0.5 },
  ]
  let mostAtPeak = 0
  const onPhase = (phase: number) => {
    if (phase === 1) mostAtPeak = most
  }
  const result = await run(port, { phases, onPhase })
  close()
  const [peak, half] = result.phases
  assert.ok(peak !== undefined && half !== undefined)
  assert.equal(mostAtPeak, 3)
  assert.ok(peak.answered > 10)
  assert.ok(Math.abs(half.tally.scheduled / peak.answered - 0.5) < 0.1)
})
