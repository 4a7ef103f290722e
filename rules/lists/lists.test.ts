import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { createProblemList } from '../problem.ts'
import { atOnce } from '../steps.ts'
import { parseCidr, parseIpv4, parseIpv6 } from './address.ts'
import { createLists, type Lists } from './lists.ts'

function listsOf(files: Readonly<Record<string, string>>): { lists: Lists; problems: string[] } {
  const problems = createProblemList()
  const named = Object.entries(files).map(([name, text]) => ({ name: `lists/${name}`, text }))
  const lists = atOnce(createLists(named, problems))
  const places = problems.sorted().map(({ file, line, message }) => `${file}:${line} ${message}`)
  return { lists, problems: places }
}

const noon = Date.UTC(2026, 10, 22, 12)

describe('base amounts', () => {
  const { lists, problems } = listsOf({
    'fx.csv': [
      '# comment',
      'date,currency,perEur,until',
      '2026-11-20,USD,1.25,',
      '2026-11-22,USD,1.6,',
      '2026-01-01,JPY,160,2027-12-31',
      '2026-01-01,KWD,0.4,2027-12-31',
    ].join('\n'),
  })

  test('respect dates, exponents and staleness', () => {
    assert.deepEqual(problems, [])
    assert.equal(lists.baseAmount(2_599, 'EUR', 0), 2_599)
    assert.equal(lists.baseAmount(12_500, 'USD', noon - 86_400_000), 10_000)
    assert.equal(lists.baseAmount(16_000, 'USD', noon), 10_000)
    assert.equal(lists.baseAmount(2_599, 'JPY', noon), 1_624)
    assert.equal(lists.baseAmount(1_000, 'KWD', noon), 250)
    assert.ok(Number.isNaN(lists.baseAmount(100, 'USD', Date.UTC(2026, 10, 19, 23, 59))))
    assert.equal(lists.baseAmount(160, 'USD', Date.UTC(2026, 11, 1, 23, 59)), 100)
    assert.ok(Number.isNaN(lists.baseAmount(100, 'USD', Date.UTC(2026, 11, 2))))
    assert.ok(Number.isNaN(lists.baseAmount(100, 'GBP', noon)))
    assert.ok(Number.isNaN(lists.baseAmount(2 ** 56, 'KWD', noon)))
  })

  test('are refused with the line of a bad rate', () => {
    const rows = ['2026-13-01,USD,1', '2026-02-30,USD,1', '2026-01-01,EUR,1', '2026-01-01,ABC,1']
    rows.push('2026-01-01,USD,0', '2026-01-01,USD,x', '2026-01-01,USD,1', '2026-01-01,USD,2', 'a,b')
    const bad = listsOf({ 'fx.csv': `date,currency,perEur\n${rows.join('\n')}` })
    const lines = bad.problems.map((problem) => problem.split(' ')[0])
    assert.deepEqual(
      lines,
      [2, 3, 4, 5, 6, 7, 9, 10].map((line) => `lists/fx.csv:${line}`),
    )
  })
})

