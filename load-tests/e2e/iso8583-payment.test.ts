// Every message of a payment's life over ISO 8583:1987, against real processes.

import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { isLive } from '../issuer/index.ts'
import { type IsoClient, openIsoClient } from '../processes/index.ts'
import { ask, codeOf, follow, isoRequest, repeatOf } from './acquirer.ts'
import { entriesOf, eventually, purchase, type System, startSystem } from './system.ts'

const peer = { acquirer: 'demo', addresses: ['127.0.0.1'], name: 'one' }
const listener = { host: '127.0.0.1', port: 0, name: 'ascii', dialect: 'iso8583-1987-ascii' }

let system: System
let client: IsoClient
before(async () => {
  system = await startSystem({ config: { iso: { listeners: [{ ...listener, peers: [peer] }] } } })
  client = await openIsoClient({ port: system.running.isoPorts.ascii ?? 0 })
})
after(async () => {
  client?.destroy()
  await system?.stop()
})

const n12 = (amount: number) => String(amount).padStart(12, '0')
const standing = (amount: number) => n12(amount) + '0'.repeat(30)

async function ledgerOf(amount: number) {
  const [entry, ...more] = await entriesOf(system.demoA, amount)
  assert.deepEqual(more, [])
  assert.ok(entry)
  return entry
}

/** The issuer hears of steps after their answers. */
async function untilIssuer(check: () => Promise<boolean>): Promise<void> {
  await eventually(async () => assert.ok(await check(), 'not yet'))
}

test('capture in parts: 0220 naming its 0100, one too many is 13, a repeat is the first', async () => {
  const auth = isoRequest(5001, 5001)
  assert.equal(await codeOf(client, auth), '0110 00')
  const first = follow(auth, '0220', { 4: n12(2000) })
  const answer = await ask(client, first)
  assert.deepEqual([answer.mti, answer.fields[39], answer.fields[4]], ['0230', '00', n12(2000)])
  assert.deepEqual(await ask(client, repeatOf(first)), answer)
  assert.equal(await codeOf(client, follow(auth, '0220', { 4: n12(3002) })), '0230 13')
  assert.equal(
    await codeOf(client, { ...first, fields: [...first.fields].fill(n12(2001), 4, 5) }),
    '0230 94',
  )
  assert.equal(await codeOf(client, follow(auth, '0220', { 4: n12(3001) })), '0230 00')
  await untilIssuer(async () => (await ledgerOf(5001)).captures.length === 2)
  const { captures } = await ledgerOf(5001)
  assert.deepEqual(captures.map(({ amount }) => amount).sort(), [2000, 3001])
  // By its RRN, without original data elements.
  const second = isoRequest(5002, 5002)
  assert.equal(await codeOf(client, second), '0110 00')
  const completion = follow(second, '0220', { 90: undefined })
  assert.equal(await codeOf(client, completion), '0230 00')
  assert.equal(await codeOf(client, repeatOf(completion)), '0230 00')
  assert.equal(await codeOf(client, follow(second, '0220')), '0230 13')
  await untilIssuer(async () => (await ledgerOf(5002)).captures.length === 1)
})

test('a full reversal, its repeat, and a second one', async () => {
  for (const [number, mti] of [
    [5101, '0400'],
    [5102, '0420'],
  ] as const) {
    const auth = isoRequest(number, number)
    await ask(client, auth)
    const reversal = follow(auth, mti)
    const said = mti === '0400' ? '0410' : '0430'
    const answer = await ask(client, reversal)
    assert.deepEqual([answer.mti, answer.fields[39]], [said, '00'])
    assert.equal(answer.fields[4], reversal.fields[4])
    assert.equal(await codeOf(client, repeatOf(reversal)), `${said} 00`)
    assert.equal(await codeOf(client, follow(auth, mti)), `${said} 94`)
    assert.equal(await codeOf(client, follow(auth, '0220')), '0230 12')
    await untilIssuer(async () => !isLive(await ledgerOf(number)))
    assert.equal((await ledgerOf(number)).reversals.length, 1)
  }
})

test('a partial reversal says what stands; amounts that can not be are 13', async () => {
  const sale = isoRequest(5201, 5201, {}, '0200')
  assert.equal(await codeOf(client, sale), '0210 00')
  assert.equal(await codeOf(client, follow(sale, '0420', { 95: standing(5201) })), '0430 13')
  assert.equal(await codeOf(client, follow(sale, '0420', { 4: n12(5200) })), '0430 13')
  assert.equal(await codeOf(client, follow(sale, '0420', { 4: n12(9999) })), '0430 13')
  assert.equal(await codeOf(client, follow(sale, '0420', { 95: standing(1200) })), '0430 00')
  await untilIssuer(async () => (await ledgerOf(5201)).reversals.length === 1)
  assert.equal((await ledgerOf(5201)).reversals[0]?.releasedAmount, 4001)
  assert.equal(await codeOf(client, follow(sale, '0420', { 95: standing(0) })), '0430 00')
  await untilIssuer(async () => !isLive(await ledgerOf(5201)))
})

