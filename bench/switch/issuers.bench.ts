// An issuer link without a socket: drawing numbers, and asking with the answer handed back at once.
// The answer is a frame made beforehand with the request's numbers written into it, so that only
// the link's own work is measured: build, encode, frame, write, split, decode, match, settle.

import { Buffer } from 'node:buffer'
import { type Connection, type ConnectionEvents, Pan } from '#switch'
import { readDialect } from '../../switch/adapters/dialect-files.ts'
import { createFraming, defaultFraming } from '../../switch/iso8583/index.ts'
import { createIssuer, TraceBook } from '../../switch/issuers/index.ts'
import { answerOf, createSeededRandom, SAMPLE_ATTEMPT } from '../../switch/simulation/index.ts'
import type { Attempt } from '../../switch/store/index.ts'
import { measure } from '../measure.ts'

const loaded = readDialect('iso8583-1987-ascii')
if (!loaded.ok) throw new Error('the dialect does not load')
const { dialect } = loaded
const framing = createFraming(defaultFraming)

/** Each reading is 0.1 ms later: 10,000/s as the trace book sees it, however fast the loop is. */
let nowMs = Date.UTC(2026, 10, 22, 10)
const clock = {
  now: () => nowMs,
  monotonic: () => {
    nowMs += 0.1
    return nowMs
  },
}
const timers = { set: () => 0, clear: () => {} }

function frameOf(mti: string, values: Readonly<Record<number, string>>): Buffer {
  const fields: (string | undefined)[] = []
  for (const [field, value] of Object.entries(values)) fields[Number(field)] = value
  const encoded = dialect.encode(answerOf({ mti, fields }, '00'))
  const frame = encoded.ok ? framing.encode(encoded.bytes) : encoded
  if (!frame.ok) throw new Error(frame.problem.message)
  return Buffer.from(frame.bytes)
}

let events: ConnectionEvents | undefined
const connection: Connection = {
  bufferedBytes: 0,
  write: () => true,
  destroy: () => {},
}
const issuer = createIssuer(
  { name: 'demo-a', host: 'none', port: 1 },
  {
    transport: {
      connect: (_, heard) => {
        events = heard
        return connection
      },
    },
    clock,
    timers,
    random: createSeededRandom(1),
    dialect,
    lastStan: '000000',
    onLateAnswer: () => {},
    onEvent: () => {},
  },
)
const pan = Pan.parse('4761739001010119')
if (events === undefined || pan === undefined) throw new Error('nothing was dialled')
const link: ConnectionEvents = events
const card = { pan, expiry: '2912', cvv: undefined }

const sample = { ...SAMPLE_ATTEMPT, issuer: 'demo-a' }

/** The link signs on with the first number that it draws. */
link.onOpen()
const signOn = issuer.drawTraceNumbers()
const signOnStan = String(Number(signOn.stan) - 1).padStart(6, '0')
link.onBytes(frameOf('0800', { 7: signOn.transmittedAt, 11: signOnStan, 70: '001' }))
if (!issuer.isUp) throw new Error('the link did not sign on')

const answer = frameOf('0100', {
  3: '000000',
  4: '000000002599',
  7: '1111111111',
  11: '222222',
  32: '100001',
  37: '333333333333',
  41: 'T-0001  ',
  42: 'M-1001         ',
  49: '978',
})
const atOffset = answer.indexOf('1111111111')
const stanOffset = answer.indexOf('222222')
const rrnOffset = answer.indexOf('333333333333')

function askOnce(): unknown {
  const trace = issuer.drawTraceNumbers()
  const attempt: Attempt = { ...sample, ...trace }
  const asked = issuer.ask(attempt, card, 8_000)
  answer.write(trace.transmittedAt, atOffset, 'latin1')
  answer.write(trace.stan, stanOffset, 'latin1')
  answer.write(trace.rrn, rrnOffset, 'latin1')
  link.onBytes(answer)
  return asked
}
askOnce()
if (issuer.state.counters.answered !== 1) throw new Error('the answer did not match')

const book = new TraceBook(clock, '000000', 0)
await measure([
  { name: 'issuer draw trace numbers', run: () => book.draw('reversal').stan },
  { name: 'issuer ask and match its answer', run: askOnce },
])
const { answered, sent } = issuer.state.counters
if (answered !== sent) throw new Error(`${sent} were sent and ${answered} answered`)
