import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import fc from 'fast-check'
import { panOf } from './driver/mix.ts'
import { scanBytes, scanFolder } from './pan-scan.ts'

const pan = '4761739001010119'
const masked = '476173******0119'

const ascii = (digits: string) => Buffer.from(digits)
const ebcdic = (digits: string) => Buffer.from([...digits].map((digit) => 0xf0 + Number(digit)))
const bcd = (digits: string) => Buffer.from(digits, 'hex')
/** From the low nibble on, as after a field with an odd number of digits. */
const bcdShifted = (digits: string) => Buffer.from(`9${digits}1`, 'hex')

const raws: Readonly<Record<string, (digits: string) => Buffer>> = {
  ascii,
  ebcdic,
  bcd,
  bcdShifted,
}
const wraps: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  plain: (bytes) => bytes,
  hex: (bytes) => Buffer.from(bytes.toString('hex')),
  'upper-case hex': (bytes) => Buffer.from(bytes.toString('hex').toUpperCase()),
  base64: (bytes) => Buffer.from(bytes.toString('base64')),
  'base64 after one byte': (bytes) => base64After(bytes, 1),
  'base64 after two bytes': (bytes) => base64After(bytes, 2),
  base64url: (bytes) => Buffer.from(bytes.toString('base64url')),
}

function base64After(bytes: Buffer, count: number): Buffer {
  return Buffer.from(Buffer.concat([Buffer.alloc(count, 0xee), bytes]).toString('base64'))
}

for (const [rawName, raw] of Object.entries(raws)) {
  for (const [wrapName, wrap] of Object.entries(wraps)) {
    test(`finds a PAN planted in ${rawName}, ${wrapName}, between anything`, () => {
      fc.assert(
        fc.property(
          fc.uint8Array({ maxLength: 40 }),
          fc.uint8Array({ maxLength: 40 }),
          fc.nat(999_999),
          fc.constantFrom('476173', '541333'),
          (before, after, number, bin) => {
            const planted = panOf(bin, number)
            const bytes = Buffer.concat([before, wrap(raw(planted)), after])
            const found = scanBytes(bytes).map(({ maskedPan }) => maskedPan)
            const want = `${bin}******${planted.slice(-4)}`
            assert.ok(found.includes(want), `${want} not in ${found.join()}`)
          },
        ),
        { numRuns: 40 },
      )
    })
  }
}

test('says where and how', () => {
  const bytes = Buffer.concat([Buffer.from('"pan":"'), ascii(pan), Buffer.from('"')])
  assert.deepEqual(scanBytes(bytes), [{ encoding: 'ASCII', offset: 7, maskedPan: masked }])
})

const clean: readonly (readonly [string, Buffer])[] = [
  ['a mask', ascii(masked)],
  ['a wrong check digit', ascii('4761739001010118')],
  ['another BIN', ascii('4111111111111111')],
  ['a BIN alone', ascii('"bin":"476173"')],
  ['fifteen digits', ascii('476173900101011')],
  ['nothing', Buffer.alloc(0)],
]

for (const [name, bytes] of clean) {
  test(`finds nothing in ${name}`, () => assert.deepEqual(scanBytes(bytes), []))
}

test('random bytes are not full of PANs', () => {
  // 2^-24 for a BIN in BCD, times two BINs, ten decimal nibbles and a check digit: one in 5 * 10^9.
  assert.deepEqual(scanBytes(randomBytes(8_000_000)), [])
})

test('searches every file of a folder and counts what it read', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-scan-'))
  await mkdir(path.join(folder, 'deep', 'er'), { recursive: true })
  await writeFile(path.join(folder, 'clean.log'), 'nothing here\n')
  await writeFile(
    path.join(folder, 'deep', 'er', 'store'),
    Buffer.concat([Buffer.alloc(99), bcd(pan)]),
  )
  const { findings, files, bytes } = await scanFolder(folder)
  await rm(folder, { recursive: true })
  assert.deepEqual(
    findings.map(({ file, ...finding }) => ({ ...finding, file: path.basename(file) })),
    [{ encoding: 'BCD', offset: 99, maskedPan: masked, file: 'store' }],
  )
  assert.deepEqual([files, bytes], [2, 13 + 107])
})
