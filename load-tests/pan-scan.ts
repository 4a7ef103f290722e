// Looks for card numbers where none may be: logs, stores, Redis, reports. A PAN is found as
//
//   ASCII digits; EBCDIC digits (F0-F9); BCD, two digits a byte, starting at either nibble;
//   each of these again in hex (either case) and in base64 (standard or URL, at any offset).
//
// It is sought by its BIN, all of whose encodings are known byte strings, and believed when sixteen
// digits follow with a valid check digit. Hex of BCD is the digits themselves, so ASCII covers it.

import { opendir, open as openFile } from 'node:fs/promises'
import path from 'node:path'
import { maskPan, passesLuhn } from '#switch'

export interface PanFinding {
  readonly encoding: string
  /** Byte offset of the first byte that holds a part of it. */
  readonly offset: number
  readonly maskedPan: string
}

/** The BINs of this project's test cards. */
export const testBins: readonly string[] = ['476173', '541333']

/** Digits of a card of those BINs. */
const panDigits = 16

/** One digit in bits: what stands before its four, and how many bits it takes in all. */
interface Raw {
  readonly name: string
  readonly digitBits: 4 | 8
  /** High nibble of a digit's byte. */
  readonly zone: string
  /** Where in a byte a PAN may start. */
  readonly startBit: 0 | 4
}

const raws: readonly Raw[] = [
  { name: 'ASCII', digitBits: 8, zone: '0011', startBit: 0 },
  { name: 'EBCDIC', digitBits: 8, zone: '1111', startBit: 0 },
  { name: 'BCD', digitBits: 4, zone: '', startBit: 0 },
  { name: 'BCD', digitBits: 4, zone: '', startBit: 4 },
]

/** A byte string that betrays a BIN, and how to read the digits from around it. */
interface Needle {
  readonly encoding: string
  readonly bytes: Buffer
  /** Bytes between the start of the piece to decode and the needle. */
  readonly leadBytes: number
  /** Bytes of the piece that hold the whole PAN. */
  readonly pieceBytes: number
  /** Undoes hex or base64. */
  readonly decode: (piece: Buffer) => Buffer
  /** Where the PAN starts in the decoded piece. */
  readonly startBit: number
  readonly raw: Raw
}

/** All PANs of `bins` in some bytes, by offset. */
export function scanBytes(bytes: Buffer, bins: readonly string[] = testBins): PanFinding[] {
  const findings = new Map<string, PanFinding>()
  for (const needle of needlesOf(bins)) {
    let at = bytes.indexOf(needle.bytes)
    for (; at !== -1; at = bytes.indexOf(needle.bytes, at + 1)) {
      const from = at - needle.leadBytes
      if (from < 0) continue
      const piece = needle.decode(bytes.subarray(from, from + needle.pieceBytes))
      const digits = digitsAt(piece, needle.startBit, needle.raw)
      if (digits === undefined || !passesLuhn(digits)) continue
      if (!bins.some((bin) => digits.startsWith(bin))) continue
      const finding = { encoding: needle.encoding, offset: from, maskedPan: maskPan(digits) }
      findings.set(`${needle.encoding} ${from} ${digits}`, finding)
    }
  }
  return [...findings.values()].sort((a, b) => a.offset - b.offset)
}

const needleCache = new Map<string, readonly Needle[]>()

function needlesOf(bins: readonly string[]): readonly Needle[] {
  const key = bins.join()
  const cached = needleCache.get(key)
  if (cached !== undefined) return cached
  const needles = bins.flatMap((bin) =>
    raws.flatMap((raw) => [
      plainNeedle(bin, raw),
      ...(raw.digitBits === 8 ? hexNeedles(bin, raw) : []),
      ...base64Needles(bin, raw),
    ]),
  )
  needleCache.set(key, needles)
  return needles
}

function plainNeedle(bin: string, raw: Raw): Needle {
  const { units, skipped } = wholeUnits(bitsOf(bin, raw), raw.startBit, 8)
  return {
    encoding: raw.name,
    bytes: Buffer.from(units),
    leadBytes: skipped,
    pieceBytes: Math.ceil((raw.startBit + panDigits * raw.digitBits) / 8),
    decode: (piece) => piece,
    startBit: raw.startBit,
    raw,
  }
}

