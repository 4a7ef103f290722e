import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { listDialects, readDialect } from '../adapters/dialect-files.ts'
import { editionOf, mtiIn } from './edition.ts'
import { MAC_ALGORITHMS, MessageAuthentication, macKeyProblem, macOver } from './mac.ts'
import type { IsoMessage } from './message.ts'

const bytes = (hex: string) => Buffer.from(hex, 'hex')
const hex = (mac: Uint8Array) => Buffer.from(mac).toString('hex')
const RFC_4493_KEY = bytes('2b7e151628aed2a6abf7158809cf4f3c')

test('x9.19 on the data of ISO/IEC 9797-1 annex A', () => {
  const key = { algorithm: 'x9.19', key: bytes('0123456789abcdeffedcba9876543210') } as const
  assert.equal(hex(macOver(key, Buffer.from('Now is the time for all '))), 'a1c72e74ea3fa9b6')
})

test('x9.19 with both halves alike is single DES in CBC (FIPS 113)', () => {
  const key = { algorithm: 'x9.19', key: bytes('0123456789abcdef0123456789abcdef') } as const
  const data = Buffer.from('7654321 Now is the time for ')
  assert.equal(hex(macOver(key, data)), 'f1d30f6849312ca4')
})

test('aes-cmac on the examples of RFC 4493', () => {
  const key = { algorithm: 'aes-cmac', key: RFC_4493_KEY } as const
  for (const [message, mac] of [
    ['', 'bb1d6929e95937287fa37d129b756746'],
    ['6bc1bee22e409f96e93d7e117393172a', '070a16b46b4d4144f79bdd9dd04a287c'],
    [
      '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411',
      'dfa66747de9ae63030ca32611497c827',
    ],
  ] as const) {
    assert.equal(hex(macOver(key, bytes(message))), mac)
  }
})

test('hmac-sha256 on test case 2 of RFC 4231', () => {
  const mac = macOver(
    { algorithm: 'hmac-sha256', key: Buffer.from('Jefe') },
    Buffer.from('what do ya want for nothing?'),
  )
  assert.equal(hex(mac), '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')
})

test('a key of the wrong length is a problem', () => {
  for (const algorithm of MAC_ALGORITHMS) {
    assert.ok(macKeyProblem({ algorithm, key: new Uint8Array(15) }))
    assert.equal(macKeyProblem({ algorithm, key: new Uint8Array(16) }), undefined)
  }
})

for (const name of listDialects()) {
  test(`${name}: what is signed is right, and one changed byte is wrong`, () => {
    const loaded = readDialect(name)
    assert.ok(loaded.ok)
    const { dialect } = loaded
    const authentication = new MessageAuthentication(dialect)
    const key = { algorithm: 'x9.19', key: RFC_4493_KEY } as const
    for (const secondary of [undefined, '0000001234']) {
      const fields: (string | undefined)[] = []
      fields[7] = '1122100000'
      fields[39] = '0'.repeat(editionOf(dialect).codeDigits)
      // Defined in every preset, with digits; the code then stands in 128.
      if (secondary !== undefined) fields[100] = secondary
      const message: IsoMessage = { mti: mtiIn(editionOf(dialect), '0810'), fields }
      const signed = authentication.encode(message, key)
      assert.ok(signed.ok, JSON.stringify(signed))
      const decoded = dialect.decode(signed.bytes)
      assert.ok(decoded.ok)
      assert.ok(decoded.message.fields[secondary === undefined ? 64 : 128])
      const check = (changed: Uint8Array) => authentication.check(changed, decoded.message, key)
      assert.equal(check(signed.bytes), 'right')
      const other = { ...key, key: Buffer.alloc(16, 7) }
      assert.equal(authentication.check(signed.bytes, decoded.message, other), 'wrong')
      const coverEnd = signed.bytes.length - 16
      fc.assert(
        fc.property(fc.integer({ min: dialect.headerBytes, max: coverEnd - 1 }), (at) => {
          const changed = Buffer.from(signed.bytes)
          changed[at] = (changed[at] as number) ^ 1
          assert.equal(check(changed), 'wrong')
        }),
        { numRuns: 20 },
      )
      const absent = dialect.encode(message)
      assert.ok(absent.ok)
      assert.equal(authentication.check(absent.bytes, message, key), 'absent')
    }
  })
}

test('a code with fields behind it covers less than it should', () => {
  const loaded = readDialect('iso8583-1987-ascii')
  assert.ok(loaded.ok)
  const fields = []
  fields[64] = '0123456789ABCDEF'
  fields[70] = '301'
  const message = { mti: '0800', fields }
  const encoded = loaded.dialect.encode(message)
  assert.ok(encoded.ok)
  const key = { algorithm: 'hmac-sha256', key: RFC_4493_KEY } as const
  const authentication = new MessageAuthentication(loaded.dialect)
  assert.equal(authentication.check(encoded.bytes, message, key), 'misplaced')
})
