// Acquirers over ISO 8583:1993 and 2003, against real processes: a payment's life in their words.

import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import type { FieldValue } from '#switch'
import { isLive } from '../issuer/index.ts'
import { type IsoClient, openIsoClient } from '../processes/index.ts'
import { ask, codeOf, nextStan, nowOnTheWire } from './acquirer.ts'
import { followIn, OF_1993, OF_2003, requestIn } from './acquirer-editions.ts'
import { entriesOf, eventually, purchase, type System, startSystem } from './system.ts'

const peer = { acquirer: 'demo', addresses: ['127.0.0.1'] }
const base = { host: '127.0.0.1', port: 0 }
const presets = {
  of1993: 'iso8583-1993-ascii',
  of1993b: 'iso8583-1993-binary',
  of2003: 'iso8583-2003-ascii',
} as const
type Wire = keyof typeof presets

let system: System
before(async () => {
  const listeners = Object.entries(presets).map(([name, dialect]) => ({
    ...base,
    name: name.toLowerCase(),
    dialect,
    peers: [{ ...peer, name: name.toLowerCase() }],
  }))
  system = await startSystem({ config: { iso: { listeners } } })
})
after(() => system?.stop())

function open(wire: Wire): Promise<IsoClient> {
  return openIsoClient({
    port: system.running.isoPorts[wire.toLowerCase()] ?? 0,
    dialect: presets[wire],
  })
}

/** DE39 of 1993 in the words of 2003. */
const CODES_2003: Readonly<Record<string, string>> = {
  '000': '0000',
  '400': '4000',
  '800': '8000',
  '900': '9000',
  '110': '1010',
  '116': '1016',
  '902': '9102',
  '913': '9113',
  '914': '9114',
}
const CODE_IN = {
  '1': (code: string) => code,
  '2': (code: string) => CODES_2003[code] ?? code,
} as const

for (const [i, [wire, words]] of (
  [
    ['of1993', OF_1993],
    ['of1993b', OF_1993],
    ['of2003', OF_2003],
  ] as const
).entries()) {
  const n = 7000 + i * 100
  const { digit: d } = words
  const code = CODE_IN[d]

  test(`${wire}: network management, 804 to 814`, async () => {
    const client = await open(wire)
    for (const functionCode of ['801', '831', '811', '802']) {
      const fields: (FieldValue | undefined)[] = []
      Object.assign(fields, { 11: words.stan(nextStan()), 12: words.local(), 24: functionCode })
      fields[7] = nowOnTheWire()
      const answer = await ask(client, { mti: `${d}804`, fields })
      const { 24: said, 39: came, 12: local } = answer.fields
      assert.deepEqual([answer.mti, said, came], [`${d}814`, functionCode, code('800')])
      assert.equal(local, fields[12])
    }
    client.destroy()
  })

  test(`${wire}: an authorization with its own numbers back, its repeat, and another amount`, async () => {
    const client = await open(wire)
    const request = requestIn(words, n + 1, n + 1)
    const answer = await ask(client, request)
    assert.deepEqual([answer.mti, answer.fields[39]], [`${d}110`, code('000')])
    for (const field of [2, 3, 4, 7, 11, 12, 32, 37, 41, 42]) {
      assert.equal(answer.fields[field], request.fields[field], `DE${field}`)
    }
    assert.equal(answer.fields[24], undefined)
    const [entry] = await entriesOf(system.demoA, n + 1)
    assert.ok(entry !== undefined && isLive(entry))
    assert.equal(entry.approvalCode, answer.fields[38])
    const repeat = { ...request, mti: `${d}101` }
    assert.deepEqual(await ask(client, repeat), answer)
    Object.assign(repeat.fields, words.amount(n + 2))
    assert.equal(await codeOf(client, repeat), `${d}110 ${code('913')}`)
    client.destroy()
  })

  test(`${wire}: completion, reversal in part and in full, refund, increment`, async () => {
    const client = await open(wire)
    const said = (mti: string, of: string) => `${d}${mti} ${code(of)}`
    const auth = requestIn(words, n + 10, n + 10)
    await ask(client, auth)
    const capture = (amount: number) =>
      followIn(words, auth, '220', { ...words.amount(amount), 24: '202' })
    assert.equal(await codeOf(client, capture(n)), said('230', '900'))
    assert.equal(await codeOf(client, capture(11)), said('230', '110'))

    const sale = requestIn(words, n + 20, n + 20, '200')
    assert.equal(await codeOf(client, sale), said('210', '000'))
    const partly = { ...words.amount(1_000), 24: '401', 30: words.was(n + 20) }
    assert.equal(await codeOf(client, followIn(words, sale, '420', partly)), said('430', '400'))
    await eventually(async () => {
      const [entry] = await entriesOf(system.demoA, n + 20)
      assert.equal(entry?.reversals[0]?.releasedAmount, n + 20 - 1_000)
    })
    const refund = { ...words.amount(400), 3: '200000', 24: '200' }
    assert.equal(await codeOf(client, followIn(words, sale, '200', refund)), said('210', '000'))

    const full = requestIn(words, n + 30, n + 30)
    await ask(client, full)
    const reversal = followIn(words, full, '420')
    assert.equal(await codeOf(client, reversal), said('430', '400'))
    assert.equal(await codeOf(client, { ...reversal, mti: `${d}421` }), said('430', '400'))
    assert.equal(await codeOf(client, followIn(words, full, '420')), said('430', '913'))

    const hotel = requestIn(words, n + 40, n + 40, '101')
    await ask(client, hotel)
    const more = { ...words.amount(60), 24: '106' }
    assert.equal(await codeOf(client, followIn(words, hotel, '100', more)), said('110', '000'))
    assert.equal(await codeOf(client, followIn(words, auth, '100', more)), said('110', '902'))
    client.destroy()
  })

  test(`${wire}: a reversal before its original, in local time; of nothing; an advice`, async () => {
    const client = await open(wire)
    const late = requestIn(words, n + 50, n + 50)
    assert.equal(await codeOf(client, followIn(words, late, '420')), `${d}430 ${code('400')}`)
    assert.equal(await codeOf(client, late), `${d}110 ${code('913')}`)
    assert.deepEqual(await entriesOf(system.demoA, n + 50), [])
    const old = requestIn(words, n + 51, n + 51)
    old.fields[12] = `${words.local().slice(0, -10)}0101000000`
    assert.equal(await codeOf(client, followIn(words, old, '420')), `${d}430 ${code('914')}`)
    const advice = requestIn(words, n + 60, n + 60)
    Object.assign(advice.fields, { 25: '1004', 38: 'OFF123', 39: code('000') })
    assert.equal(await codeOf(client, { ...advice, mti: `${d}120` }), `${d}130 ${code('900')}`)
    const declined = requestIn(words, n + 61, 7_051)
    declined.fields[2] = purchase(n + 61, 1, '541333').card.pan
    assert.equal(await codeOf(client, declined), `${d}110 ${code('116')}`)
    client.destroy()
  })
}