describe('countries', () => {
  const { lists, problems } = listsOf({
    'bins.csv': 'from,to,country\n476173,,DE\n541333,541334,NL\n41111100,41111149,US\n',
    'ip-countries.csv':
      'cidr,country\n203.0.113.0/24,DE\n198.51.100.0/25,BR\n2001:db8::/33,DE\n192.0.2.7,US\n',
  })

  test('of BINs', () => {
    assert.deepEqual(problems, [])
    assert.equal(lists.countryOfBin('47617390'), 'DE')
    assert.equal(lists.countryOfBin('476173'), 'DE')
    assert.equal(lists.countryOfBin('54133499'), 'NL')
    assert.equal(lists.countryOfBin('541335'), undefined)
    assert.equal(lists.countryOfBin('41111149'), 'US')
    assert.equal(lists.countryOfBin('41111150'), undefined)
    // Only half of this BIN is known to be in the United States.
    assert.equal(lists.countryOfBin('411111'), undefined)
    for (const bad of ['', '4761', '476173901', 'abcdef']) {
      assert.equal(lists.countryOfBin(bad), undefined)
    }
  })

  test('of addresses', () => {
    assert.equal(lists.countryOfIp('203.0.113.0'), 'DE')
    assert.equal(lists.countryOfIp('203.0.113.255'), 'DE')
    assert.equal(lists.countryOfIp('203.0.114.0'), undefined)
    assert.equal(lists.countryOfIp('198.51.100.128'), undefined)
    assert.equal(lists.countryOfIp('192.0.2.7'), 'US')
    assert.equal(lists.countryOfIp('2001:DB8:7fff:ffff::1'), 'DE')
    assert.equal(lists.countryOfIp('2001:db8:8000::'), undefined)
    assert.equal(lists.countryOfIp('not an address'), undefined)
  })

  test('are refused when ranges overlap or are malformed', () => {
    const bad = listsOf({
      'bins.csv': 'from,to,country\n476173,,DE\n47617390,,NL\n4761,,DE\n541333,,Germany\n',
      'ip-countries.csv':
        'cidr,country\n10.0.0.0/8,DE\n10.1.0.0/16,FR\n10.0.0.1/8,DE\n300.1.1.1,DE\n',
    })
    assert.deepEqual(
      bad.problems.map((problem) => problem.split(' ').slice(0, 1).join('')),
      ['bins', 'bins', 'bins', 'ip-countries', 'ip-countries', 'ip-countries'].map(
        (name, index) => `lists/${name}.csv:${[3, 4, 5, 3, 4, 5][index]}`,
      ),
    )
  })
})

describe('named lists', () => {
  test('hold values or address ranges', () => {
    const { lists, problems } = listsOf({
      'watched.csv': 'value,why\nM-1,"first, and ""worst"""\nM-2,\n',
      'proxies.csv': '# exit nodes\ncidr\n203.0.113.0/24\n2001:db8::/32\n',
    })
    assert.deepEqual(problems, [])
    assert.equal(lists.named.get('watched')?.has('M-1'), true)
    assert.equal(lists.named.get('watched')?.has('M-3'), false)
    assert.equal(lists.named.get('proxies')?.has('203.0.113.9'), true)
    assert.equal(lists.named.get('proxies')?.has('2001:db8::1'), true)
    assert.equal(lists.named.get('proxies')?.has('M-1'), false)
  })

  test('hold ranges of texts and of BINs', () => {
    const { lists, problems } = listsOf({
      'airlines.csv': 'from,to,why\n3000,3299,airlines\n4511,4511,\n',
      'prepaid.csv': 'binFrom,binTo\n476173,\n54133300,54133349\n',
    })
    assert.deepEqual(problems, [])
    const airlines = lists.named.get('airlines')
    for (const mcc of ['3000', '3150', '3299', '4511']) assert.equal(airlines?.has(mcc), true, mcc)
    for (const mcc of ['2999', '3300', '30000', '31', '']) assert.equal(airlines?.has(mcc), false)
    const prepaid = lists.named.get('prepaid')
    for (const bin of ['47617390', '476173', '54133349']) assert.equal(prepaid?.has(bin), true, bin)
    // Only half of this BIN is on the list.
    for (const bin of ['541333', '54133350', '476174']) assert.equal(prepaid?.has(bin), false, bin)
    assert.deepEqual([airlines?.kind, airlines?.size, prepaid?.kind], ['range', 2, 'bin'])
  })

  test('let entries end', () => {
    const { lists, problems } = listsOf({
      'a.csv': 'value,until,by,why\nM-1,2026-12-31,fraud-desk,x\nM-2,,,\nM-3,2026-12-31T18:00Z,,\n',
      'b.csv': 'cidr,until\n203.0.113.0/24,2026-12-31\n',
    })
    assert.deepEqual(problems, [])
    const newYear = Date.UTC(2027, 0, 1)
    const list = lists.named.get('a')
    assert.equal(list?.until('M-1'), newYear)
    assert.equal(list?.until('M-2'), Number.POSITIVE_INFINITY)
    assert.equal(list?.until('M-4'), Number.NEGATIVE_INFINITY)
    assert.equal(list?.until('M-3'), Date.UTC(2026, 11, 31, 18))
    assert.equal(list?.has('M-1', newYear - 1), true)
    assert.equal(list?.has('M-1', newYear), false)
    assert.equal(list?.has('M-1'), true)
    assert.equal(lists.named.get('b')?.has('203.0.113.1', newYear), false)
  })

  test('are refused whole, with the line', () => {
    const bad = listsOf({
      'a.csv': 'value\nM-1\nM-1\n',
      'b.csv': 'name\nx\n',
      'c.csv': 'value,why\nM-1\n',
      'd.csv': '# nothing\n',
      'e.csv': 'value\n"open\n',
      'g.csv': 'value,until\nM-1,2026-02-30\n',
      'h.csv': 'value,untill\nM-1,\n',
      'i.csv': 'from,to\n3000,30000\n3100,3099\n3000,3100\n3050,3060\n',
      'j.csv': 'binFrom,binTo\n4761,\n',
      'F_1.csv': 'value\nx\n',
    })
    const lines = bad.problems.map((problem) => problem.split(' ')[0])
    assert.deepEqual(
      lines,
      ['F_1.csv:1', 'a.csv:3', 'b.csv:1', 'c.csv:2', 'd.csv:1', 'e.csv:2', 'g.csv:2', 'h.csv:1']
        .concat(['i.csv:2', 'i.csv:3', 'i.csv:5', 'j.csv:2'])
        .map((place) => `lists/${place}`),
    )
  })
})