test('reversals are found by original data, by RRN, or by the numbers of their original', async () => {
  const byRrn = isoRequest(5301, 5301)
  await ask(client, byRrn)
  assert.equal(await codeOf(client, follow(byRrn, '0400', { 90: undefined })), '0410 00')
  const byNumbers = isoRequest(5302, 5302)
  await ask(client, byNumbers)
  const same = { 90: undefined, 37: undefined, 11: byNumbers.fields[11], 7: byNumbers.fields[7] }
  assert.equal(await codeOf(client, follow(byNumbers, '0400', same)), '0410 00')
  // Of another card, of another acquirer's RRN, of nothing.
  const other = isoRequest(5303, 5303)
  await ask(client, other)
  const { pan } = purchase(5304, 1).card
  assert.equal(await codeOf(client, follow(other, '0400', { 2: pan })), '0410 25')
  assert.equal(
    await codeOf(client, follow(other, '0400', { 90: undefined, 37: n12(77) })),
    '0410 25',
  )
  const twice = isoRequest(5305, 5305)
  await ask(client, twice)
  await ask(client, isoRequest(5305, 5306))
  assert.equal(await codeOf(client, follow(twice, '0400', { 90: undefined })), '0410 25')
  assert.equal(await codeOf(client, follow(twice, '0400')), '0410 00')
})

test('a reversal before its original: 00, and the original is 94 and not forwarded', async () => {
  const late = isoRequest(5401, 5401)
  assert.equal(await codeOf(client, follow(late, '0420')), '0430 00')
  assert.equal(await codeOf(client, late), '0110 94')
  assert.equal(await codeOf(client, repeatOf(late)), '0110 94')
  assert.deepEqual(await entriesOf(system.demoA, 5401), [])
  // DE90 has no place for the terminal: a reversal without DE41 finds what had one, and stops it.
  const came = isoRequest(5404, 5404)
  await ask(client, came)
  const bare = { 37: undefined, 41: undefined }
  assert.equal(await codeOf(client, follow(came, '0420', bare)), '0430 00')
  await untilIssuer(async () => !isLive(await ledgerOf(5404)))
  const coming = isoRequest(5405, 5405)
  assert.equal(await codeOf(client, follow(coming, '0420', bare)), '0430 00')
  assert.equal(await codeOf(client, coming), '0110 94')
  assert.deepEqual(await entriesOf(system.demoA, 5405), [])
  // Too old to come any more, or only a part of it.
  const old = isoRequest(5402, 5402, { 7: '0101000000' })
  assert.equal(await codeOf(client, follow(old, '0420')), '0430 25')
  const part = isoRequest(5403, 5403)
  assert.equal(await codeOf(client, follow(part, '0420', { 95: standing(100) })), '0430 25')
  // Of an inquiry nothing is kept, and money is not taken back by the amount of one.
  const inquiry = isoRequest(5404, 0, { 3: '310000' })
  assert.equal(await codeOf(client, follow(inquiry, '0420')), '0430 25')
  assert.equal(await codeOf(client, inquiry), '0110 00')
  assert.equal(await codeOf(client, follow(inquiry, '0420')), '0430 12')
  const money = isoRequest(5405, 5405)
  await ask(client, money)
  assert.equal(await codeOf(client, follow(money, '0420', { 4: n12(0) })), '0430 13')
})

test('a reversal while the issuer is asked: the original is 94, and undone', async () => {
  await system.demoA.setBehaviour({ delayMs: 1_500 })
  const slow = isoRequest(5501, 5501)
  client.send(slow)
  await untilIssuer(async () => (await entriesOf(system.demoA, 5501)).length === 1)
  // A part of it can't be given back yet: not answered, and so told again later.
  const part = follow(slow, '0400', { 95: standing(1) })
  client.send(part)
  assert.equal(await codeOf(client, follow(slow, '0400')), '0410 00')
  const answer = () => client.received.find(({ fields }) => fields[11] === slow.fields[11])
  await untilIssuer(async () => answer() !== undefined)
  assert.equal(answer()?.fields[39], '94')
  assert.ok(!client.received.some(({ fields }) => fields[11] === part.fields[11]))
  await system.demoA.setBehaviour({ delayMs: 0 })
  await untilIssuer(async () => !isLive(await ledgerOf(5501)))
})

