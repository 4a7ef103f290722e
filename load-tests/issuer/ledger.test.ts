import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { isLive, Ledger, type LedgerRequest, requestKey } from './ledger.ts'

const pan = '4761739001010119'

function openLedger(): { ledger: Ledger; lines: string[] } {
  const lines: string[] = []
  const ledger = new Ledger({
    append: (line) => lines.push(line),
    tokenKey: new Uint8Array(32),
    approvalCodeStart: 123_456,
  })
  return { ledger, lines }
}

function request(stan: string, change: Partial<LedgerRequest> = {}): LedgerRequest {
  return {
    mti: '0100',
    stan,
    transmittedAt: '1122100000',
    acquiringInstitution: '100001',
    rrn: '632610000001',
    processingCode: '000000',
    amount: 2599,
    currency: '978',
    terminalId: 'T1',
    merchantId: 'M1',
    pan,
    original: null,
    ...change,
  }
}

const numbers = { stan: '900001', transmittedAt: '1122100100' }

test('an approval has a code of six characters, a decline none', () => {
  const { ledger } = openLedger()
  const approved = ledger.decide(request('000001'), '00')
  assert.match(approved.approvalCode ?? '', /^[0-9A-Z]{6}$/)
  assert.equal(approved.approvedAmount, 2599)
  const declined = ledger.decide(request('000002'), '51')
  assert.equal(declined.approvalCode, null)
  assert.equal(declined.approvedAmount, 0)
  assert.equal(isLive(approved), true)
  assert.equal(isLive(declined), false)
})

test('approval codes do not repeat', () => {
  const { ledger } = openLedger()
  const codes = new Set<string | null>()
  for (let i = 0; i < 5_000; i++) {
    codes.add(ledger.decide(request(String(i).padStart(6, '0')), '00').approvalCode)
  }
  assert.equal(codes.size, 5_000)
})

test('a repeat, 0101 or with zeros before DE32, gets the first decision', () => {
  const { ledger } = openLedger()
  const first = ledger.decide(request('000001'), '00')
  for (const change of [{ mti: '0101' }, { acquiringInstitution: '00000100001' }]) {
    assert.equal(ledger.decide(request('000001', change), '05'), first)
  }
  assert.equal(first.repeats, 2)
  assert.equal(ledger.summary().requests, 1)
  // A financial request with the same numbers is another message.
  assert.notEqual(ledger.decide(request('000001', { mti: '0200' }), '05'), first)
})

test('a reversal undoes once; its repeat gets 00 again, another reversal 21', () => {
  const { ledger } = openLedger()
  const entry = ledger.decide(request('000001'), '00')
  assert.equal(ledger.reverse(request('000001'), numbers), '00')
  assert.equal(isLive(entry), false)
  assert.equal(ledger.reverse(request('000001'), numbers), '00')
  assert.equal(ledger.reverse(request('000001'), { ...numbers, stan: '900002' }), '21')
  assert.deepEqual(
    entry.reversals.map(({ effective, repeats }) => ({ effective, repeats })),
    [
      { effective: true, repeats: 1 },
      { effective: false, repeats: 0 },
    ],
  )
  const { reversals, secondReversals, liveApprovals } = ledger.summary()
  assert.deepEqual([reversals, secondReversals, liveApprovals], [1, 1, 0])
})

test('a reversal of something declined changes nothing: 21', () => {
  const { ledger } = openLedger()
  ledger.decide(request('000001'), '05')
  assert.equal(ledger.reverse(request('000001'), numbers), '21')
  assert.equal(ledger.summary().reversals, 0)
})

test('a reversal before its original: 25, the original is declined 94, the repeat gets 00', () => {
  const { ledger } = openLedger()
  assert.equal(ledger.reverse(request('000001'), numbers), '25')
  assert.equal(ledger.reverse(request('000001'), numbers), '25')
  const entry = ledger.decide(request('000001'), '00')
  assert.equal(entry.responseCode, '94')
  assert.equal(entry.approvalCode, null)
  assert.equal(ledger.reverse(request('000001'), numbers), '00')
  assert.equal(entry.reversals.length, 1)
  assert.equal(ledger.summary().liveApprovals, 0)
})

test('DE39 10 approves half; an inquiry is no money that stands', () => {
  const { ledger } = openLedger()
  const partial = ledger.decide(request('000001', { amount: 2511 }), '10')
  assert.equal(partial.approvedAmount, 1255)
  assert.equal(isLive(partial), true)
  const inquiry = ledger.decide(request('000002', { amount: 0 }), '00')
  assert.notEqual(inquiry.approvalCode, null)
  assert.equal(isLive(inquiry), false)
  assert.equal(ledger.summary().liveApprovals, 1)
})

test('no PAN is in the lines or the entries', () => {
  const { ledger, lines } = openLedger()
  ledger.decide(request('000001'), '00')
  ledger.reverse(request('000001'), numbers)
  const text = lines.join('') + JSON.stringify([...ledger.entries()])
  assert.ok(text.includes('476173******0119'))
  assert.ok(!text.includes(pan) && !text.includes(pan.slice(6, 12)))
})

