import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { CURRENCIES } from '#rules'
import { readDialect } from '../adapters/dialect-files.ts'
import type { FieldValue, IsoMessage } from '../iso8583/index.ts'
import {
  AUTHORIZATION_TYPES,
  type AuthorizationBody,
  CHANNELS,
  ENTRY_MODES,
  parseAuthorization,
} from '../message.ts'
import { readIsoAuthorization, writeIsoAuthorization } from './iso-authorization.ts'
import { received } from './iso-received.ts'

const of1987 = (message: IsoMessage) => received({ version: 1987 }, message)
const NOW_MS = Date.UTC(2026, 10, 22, 10, 0, 0)
const numbers = { stan: '000123', transmittedAt: '1122095959', institution: '100001' }
const base: AuthorizationBody = {
  type: 'authorization',
  amount: 2599,
  currency: 'EUR',
  channel: 'pos',
  card: { pan: '4761739001010119', expiry: '2912' },
  merchant: { id: 'M-1001', mcc: '5411', name: 'Corner Shop', city: 'Berlin', country: 'DE' },
  terminal: { id: 'T-0001', entryMode: 'contactless' },
  rrn: '632610000123',
}

const wireText = (maxLength: number) =>
  fc.stringMatching(/^[!-~]([ -~]*[!-~])?$/).filter((text) => text.length <= maxLength)
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
const bodies: fc.Arbitrary<AuthorizationBody> = fc
  .record({
    type: fc.constantFrom(...AUTHORIZATION_TYPES),
    amount: fc.integer({ min: 1, max: 999_999_999_999 }),
    currency: fc.constantFrom(...CURRENCIES.map(({ code }) => code)),
    channel: fc.constantFrom(...CHANNELS),
    pan: fc.constantFrom('4761739001010119', '5413330089020011', '4111111111111111'),
    expiry: fc.constantFrom('2512', '3001', '2909'),
    cvv: maybe(fc.stringMatching(/^[0-9]{3,4}$/)),
    merchantId: wireText(15),
    mcc: fc.constantFrom('5411', '5999', '6011', '4111'),
    name: maybe(wireText(25)),
    city: maybe(wireText(13)),
    country: maybe(fc.constantFrom('DE', 'JP')),
    terminalId: maybe(wireText(8)),
    entryMode: maybe(fc.constantFrom(...ENTRY_MODES)),
    rrn: maybe(fc.stringMatching(/^[0-9A-Za-z]{12}$/)),
  })
  .map((drawn) => ({
    type: drawn.type,
    amount: drawn.type.includes('inquiry') || drawn.type.includes('verif') ? 0 : drawn.amount,
    currency: drawn.currency,
    channel: drawn.channel,
    card: defined({ pan: drawn.pan, expiry: drawn.expiry, cvv: drawn.cvv }),
    merchant: {
      id: drawn.merchantId,
      mcc: drawn.mcc,
      ...defined({ name: drawn.name, city: drawn.city, country: drawn.country }),
    },
    terminal: defined({ id: drawn.terminalId, entryMode: drawn.entryMode }),
    ...defined({ rrn: drawn.rrn }),
  }))

function defined<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(value).filter(([, member]) => member !== undefined),
  ) as ReturnType<typeof defined<T>>
}

for (const preset of ['iso8583-1987-ascii', 'iso8583-1987-binary']) {
  const loaded = readDialect(preset)
  assert.ok(loaded.ok)
  const { dialect } = loaded

  test(`${preset}: what HTTP can say and ISO 8583 has fields for, keeps its meaning`, () => {
    let carried = 0
    fc.assert(
      fc.property(bodies, (body) => {
        const written = writeIsoAuthorization(body, numbers)
        if (written === undefined) return
        carried++
        const encoded = dialect.encode(written)
        assert.ok(encoded.ok, JSON.stringify(encoded))
        const decoded = dialect.decode(encoded.bytes)
        assert.ok(decoded.ok)
        const read = readIsoAuthorization(received(dialect, decoded.message), '100001', NOW_MS)
        assert.ok(!('kind' in read), JSON.stringify(read))
        const expected = parseAuthorization({
          ...body,
          stan: '000123',
          transmittedAt: '2026-11-22T09:59:59Z',
        })
        assert.ok(!('kind' in expected))
        assert.deepEqual(comparable(read.request), comparable(expected))
      }),
      { numRuns: 500 },
    )
    assert.ok(carried > 100, `only ${carried} were carried`)
  })
}