function hexNeedles(bin: string, raw: Raw): Needle[] {
  const { units } = wholeUnits(bitsOf(bin, raw), 0, 8)
  const hex = Buffer.from(units).toString('hex')
  return [...new Set([hex, hex.toUpperCase()])].map((text) => ({
    encoding: `${raw.name} in hex`,
    bytes: Buffer.from(text),
    leadBytes: 0,
    pieceBytes: panDigits * 2,
    decode: (piece) => Buffer.from(piece.toString('latin1'), 'hex'),
    startBit: 0,
    raw,
  }))
}

/** Base64 writes six bits a character, so what comes before shifts the BIN by 0, 8 or 16 bits. */
function base64Needles(bin: string, raw: Raw): Needle[] {
  const bits = bitsOf(bin, raw)
  return [0, 8, 16].flatMap((shift) => {
    const startBit = shift + raw.startBit
    const { units, skipped } = wholeUnits(bits, startBit, 6)
    return base64Alphabets.map((alphabet) => ({
      encoding: `${raw.name} in base64`,
      bytes: Buffer.from(units.map((unit) => alphabet[unit]).join('')),
      leadBytes: skipped,
      pieceBytes: Math.ceil((startBit + panDigits * raw.digitBits) / 6),
      // Characters wholly before the PAN may be no base64 at all, and are not needed.
      decode: (piece: Buffer) => decodeBase64(piece, Math.floor(startBit / 6)),
      startBit,
      raw,
    }))
  })
}

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const base64Alphabets = [`${letters}+/`, `${letters}-_`] as const

function decodeBase64(piece: Buffer, foreign: number): Buffer {
  return Buffer.from('A'.repeat(foreign) + piece.toString('latin1', foreign), 'base64')
}

function bitsOf(digits: string, raw: Raw): string {
  let bits = ''
  for (const digit of digits) bits += raw.zone + Number(digit).toString(2).padStart(4, '0')
  return bits
}

/**
 * The units of `unitBits` that `bits`, starting at `startBit`, fill entirely; and how many precede.
 */
function wholeUnits(bits: string, startBit: number, unitBits: number) {
  const skipped = Math.ceil(startBit / unitBits)
  const units: number[] = []
  for (let at = skipped * unitBits - startBit; at + unitBits <= bits.length; at += unitBits) {
    units.push(Number.parseInt(bits.slice(at, at + unitBits), 2))
  }
  return { units, skipped }
}

/** Sixteen digits from a bit on; undefined where it isn't all digits. */
function digitsAt(bytes: Buffer, startBit: number, raw: Raw): string | undefined {
  let digits = ''
  for (let i = 0; i < panDigits; i++) {
    const bit = startBit + i * raw.digitBits
    const byte = bytes[bit >> 3]
    if (byte === undefined) return undefined
    const isHighNibble = raw.digitBits === 4 && bit % 8 === 0
    const nibble = isHighNibble ? byte >> 4 : byte & 15
    if (nibble > 9) return undefined
    if (raw.digitBits === 8 && byte >> 4 !== Number.parseInt(raw.zone, 2)) return undefined
    digits += nibble
  }
  return digits
}

export interface FileFinding extends PanFinding {
  readonly file: string
}

/** A file is read in pieces that overlap by more than the longest form of a PAN. */
const pieceBytesMax = 64 * 1024 * 1024
const overlapBytes = 256

/** All PANs in the files of a folder and the folders below it, with how much was looked at. */
export async function scanFolder(
  folder: string,
): Promise<{ findings: FileFinding[]; files: number; bytes: number }> {
  const result = { findings: [] as FileFinding[], files: 0, bytes: 0 }
  for await (const entry of await opendir(folder, { recursive: true })) {
    if (!entry.isFile()) continue
    const file = path.join(entry.parentPath, entry.name)
    result.files++
    for await (const { bytes, position } of piecesOf(file)) {
      result.bytes += bytes.length
      for (const finding of scanBytes(bytes)) {
        result.findings.push({ ...finding, offset: position + finding.offset, file })
      }
    }
  }
  return result
}

async function* piecesOf(file: string): AsyncGenerator<{ bytes: Buffer; position: number }> {
  const handle = await openFile(file, 'r')
  try {
    const { size } = await handle.stat()
    const buffer = Buffer.alloc(Math.min(size, pieceBytesMax))
    for (let position = 0; position < size; position += pieceBytesMax - overlapBytes) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, position)
      yield { bytes: buffer.subarray(0, bytesRead), position }
      if (position + bytesRead >= size) return
    }
  } finally {
    await handle.close()
  }
}