test('refunds: in parts, not above what was captured, of nothing 25', async () => {
  const sale = isoRequest(5601, 5601, {}, '0200')
  await ask(client, sale)
  const refund = (amount: number) => follow(sale, '0200', { 3: '200000', 4: n12(amount) })
  const first = refund(1600)
  assert.equal(await codeOf(client, first), '0210 00')
  assert.equal(await codeOf(client, repeatOf(first)), '0210 00')
  assert.equal(await codeOf(client, refund(4002)), '0210 13')
  assert.equal(await codeOf(client, refund(4001)), '0210 00')
  assert.equal(await codeOf(client, refund(1)), '0210 13')
  const auth = isoRequest(5602, 5602)
  await ask(client, auth)
  assert.equal(await codeOf(client, follow(auth, '0200', { 3: '200000' })), '0210 12')
  const unknown = isoRequest(5603, 5603, { 3: '200000' }, '0200')
  assert.equal(await codeOf(client, unknown), '0210 25')
  const cash = isoRequest(5604, 5604, { 3: '010000', 18: '6011' }, '0200')
  assert.equal(await codeOf(client, cash), '0210 00')
  assert.equal(await codeOf(client, follow(cash, '0200', { 3: '200000' })), '0210 12')
})

test('increments: a pre-authorization grows, another authorization does not', async () => {
  const hotel = isoRequest(5701, 5701, { 25: '06', 18: '7011' })
  assert.equal(await codeOf(client, hotel), '0110 00')
  const more = follow(hotel, '0100', { 4: n12(299) })
  const answer = await ask(client, more)
  assert.deepEqual([answer.mti, answer.fields[39]], ['0110', '00'])
  assert.equal(await codeOf(client, repeatOf(more)), '0110 00')
  assert.equal(await codeOf(client, follow(hotel, '0220', { 4: n12(6001) })), '0230 13')
  assert.equal(await codeOf(client, follow(hotel, '0220', { 4: n12(6000) })), '0230 00')
  const auth = isoRequest(5702, 5702)
  await ask(client, auth)
  assert.equal(await codeOf(client, follow(auth, '0100', { 4: n12(1) })), '0110 12')
})

test('inquiries, verification, cash, a recurring series, and what none of them allows', async () => {
  const none = { 4: undefined }
  const balance = isoRequest(5801, 0, { ...none, 3: '310000' })
  assert.equal(await codeOf(client, balance), '0110 00')
  assert.equal(await codeOf(client, follow(balance, '0420')), '0430 12')
  const verification = isoRequest(5802, 0, { ...none, 3: '330000' })
  assert.equal(await codeOf(client, verification), '0110 00')
  const cash = isoRequest(5803, 5803, { 3: '010000', 18: '6011', 25: '02' }, '0200')
  assert.equal(await codeOf(client, cash), '0210 00')
  assert.equal(await codeOf(client, follow(cash, '0220')), '0230 12')
  const series = isoRequest(5804, 5804, { 22: '100', 48: '6315MCC0000011122  ' })
  assert.equal(await codeOf(client, series), '0110 00')
  const declined = isoRequest(5805, 5851, { 2: purchase(5805, 1, '541333').card.pan })
  assert.equal(await codeOf(client, declined), '0110 51')
  assert.equal(await codeOf(client, follow(declined, '0220')), '0230 12')
  assert.equal(await codeOf(client, follow(declined, '0420')), '0430 12')
})

test('advices of what was decided elsewhere are taken once, and told to the issuer', async () => {
  for (const [number, mti, said] of [
    [5901, '0120', '0130'],
    [5902, '0220', '0230'],
  ] as const) {
    const advice = isoRequest(number, number, { 38: 'OFF123', 39: '00' }, mti)
    assert.equal(await codeOf(client, advice), `${said} 00`)
    assert.equal(await codeOf(client, repeatOf(advice)), `${said} 00`)
    const found = await system.get(`/v1/authorizations?rrn=${advice.fields[37]}`)
    const { authorizations } = found.body as { authorizations: { outcome: string }[] }
    assert.deepEqual(
      authorizations.map(({ outcome }) => outcome),
      ['approved'],
    )
  }
  const unroutable = isoRequest(5903, 5903, { 2: '4111111111111111', 39: '00' }, '0220')
  assert.equal(await codeOf(client, unroutable), '0230 92')
})

test('what is cut off behind its trace numbers is answered 30; the third in a row ends it', async () => {
  const other = await openIsoClient({ port: system.running.isoPorts.ascii ?? 0 })
  const whole = isoRequest(5950, 5950)
  for (const [i, mti] of ['0100', '0220', '0420'].entries()) {
    const frame = Buffer.from(other.frameOf({ ...whole, mti }))
    // The length is made to fit: the message itself ends in its last field.
    const cut = frame.subarray(0, frame.length - 2)
    cut.writeUInt16BE(cut.length - 2)
    other.sendBytes(cut)
    if (i < 2) await eventually(async () => assert.equal(other.received.length, i + 1))
  }
  await other.closed
  assert.deepEqual(
    other.received.map(({ mti, fields }) => [mti, fields[11], fields[39]]),
    [
      ['0110', whole.fields[11], '30'],
      ['0230', whole.fields[11], '30'],
    ],
  )
  const metrics = await (await fetch(`${system.running.adminUrl}/metrics`)).text()
  assert.match(metrics, /event="unreadable_answered"\} 2/)
})