describe('addresses', () => {
  test('are read as their bytes', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        const bytes = address.split('.').map(Number)
        assert.equal(parseIpv4(address), Buffer.from(bytes).readUInt32BE())
      }),
    )
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        assert.match(parseIpv6(address) ?? address, /^[0-9a-f]{32}$/)
      }),
    )
    assert.equal(parseIpv6('::'), '0'.repeat(32))
    assert.equal(parseIpv6('::ffff:203.0.113.7'), `${'0'.repeat(20)}ffffcb007107`)
    for (const bad of ['1:2', ':::', '1::2::3', 'g::', '1:2:3:4:5:6:7:8:9', '::1.2.3', ':']) {
      assert.equal(parseIpv6(bad), undefined, bad)
    }
    for (const bad of ['1.2.3', '1.2.3.4.5', '01.2.3.4', '256.1.1.1', '1..2.3', '', '1.2.3.4 ']) {
      assert.ok(Number.isNaN(parseIpv4(bad)), bad)
    }
    assert.equal(parseIpv4('0.0.0.0'), 0)
  })

  test('a range holds exactly its addresses', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), fc.ipV4(), (base, bits, other) => {
        const size = 2 ** (32 - bits)
        const start = Math.floor(parseIpv4(base) / size) * size
        const text = [24, 16, 8, 0].map((shift) => Math.floor(start / 2 ** shift) % 256).join('.')
        const { lists } = listsOf({ 'x.csv': `cidr\n${text}/${bits}` })
        const inside = parseIpv4(other) >= start && parseIpv4(other) < start + size
        assert.equal(lists.named.get('x')?.has(other), inside)
      }),
    )
    assert.equal(parseCidr('1.2.3.4/33'), undefined)
    assert.equal(parseCidr('1.2.3.4/24'), undefined)
    assert.equal(parseCidr('1.2.3.0/24/1'), undefined)
    assert.equal(parseCidr('2001:db8::/129'), undefined)
  })
})
