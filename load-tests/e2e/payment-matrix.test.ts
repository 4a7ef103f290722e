// docs/payment.md as a table of cases: each message of a payment's life, over HTTP and over ISO
// 8583 of 1987, 1993 and 2003, to issuers that speak three dialects and HTTP. Of each case: what
// the acquirer is answered, first and again; what GET shows; what the issuer has on its books; and
// that what the page refuses in the state it ends in is refused by its own code and reaches nobody.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { type AcquirerPayment, balancePayments } from '../driver/payment-books.ts'
import { type LedgerEntry, positionOf } from '../issuer/index.ts'
import {
  openIsoClient,
  type RunningIssuer,
  type RunningSwitch,
  startIssuer,
  startSwitch,
} from '../processes/index.ts'
import { ask, isoRequest, nextStan, nowOnTheWire } from './acquirer.ts'
import { OF_1993, OF_2003 } from './acquirer-editions.ts'
import {
  type Door,
  doorOf1987,
  doorOfEdition,
  type First,
  httpDoor,
  kindOf,
  STEPS,
  type StepWord,
} from './doors.ts'
import { eventually, get } from './system.ts'

/** State, then what is authorized, captured, reversed and refunded. */
type Stands = readonly [state: string, ...sums: readonly [number, number, number, number]]
/** An amount that is `null` is all that there is; the answer is approved where nothing is said. */
type Step = readonly [word: StepWord, amount: number | null, code?: string]

interface Case {
  readonly what: string
  readonly first: First
  /** DE39 of 1987, and what is approved where that is not what was asked. */
  readonly says?: readonly [code: string, amount?: number]
  readonly steps?: readonly Step[]
  readonly stands: Stands
  /** The reversal comes first. */
  readonly isReversedUnheard?: true
}

const of = (type: First['type'], amount = 10_000): First => ({ type, amount })
const told = (type: First['type']): First => ({ type, amount: 10_000, isTold: true })
const series: First = { ...of('authorization'), initialReference: 'MCC0000011122' }