test('entries are read from a sequence on', () => {
  const { ledger } = openLedger()
  for (const stan of ['000001', '000002', '000003']) ledger.decide(request(stan), '00')
  assert.deepEqual(
    [...ledger.entries(1)].map(({ stan }) => stan),
    ['000002', '000003'],
  )
})

test('a key takes the class, the numbers and DE32 without leading zeros', () => {
  assert.equal(requestKey(request('000001')), '1|000001|1122100000|100001')
})

type Step =
  | { readonly do: 'decide'; readonly stan: string; readonly code: string }
  | { readonly do: 'reverse'; readonly stan: string; readonly by: string }

const stans = fc.constantFrom('000001', '000002', '000003', '000004')
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant('decide' as const),
      stan: stans,
      code: fc.constantFrom('00', '05', '10', '51'),
    }),
    fc.record({
      do: fc.constant('reverse' as const),
      stan: stans,
      by: fc.constantFrom('900001', '900002'),
    }),
  ),
  { maxLength: 40 },
)

function play(ledger: Ledger, taken: readonly Step[]): string[] {
  return taken.map((step) =>
    step.do === 'decide'
      ? ledger.decide(request(step.stan), step.code).responseCode
      : ledger.reverse(request(step.stan), { ...numbers, stan: step.by }),
  )
}

test('at most one reversal of a request takes effect, and the counts agree with the entries', () => {
  fc.assert(
    fc.property(steps, (taken) => {
      const { ledger } = openLedger()
      play(ledger, taken)
      const entries = [...ledger.entries()]
      for (const { reversals } of entries) {
        assert.ok(reversals.filter(({ effective }) => effective).length <= 1)
      }
      const summary = ledger.summary()
      assert.equal(summary.liveApprovals, entries.filter(isLive).length)
      assert.equal(summary.approvals, entries.filter((it) => it.approvalCode !== null).length)
    }),
  )
})

test('read back from its lines, a ledger answers as before', () => {
  fc.assert(
    fc.property(steps, steps, (before, after) => {
      const original = openLedger()
      play(original.ledger, before)
      const text = original.lines.join('')
      const again = openLedger()
      assert.equal(again.ledger.replay(text).lines, original.lines.length)
      const numbersOnly = (ledger: Ledger) => {
        const { requests, approvals, reversals, liveApprovals } = ledger.summary()
        return { requests, approvals, reversals, liveApprovals }
      }
      assert.deepEqual(numbersOnly(again.ledger), numbersOnly(original.ledger))
      assert.deepEqual(play(again.ledger, after), play(original.ledger, after))
    }),
  )
})

test('a torn last line is left out and its length told', () => {
  const { ledger, lines } = openLedger()
  ledger.decide(request('000001'), '00')
  ledger.decide(request('000002'), '00')
  const text = lines.join('')
  const torn = text.slice(0, -10)
  const again = openLedger().ledger
  const result = again.replay(torn)
  assert.equal(result.lines, 1)
  assert.equal(result.cutBytes, (lines[1] ?? '').length - 10)
  assert.equal(again.summary().requests, 1)
})

function step(stan: string, amount: number, processingCode = '000000'): LedgerRequest {
  return request(stan, { amount, processingCode, original: request('000001') })
}

test('captures, partial reversals, increments and refunds make a position', () => {
  const { ledger, lines } = openLedger()
  const first = ledger.decide(request('000001'), '00')
  ledger.decide(step('000002', 401), '00')
  ledger.decide(step('000003', 999), '51')
  const advice = { ...numbers, amount: 1000 }
  assert.equal(ledger.capture(request('000001'), advice), '00')
  assert.equal(ledger.capture(request('000001'), advice), '00')
  assert.equal(ledger.reverse(request('000001'), { ...numbers, stan: '900002' }, 2500), '00')
  ledger.decide(step('000004', 300, '200000'), '00')
  const expected = { authorized: 3000, captured: 1000, reversed: 500, refunded: 300 }
  assert.deepEqual(ledger.position(first), expected)
  assert.ok(isLive(first))
  assert.equal(ledger.summary().partialReversals, 1)

  const again = openLedger().ledger
  again.replay(lines.join(''))
  const read = again.find(request('000001'))
  assert.ok(read !== undefined)
  assert.deepEqual(again.position(read), expected)
})

test('a capture of nothing, of too much, and of what was reversed', () => {
  const { ledger } = openLedger()
  const first = ledger.decide(request('000001'), '00')
  assert.equal(ledger.capture(request('000009'), { ...numbers, amount: 1 }), '25')
  assert.equal(ledger.capture(request('000001'), { ...numbers, amount: 2600 }), '13')
  assert.equal(ledger.reverse(request('000001'), { ...numbers, stan: '900002' }, 2599), '21')
  ledger.reverse(request('000001'), { ...numbers, stan: '900003' })
  const late = { ...numbers, stan: '900004', amount: 1 }
  assert.equal(ledger.capture(request('000001'), late), '12')
  assert.deepEqual(ledger.position(first), {
    authorized: 2599,
    captured: 0,
    reversed: 2599,
    refunded: 0,
  })
})
