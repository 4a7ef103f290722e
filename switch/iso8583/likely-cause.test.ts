import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parse } from 'yaml'
import { loadDialect } from './load-dialect.ts'
import type { Dialect, FieldValue, IsoMessage } from './message.ts'

interface Words {
  mti: string
  bitmap: string
  bitmaps?: number
  version?: number
  header?: unknown
  fields: Record<string, Record<string, unknown>>
}

function words(preset: string): Words {
  const file = new URL(`dialects/${preset}.yaml`, import.meta.url)
  return parse(readFileSync(file, 'utf8')) as Words
}

function compile(spec: Words): Dialect {
  const loaded = loadDialect(JSON.stringify(spec), 'test')
  assert.ok(loaded.ok, JSON.stringify(loaded))
  return loaded.dialect
}

function authorization(): IsoMessage {
  const fields: (FieldValue | undefined)[] = []
  fields[2] = '541333008902001'
  fields[3] = '000000'
  fields[4] = '000000002599'
  fields[11] = '000123'
  fields[35] = '541333008902001D2912201'
  fields[41] = 'TERM0001'
  return { mti: '0100', fields }
}

/** Two ideas of the same dialect: how the peer writes, how we read, and what the problem says. */
const confusions: readonly {
  readonly title: string
  readonly preset: string
  readonly peer?: (spec: Words) => void
  readonly ours?: (spec: Words) => void
  readonly wire?: (bytes: Buffer) => Buffer
  readonly says: RegExp
}[] = [
  {
    title: 'a hex bitmap read as binary',
    preset: 'iso8583-1987-ascii',
    ours: (spec) => {
      spec.bitmap = 'binary'
    },
    says: /the bitmap was read as binary, the bytes look like ASCII hex/,
  },
  {
    title: 'a binary bitmap read as hex',
    preset: 'iso8583-1987-ascii',
    peer: (spec) => {
      spec.bitmap = 'binary'
    },
    says: /the bitmap was read as ASCII hex, the bytes look like binary/,
  },
  {
    title: 'an EBCDIC hex bitmap read as binary',
    preset: 'mastercard-cis',
    peer: (spec) => {
      spec.bitmap = 'ebcdichex'
    },
    says: /the bitmap was read as binary, the bytes look like EBCDIC hex/,
  },
  {
    title: 'a lower-case bitmap',
    preset: 'iso8583-1987-ascii',
    wire: (bytes) => Buffer.from(bytes.toString('latin1').replace('7020', '702a'), 'latin1'),
    says: /lower-case hex/,
  },
  {
    title: 'an ASCII MTI read as BCD',
    preset: 'iso8583-1987-binary',
    peer: (spec) => {
      spec.mti = 'ascii'
    },
    says: /the MTI was read as bcd, the bytes look like ascii/,
  },
  {
    title: 'a BCD MTI read as ASCII',
    preset: 'iso8583-1987-ascii',
    peer: (spec) => {
      spec.mti = 'bcd'
    },
    says: /the MTI was read as ascii, the bytes look like bcd/,
  },
  {
    title: 'an EBCDIC MTI read as ASCII',
    preset: 'mastercard-cis',
    ours: (spec) => {
      spec.mti = 'ascii'
    },
    says: /the MTI was read as ascii, the bytes look like ebcdic/,
  },
  {
    title: 'a frame length left on',
    preset: 'iso8583-1987-ascii',
    wire: (bytes) => Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes]),
    says: /take the length of the frame off/,
  },
  {
    title: 'a TPDU left on',
    preset: 'iso8583-1987-binary',
    wire: (bytes) => Buffer.concat([Buffer.from('6000010000', 'hex'), bytes]),
    says: /look like a TPDU/,
  },
  {
    title: 'a header that is not there',
    preset: 'iso8583-1987-ascii',
    ours: (spec) => {
      spec.header = [{ bytes: 5 }]
    },
    says: /without the header of 5 bytes/,
  },
  {
    title: 'sixteen bitmap bytes always',
    preset: 'iso8583-1987-ascii',
    peer: (spec) => {
      spec.bitmaps = 2
    },
    says: /`bitmaps: 2`/,
  },
  {
    title: 'an ETX left on',
    preset: 'iso8583-1987-ascii',
    wire: (bytes) => Buffer.concat([bytes, Buffer.of(3)]),
    says: /a single 03 is an end-of-text byte/,
  },
  {
    title: 'fill F where 0 is said',
    preset: 'iso8583-1987-binary',
    peer: (spec) => {
      spec.fields[2] = { ...spec.fields[2], fill: 'F' }
    },
    says: /`fill: F`/,
  },
  {
    title: 'fill on the other side',
    preset: 'iso8583-1987-binary',
    peer: (spec) => {
      spec.fields[2] = { ...spec.fields[2], padding: 'left' }
    },
    says: /`padding: left`/,
  },
  {
    title: 'an ASCII length read as BCD',
    preset: 'iso8583-1987-binary',
    peer: (spec) => {
      spec.fields[2] = { ...spec.fields[2], lengthPrefix: { encoding: 'ascii', digits: 2 } }
    },
    says: /the length was read as bcd, the bytes look like ASCII digits/,
  },
  {
    title: 'an EBCDIC length read as ASCII',
    preset: 'iso8583-1987-ascii',
    peer: (spec) => {
      spec.fields[2] = { ...spec.fields[2], lengthPrefix: { encoding: 'ebcdic', digits: 2 } }
    },
    says: /the length was read as ascii, the bytes look like EBCDIC digits/,
  },
  {
    title: 'EBCDIC text read as ASCII',
    preset: 'iso8583-1987-ascii',
    peer: (spec) => {
      spec.fields[41] = { encoding: 'ebcdic', length: 8 }
    },
    says: /the byte looks like EBCDIC/,
  },
  {
    title: 'a message cut short',
    preset: 'iso8583-1987-ascii',
    wire: (bytes) => bytes.subarray(0, bytes.length - 2),
    says: /the message was cut/,
  },
  {
    title: 'two messages in one frame',
    preset: 'iso8583-1987-binary',
    wire: (bytes) => Buffer.concat([bytes, bytes]),
    says: /two messages stand in one frame/,
  },
]

for (const { title, preset, peer, ours, wire, says } of confusions) {
  test(`the likely cause: ${title}`, () => {
    const theirs = words(preset)
    peer?.(theirs)
    const own = words(preset)
    ours?.(own)
    const message = authorization()
    if (preset === 'iso8583-1987-ascii') message.fields[35] = '541333008902001=2912201'
    if (preset === 'mastercard-cis') message.fields[35] = '541333008902001=2912201'
    const encoded = compile(theirs).encode(message)
    assert.ok(encoded.ok, JSON.stringify(encoded))
    const bytes = Buffer.from(encoded.bytes)
    const decoded = compile(own).decode(wire === undefined ? bytes : wire(bytes))
    assert.ok(!decoded.ok, 'it can be read all the same')
    assert.match(decoded.problem.message, says)
    assert.ok(!decoded.problem.message.includes('541333008902001'))
  })
}