/** Issuers answer with the last two digits of what they are asked: 00, 10 for a half, 51. */
const CASES: readonly Case[] = [
  {
    what: 'authorization',
    first: of('authorization'),
    stands: ['authorized', 10_000, 0, 0, 0],
  },
  {
    what: 'pre-authorization',
    first: of('preauthorization'),
    stands: ['preauthorized', 10_000, 0, 0, 0],
  },
  { what: 'sale', first: of('sale'), stands: ['sold', 10_000, 10_000, 0, 0] },
  {
    what: 'cash withdrawal',
    first: of('cash_withdrawal'),
    stands: ['dispensed', 10_000, 10_000, 0, 0],
  },
  {
    what: 'balance inquiry',
    first: of('balance_inquiry', 0),
    stands: ['inquired', 0, 0, 0, 0],
  },
  {
    what: 'account verification',
    first: of('account_verification', 0),
    stands: ['inquired', 0, 0, 0, 0],
  },
  { what: 'recurring, by reference', first: series, stands: ['authorized', 10_000, 0, 0, 0] },
  {
    what: 'declined by its issuer',
    first: of('authorization', 10_051),
    says: ['51'],
    stands: ['declined', 0, 0, 0, 0],
  },
  {
    what: 'partial approval, captured',
    first: of('authorization', 10_010),
    says: ['10', 5_005],
    steps: [
      ['capture', 5_006, 'capture_above_authorized'],
      ['capture', 5_005],
    ],
    stands: ['captured', 5_005, 5_005, 0, 0],
  },
  {
    what: 'partial approval, reversed',
    first: of('sale', 10_010),
    says: ['10', 5_005],
    steps: [['reversal', null]],
    stands: ['reversed', 5_005, 0, 5_005, 0],
  },
  {
    what: 'increment',
    first: of('preauthorization'),
    steps: [
      ['increment', 2_500],
      ['capture', 12_600, 'capture_above_authorized'],
      ['capture', 12_500],
    ],
    stands: ['captured', 12_500, 12_500, 0, 0],
  },
  {
    what: 'increment, taken back',
    first: of('preauthorization'),
    steps: [
      ['increment', 2_500],
      ['reversal of the increment', null],
      ['reversal of the increment', null, 'already_reversed'],
    ],
    stands: ['preauthorized', 10_000, 0, 0, 0],
  },
  {
    what: 'capture of a part',
    first: of('authorization'),
    steps: [
      ['capture', 10_100, 'capture_above_authorized'],
      ['capture', 4_000],
    ],
    stands: ['partly_captured', 10_000, 4_000, 0, 0],
  },
  {
    what: 'captures, until nothing is left',
    first: of('authorization'),
    steps: [
      ['capture', 4_000],
      ['capture', 3_000],
      ['capture', 3_100, 'capture_above_authorized'],
      ['capture', 3_000],
    ],
    stands: ['captured', 10_000, 10_000, 0, 0],
  },
  {
    what: 'capture of a part, the rest given back',
    first: of('authorization'),
    steps: [
      ['capture', 4_000],
      ['reversal', 6_100, 'reversal_above_authorized'],
      ['reversal', 6_000],
    ],
    stands: ['captured', 10_000, 4_000, 6_000, 0],
  },
  {
    what: 'reversal, full',
    first: of('authorization'),
    steps: [['reversal', null]],
    stands: ['reversed', 10_000, 0, 10_000, 0],
  },
  {
    what: 'reversal of a part',
    first: of('authorization'),
    steps: [
      ['reversal', 10_100, 'reversal_above_authorized'],
      ['reversal', 3_000],
      ['capture', 7_100, 'capture_above_authorized'],
      ['capture', 7_000],
    ],
    stands: ['captured', 10_000, 7_000, 3_000, 0],
  },
  {
    what: 'reversal of a sale, in parts',
    first: of('sale'),
    steps: [
      ['reversal', 3_000],
      ['reversal', 7_000],
    ],
    stands: ['reversed', 10_000, 0, 10_000, 0],
  },
  {
    what: 'reversal of a cash withdrawal',
    first: of('cash_withdrawal'),
    steps: [['reversal', null]],
    stands: ['reversed', 10_000, 0, 10_000, 0],
  },
  {
    what: 'refunds of a sale',
    first: of('sale'),
    steps: [
      ['refund', 10_100, 'refund_above_captured'],
      ['refund', 4_000],
      ['refund', 6_100, 'refund_above_captured'],
      ['refund', 6_000],
    ],
    stands: ['refunded', 10_000, 10_000, 0, 10_000],
  },
  {
    what: 'refund of a capture',
    first: of('authorization'),
    steps: [
      ['capture', 6_000],
      ['refund', 2_500],
      ['refund', 3_600, 'refund_above_captured'],
    ],
    stands: ['partly_captured', 10_000, 6_000, 0, 2_500],
  },
  {
    what: 'refund, taken back',
    first: of('sale'),
    steps: [
      ['refund', 4_000],
      ['reversal of the refund', null],
      ['reversal of the refund', null, 'already_reversed'],
    ],
    stands: ['sold', 10_000, 10_000, 0, 0],
  },
  {
    what: 'refund that was made already, taken back, made again',
    first: of('sale'),
    steps: [
      ['refund advice', 10_100, 'refund_above_captured'],
      ['refund advice', 4_000],
      ['reversal of the refund', null],
      ['refund advice', 10_000],
    ],
    stands: ['refunded', 10_000, 10_000, 0, 10_000],
  },
  {
    what: 'authorization advice, captured',
    first: told('authorization'),
    steps: [['capture', 6_000]],
    stands: ['partly_captured', 10_000, 6_000, 0, 0],
  },
  {
    what: 'pre-authorization advice, of a series',
    first: { ...told('preauthorization'), initialReference: 'MCC0000011122' },
    stands: ['preauthorized', 10_000, 0, 0, 0],
  },
  {
    what: 'financial advice, refunded',
    first: told('sale'),
    steps: [['refund', 2_500]],
    stands: ['sold', 10_000, 10_000, 0, 2_500],
  },
  {
    what: 'financial advice, reversed',
    first: told('sale'),
    steps: [['reversal', null]],
    stands: ['reversed', 10_000, 0, 10_000, 0],
  },
  {
    what: 'reversal before its original',
    first: of('authorization'),
    isReversedUnheard: true,
    says: ['94'],
    stands: ['undone', 0, 0, 0, 0],
  },
]