test('the first of a series: in DE48 as text, in its parts, or in DE62', () => {
  const loaded = readDialect('iso8583-1987-ascii')
  assert.ok(loaded.ok)
  const trace = new Map([
    ['1', 'MCC000001'],
    ['2', '1122  '],
  ])
  const series: readonly (readonly [field: number, value: FieldValue, named: string])[] = [
    [48, '63131234567890123', '1234567890123'],
    [
      48,
      new Map<string, FieldValue>([
        ['TCC', 'T'],
        ['63', trace],
      ]),
      'MCC0000011122',
    ],
    [62, new Map([['2', '123456789012345']]), '123456789012345'],
  ]
  for (const [field, value, named] of series) {
    const written = writeIsoAuthorization(base, numbers)
    assert.ok(written)
    written.fields[field] = value
    const read = readIsoAuthorization(received(loaded.dialect, written), '100001', NOW_MS)
    assert.ok(!('kind' in read), JSON.stringify(read))
    assert.equal(read.request.initialReference, named)
  }
})

/** A `Pan` keeps its digits private; everything else is compared as it is. */
function comparable(request: { card: object }): unknown {
  const { pan, ...card } = request.card as { pan: { reveal(): string } }
  return { ...request, card: { ...card, digits: pan.reveal() } }
}

test('every channel and every type can be said in some way', () => {
  for (const [channel, entryMode] of [
    ['pos', 'chip'],
    ['ecommerce', 'ecommerce'],
    ['ecommerce', 'stored'],
    ['moto', 'manual'],
    ['recurring', 'stored'],
    ['qr', undefined],
    ['atm', 'chip'],
  ] as const) {
    const mcc = channel === 'atm' ? '6011' : '5411'
    const terminal = entryMode === undefined ? {} : { entryMode }
    const body = { ...base, channel, merchant: { id: 'M', mcc }, terminal }
    assert.ok(writeIsoAuthorization(body, numbers), `${channel} ${entryMode}`)
  }
  for (const type of AUTHORIZATION_TYPES) {
    assert.ok(writeIsoAuthorization({ ...base, type }, numbers), type)
  }
})

test('the key is made of what names a request, and a repeat has the key of its first', () => {
  const message = writeIsoAuthorization(base, numbers)
  assert.ok(message)
  const first = readIsoAuthorization(of1987(message), '100001', NOW_MS)
  const repeat = readIsoAuthorization(of1987({ ...message, mti: '0101' }), '100001', NOW_MS)
  assert.ok('key' in first && 'key' in repeat)
  assert.equal(first.key, 'iso 010 000123 1122095959 100001 T-0001')
  assert.equal(repeat.key, first.key)
  assert.deepEqual(first.compared, ['000000', '000000002599', '978'])
})

test('DE7 is of the year that is nearest, and of no year when it is no date', () => {
  const at = (transmittedAt: string, nowMs: number) => {
    const message = writeIsoAuthorization(base, { ...numbers, transmittedAt })
    assert.ok(message)
    const read = readIsoAuthorization(of1987(message), '100001', nowMs)
    return 'kind' in read ? read.param : read.request.transmittedAt
  }
  assert.equal(at('1231235959', Date.UTC(2027, 0, 1)), '2026-12-31T23:59:59Z')
  assert.equal(at('0101000000', Date.UTC(2026, 11, 31, 23)), '2027-01-01T00:00:00Z')
  assert.equal(at('0229120000', Date.UTC(2028, 1, 28)), '2028-02-29T12:00:00Z')
  for (const wrong of ['1301000000', '0230000000', '0101240000', '0101006000', '']) {
    assert.equal(at(wrong, NOW_MS), '7')
  }
})

test('PAN and expiry from track 2, with either separator', () => {
  const message = writeIsoAuthorization(base, numbers)
  assert.ok(message)
  for (const separator of ['=', 'D']) {
    const fields = [...message.fields]
    fields[2] = undefined
    fields[14] = undefined
    fields[35] = `4761739001010119${separator}29122011143878089`
    const read = readIsoAuthorization(of1987({ mti: '0100', fields }), '100001', NOW_MS)
    assert.ok('request' in read && read.request.card.kind === 'pan')
    assert.equal(read.request.card.pan.reveal(), '4761739001010119')
    assert.equal(read.request.card.expiry, '2912')
  }
})

test('each missing or wrong field is a refusal, never a throw', () => {
  const message = writeIsoAuthorization(base, numbers)
  assert.ok(message)
  for (const [field, value, code] of [
    [2, undefined, 'missing_field'],
    [2, '4761739001010118', 'invalid_pan'],
    [3, '990000', 'invalid_field'],
    [4, '000000000000', 'invalid_amount'],
    [7, undefined, 'invalid_field'],
    [11, undefined, 'missing_field'],
    [14, '2913', 'invalid_expiry'],
    [18, undefined, 'invalid_field'],
    [42, undefined, 'invalid_field'],
    [49, '999', 'invalid_currency'],
  ] as const) {
    const fields = [...message.fields]
    fields[field] = value
    const read = readIsoAuthorization(of1987({ mti: '0100', fields }), '100001', NOW_MS)
    assert.ok('kind' in read, `DE${field}`)
    assert.equal(read.code, code, `DE${field}`)
  }
})
