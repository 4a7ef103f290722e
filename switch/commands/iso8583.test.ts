import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable, Writable } from 'node:stream'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readDialect } from '../adapters/dialect-files.ts'
import { loadDialect } from '../iso8583/index.ts'
import { answerLines, decodeLine, describeLine, doctorLine, encodeLine } from './iso8583.ts'

const loaded = readDialect('iso8583-1987-ascii')
assert.ok(loaded.ok)
const { dialect } = loaded
const text = '01006020000000000000164761739001010119000000000123'
const hex = Buffer.from(text).toString('hex').toUpperCase()
const json = '{"mti": "0100", "fields": {"2": "4761739001010119", "3": "000000", "11": "000123"}}'

async function answers(
  input: readonly string[],
  answer: (line: string) => string,
): Promise<string[]> {
  const output: string[] = []
  const sink = new Writable({
    write: (chunk, _encoding, done) => {
      output.push(String(chunk))
      done()
    },
  })
  const chunks = input.map((text) => Buffer.from(text))
  await answerLines(Readable.from(chunks), sink, (line) => ({
    text: answer(line),
    isProblem: false,
  }))
  const lines = output.join('').split('\n')
  assert.equal(lines.pop(), '')
  return lines
}

test('one answer for every line, a blank one too, however the input is cut', async () => {
  const echo = (line: string): string => `<${line}>`
  assert.deepEqual(await answers(['a\n\nb\r\n', 'c', 'd\n', '\n'], echo), [
    '<a>',
    '<>',
    '<b>',
    '<cd>',
    '<>',
  ])
  assert.deepEqual(await answers(['last line without an end'], echo), [
    '<last line without an end>',
  ])
  assert.deepEqual(await answers([], echo), [])
  assert.deepEqual(await answers(['\u00e9'.repeat(2), '\n'], echo), ['<\u00e9\u00e9>'])
})

test('a line that is too long is answered, and the next is read', async () => {
  const long = 'A'.repeat(2_000_000)
  const [first, second] = await answers([long, '\nb\n'], (line) => line)
  assert.match(first ?? '', /too_long/)
  assert.equal(second, 'b')
})

test("decode and encode are each other's mirror", () => {
  assert.deepEqual(decodeLine(dialect, hex), { text: json, isProblem: false })
  assert.deepEqual(encodeLine(dialect, json), { text: `{"hex": "${hex}"}`, isProblem: false })
})

test('what can not be read is an error with its place', () => {
  for (const [line, field, offset] of [
    ['', 'mti', 0],
    ['303', 'mti', 1],
    ['3031zz', 'mti', 2],
    [`${hex}00`, 'end', 50],
  ] as const) {
    const answer = decodeLine(dialect, line)
    assert.equal(answer.isProblem, true)
    const { error } = JSON.parse(answer.text) as { error: Record<string, unknown> }
    assert.deepEqual(Object.keys(error), ['code', 'offset', 'field', 'message'])
    assert.deepEqual([error.field, error.offset], [field, offset])
  }
  assert.equal(JSON.parse(encodeLine(dialect, '').text).error.field, 'mti')
})

test('describe masks unless it is told not to, and prints no control characters', () => {
  const masked = describeLine(dialect, hex, false).text
  assert.match(masked, /2 {2}Primary account number +476173\*{6}0119/)
  assert.ok(!masked.includes('4761739001010119'))
  assert.match(describeLine(dialect, hex, true).text, /4761739001010119/)
  const bell = encodeLine(dialect, '{"mti": "0100", "fields": {"41": "AB\\u001b[31m!"}}').text
  const shown = describeLine(dialect, JSON.parse(bell).hex, false).text
  assert.ok(!shown.includes('\u001b'))
})

test('describe shows subfields by their paths, masked where their field is', () => {
  const words = {
    mti: 'bcd',
    bitmap: 'binary',
    fields: {
      43: { encoding: 'ascii', length: 5, subfields: { 1: { name: 'City', length: 5 } } },
      48: { encoding: 'ascii', length: 3, subfields: { 1: { length: 3 } } },
    },
  }
  const divided = loadDialect(JSON.stringify(words), 'divided')
  assert.ok(divided.ok)
  const line = `01000000000000210000${Buffer.from('PARIS123').toString('hex')}`
  const masked = describeLine(divided.dialect, line, false).text
  assert.match(masked, /43\.1 {2}City +PARIS/)
  assert.match(masked, /48\.1 +\[3 characters removed\]/)
  assert.match(describeLine(divided.dialect, line, true).text, /48\.1 +123/)
})

test('doctor ranks, for people and as JSON, and says where hex ends', () => {
  const framed = `0032${hex}`
  const people = doctorLine([dialect], framed, false)
  assert.equal(people.isProblem, false)
  assert.match(people.text, /^1\. iso8583-1987-ascii, framing: 2-byte length \([0-9]+ of 100\)\n/)
  assert.ok(!people.text.includes('4761739001010119'))
  const { candidates } = JSON.parse(doctorLine([dialect], framed, true).text)
  assert.deepEqual([candidates[0].fields, candidates[0].error], [3, null])
  assert.equal(candidates[1].error.field, 'mti')
  const broken = doctorLine([dialect], hex.slice(0, -2), false)
  assert.equal(broken.isProblem, true)
  assert.match(broken.text, /stops at byte 44 of 49, in 11/)
  assert.equal(JSON.parse(doctorLine([dialect], '3', true).text).error.field, 'mti')
})

test('the command: exit 0 fine, 1 a line was wrong, 2 wrong use', () => {
  const bin = fileURLToPath(new URL('./switchyard.js', import.meta.url))
  const folder = mkdtempSync(path.join(tmpdir(), 'iso8583-'))
  const run = (args: readonly string[], input: string) =>
    spawnSync(process.execPath, [bin, 'iso8583', ...args], { input, encoding: 'utf8' })
  try {
    const fine = run(['decode', '--dialect', 'iso8583-1987-ascii'], `${hex}\n`)
    assert.deepEqual([fine.status, fine.stdout, fine.stderr], [0, `${json}\n`, ''])
    const bad = path.join(folder, 'bad.yaml')
    writeFileSync(bad, 'mti: ascii\nbitmap: hex\nfields: {}\n')
    const refused = run(['decode', '--dialect', bad], '')
    assert.deepEqual([refused.status, refused.stdout], [2, ''])
    assert.match(refused.stderr, /bad\.yaml:2: bitmap: must be one of/)
    const own = path.join(folder, 'own.json')
    writeFileSync(
      own,
      '{"mti":"ascii","bitmap":"asciihex","fields":{"3":{"encoding":"ascii","length":6}}}',
    )
    const doctor = run(['doctor', '--json'], `${hex}\n`)
    assert.deepEqual([doctor.status, doctor.stderr], [0, ''])
    assert.equal(JSON.parse(doctor.stdout).candidates[0].dialect, 'iso8583-1987-ascii')
    assert.equal(run(['doctor', '--dialect', bad], '').status, 2)
    const wrong = run(['encode', '--dialect', own], '{"mti": "0100", "fields": {"3": "1"}}\n\n')
    assert.equal(wrong.status, 1)
    assert.equal(wrong.stdout.split('\n').length, 3)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