const secret = Buffer.alloc(32, 5).toString('base64')
/** BINs of eight digits, so that each issuer has cards of its own. */
const ISSUERS = [
  { name: 'of-1987', bin: '47617310', line: { dialect: 'iso8583-1987-ascii' } },
  { name: 'of-1993', bin: '47617311', line: { dialect: 'iso8583-1993-binary' } },
  { name: 'ebcdic', bin: '47617312', line: { dialect: 'visa-base1' } },
  { name: 'by-http', bin: '47617313', line: { http: { keyId: 'switch', secret } } },
] as const
type IssuerName = (typeof ISSUERS)[number]['name']

const peer = { acquirer: 'demo', addresses: ['127.0.0.1'] }
const LISTENERS = {
  'in-1987': 'iso8583-1987-ascii',
  'in-1993': 'iso8583-1993-binary',
  'in-2003': 'iso8583-2003-ascii',
} as const

let folder: string
let running: RunningSwitch
const issuers = new Map<string, RunningIssuer>()
const doors: Door[] = []

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'switchyard-matrix-'))
  const started = ISSUERS.map(({ name, line }) => {
    const how = 'http' in line ? { http: { key: `switch:${secret}` } } : line
    return startIssuer({ ...how, name, behaviour: { answers: 'cents' } })
  })
  for (const issuer of await Promise.all(started)) issuers.set(issuer.name, issuer)
  running = await startSwitch({
    folder,
    issuers: [],
    config: {
      // Tests share few cores: what is asked is what is decided, not how fast.
      deadlines: { scoreMs: 500, velocityMs: 400 },
      issuers: ISSUERS.map(({ name, line }) => {
        const port = issuers.get(name)?.port
        return { name, host: '127.0.0.1', port, timeoutMs: 8_000, ...line }
      }),
      routes: ISSUERS.map(({ name, bin }) => ({ bins: [bin], issuer: name })),
      iso: {
        listeners: Object.entries(LISTENERS).map(([name, dialect]) => {
          return { name, dialect, host: '127.0.0.1', port: 0, peers: [{ ...peer, name }] }
        }),
      },
    },
  })
  const open = (name: keyof typeof LISTENERS) =>
    openIsoClient({ port: running.isoPorts[name] ?? 0, dialect: LISTENERS[name] })
  doors.push(
    httpDoor(running.url),
    doorOf1987(await open('in-1987')),
    doorOfEdition(await open('in-1993'), OF_1993),
    doorOfEdition(await open('in-2003'), OF_2003),
  )
})

after(async () => {
  await running?.stop()
  await Promise.all([...issuers.values()].map((issuer) => issuer.stop()))
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

/** What the acquirer knows of each payment at the end, and what its issuer must have been told. */
interface Known extends AcquirerPayment {
  readonly sent: Readonly<Record<'captures' | 'reversals' | 'steps', number>>
}
const known: Known[] = []
/** Inquiries and declines: requests that hold no money. */
const moneyless = new Map<string, number>()
/** Approval codes of what its issuer must know for a pre-authorization. */
const holds = new Set<string>()

const page = readFileSync(new URL('../../switch/docs/payment.md', import.meta.url), 'utf8')

/** The page's row of a state: what is refused there, and by which code. */
function refusedIn(state: string): readonly (readonly [(typeof STEPS)[number], string])[] {
  const row = page.split('\n').find((line) => line.startsWith(`| \`${state}\` |`))
  assert.ok(row, `${state} has no row in docs/payment.md`)
  const cells = row
    .split('|')
    .slice(2)
    .map((cell) => cell.trim())
  return STEPS.flatMap((step, at) => {
    const code = /^`([a-z_]+)`$/.exec(cells[at] ?? '')?.[1]
    return code === undefined ? [] : [[step, code] as const]
  })
}

/** Goes through one case at one door. `number`: of the card, and the RRN. */
async function carry(
  door: Door,
  issuer: (typeof ISSUERS)[number],
  { what, first, says = ['00'], steps = [], stands, isReversedUnheard }: Case,
  number: number,
): Promise<void> {
  const at = (word: string) => `${what}: ${word}`
  const payment = door.open(number, issuer.bin, first)
  if (isReversedUnheard) {
    const { code } = await payment.reverseUnheard()
    assert.equal(code, door.word('00', 'reversal'), at('unheard'))
  }
  const begun = await payment.begin()
  assert.equal(begun.code, door.word(says[0], first.isTold ? 'advice' : 'request'), at('first'))
  const approved = says[1] ?? first.amount
  assert.equal(begun.amount, approved, at('amount'))

  const sent = { captures: 0, reversals: 0, steps: 0 }
  let standing = approved
  const taken: string[] = []
  for (const [word, amount, refused] of steps) {
    const answer = await payment.step(word, amount ?? undefined, standing)
    const code = refused ?? '00'
    assert.equal(answer.code, door.word(code, kindOf(word)), at(`${word} of ${amount}`))
    if (refused !== undefined) continue
    if (word === 'reversal') standing -= amount ?? standing
    if (word === 'capture') sent.captures++
    else if (word === 'reversal') sent.reversals++
    else if (!word.startsWith('reversal of')) sent.steps++
    const said = word === 'refund advice' ? 'refund' : word
    taken.push(kindOf(word) === 'reversal' ? 'reversal' : said)
  }
  const [state, authorized, captured, reversed, refunded] = stands
  for (const [word, code] of refusedIn(state)) {
    const answer = await payment.step(word, undefined, standing)
    assert.equal(answer.code, door.word(code, kindOf(word)), at(`${word} when ${state}`))
  }

  if (isReversedUnheard) taken.push('reversal')
  await isShown(payment.rrn, says, approved, taken, stands)
  if (authorized === 0) {
    const count = isReversedUnheard ? 0 : 1
    moneyless.set(issuer.name, (moneyless.get(issuer.name) ?? 0) + count)
    return
  }
  const takesAtOnce = first.type === 'sale' || first.type === 'cash_withdrawal'
  const sums = { authorized, captured, reversed, refunded }
  const { approvalCode } = begun
  if (first.type === 'preauthorization') holds.add(approvalCode)
  known.push({ ...sums, issuer: issuer.name, approvalCode, takesAtOnce, sent })
}

/** GET by RRN: one authorization and the steps that were taken, the last with what stands. */
async function isShown(
  rrn: string,
  [responseCode]: readonly [string, number?],
  amount: number,
  steps: readonly string[],
  [state, authorized, captured, reversed, refunded]: Stands,
): Promise<void> {
  const { body } = await get(running.url, `/v1/authorizations?rrn=${rrn}`)
  type Shown = Readonly<Record<string, unknown>>
  const shown = body as { readonly authorizations: readonly Shown[]; readonly steps: Shown[] }
  assert.deepEqual(
    shown.authorizations.map((one) => [one.responseCode, one.amount]),
    [[responseCode, amount]],
  )
  assert.deepEqual(
    shown.steps.map(({ type }) => type),
    steps,
  )
  const last = shown.steps.at(-1)?.payment
  const sums = { authorized, captured, reversed, refunded }
  if (last !== undefined) assert.deepEqual(last, { state, ...sums })
}

/** Which door leads to which issuer: HTTP and 1987 to all, the later editions to one each. */
const RUNS: readonly (readonly [door: number, issuer: IssuerName])[] = [
  ...ISSUERS.map(({ name }) => [0, name] as const),
  ...ISSUERS.map(({ name }) => [1, name] as const),
  [2, 'ebcdic'],
  [3, 'of-1993'],
]
const DOOR_NAMES = ['HTTP', 'ISO 8583:1987', 'ISO 8583:1993', 'ISO 8583:2003']

for (const [run, [at, name]] of RUNS.entries()) {
  test(`${DOOR_NAMES[at]} to the issuer ${name}: ${CASES.length} cases`, async () => {
    const door = doors[at]
    const issuer = ISSUERS.find((one) => one.name === name)
    assert.ok(door !== undefined && issuer !== undefined)
    const carried = CASES.map((one, i) => carry(door, issuer, one, 1 + run * 100 + i))
    const failed = (await Promise.allSettled(carried)).flatMap((one) =>
      one.status === 'rejected' ? [String((one.reason as Error).message)] : [],
    )
    assert.equal(failed.length, 0, failed.join('\n'))
  })
}

test('of what nobody knows: not found, at every door', async () => {
  for (const [i, door] of doors.entries()) {
    const { bin } = ISSUERS[0]
    for (const word of STEPS) {
      const unknown = door.open(2_001 + i, bin, of('authorization'), true)
      const { code } = await unknown.step(word, undefined, 10_000)
      assert.equal(code, door.word('not_found', kindOf(word)), `${door.name}: ${word}`)
    }
  }
})

test('network management of 1987: sign-on, echo, key exchange, sign-off, each once more', async () => {
  const client = await openIsoClient({ port: running.isoPorts['in-1987'] ?? 0 })
  for (const code of ['001', '301', '161', '101', '002']) {
    const { fields } = isoRequest(0, 0)
    const kept = fields.map((value, field) => ([7, 11].includes(field) ? value : undefined))
    kept[7] = nowOnTheWire()
    kept[11] = nextStan()
    kept[70] = code
    for (const mti of ['0800', '0801']) {
      const answer = await ask(client, { mti, fields: kept })
      assert.deepEqual([answer.mti, answer.fields[39], answer.fields[70]], ['0810', '00', code])
    }
  }
  client.destroy()
})

test('the books balance, and nothing else reached an issuer', async () => {
  assert.equal(known.length + sum([...moneyless.values()]), RUNS.length * (CASES.length - 1))
  await eventually(async () => {
    const ledgers = await Promise.all(
      [...issuers].map(async ([issuer, one]) => ({ issuer, entries: await one.ledger() })),
    )
    assert.deepEqual(balancePayments(known, ledgers).discrepancies, [])
    for (const { issuer, entries } of ledgers) {
      const own = known.filter((one) => one.issuer === issuer)
      const firsts = entries.filter(({ original }) => original === null)
      assert.equal(firsts.length, own.length + (moneyless.get(issuer) ?? 0))
      for (const payment of own) isAsSent(payment, entries)
      const known06 = firsts.filter(({ conditionCode }) => conditionCode === '06')
      const approvals = known06.map((one) => one.approvalCode ?? '')
      const ownHolds = own.filter(({ approvalCode }) => holds.has(approvalCode))
      assert.deepEqual(new Set(approvals), new Set(ownHolds.map((one) => one.approvalCode)))
    }
  })
})

function isAsSent({ approvalCode, sent }: Known, entries: readonly LedgerEntry[]): void {
  const first = entries.find((one) => one.approvalCode === approvalCode)
  assert.ok(first)
  const { captures, reversals, steps } = first
  const had = { captures: captures.length, reversals: reversals.length, steps: steps.length }
  assert.deepEqual(had, sent, JSON.stringify(positionOf(first, [])))
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
