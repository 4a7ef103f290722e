// `switchyard iso8583`: messages between hex, JSON and people, one line in and one line out.

import type { Readable, Writable } from 'node:stream'
import type { Command } from 'commander'
import { listDialects, readDialect } from '../adapters/dialect-files.ts'
import {
  type Diagnosis,
  type Dialect,
  diagnose,
  type FieldValue,
  type IsoMessage,
  type IsoProblem,
  type MaskedValue,
  maskMessage,
  messageFromJson,
  messageToJson,
  printDialectProblem,
} from '../iso8583/index.ts'

/** A message of 65,535 bytes is 131,070 hex characters, or 393,210 where JSON escapes each. */
const lineBytesMax = 1_048_576

const DIALECT_DEFAULT = 'iso8583-1987-ascii'

/** A network management message without more than it must have, in the default dialect. */
const JSON_EXAMPLE = '{"mti": "0800", "fields": {"7": "1122100000", "11": "000001"}}'
const HEX_EXAMPLE = '303830303032323030303030303030303030303031313232313030303030303030303031'

interface Answer {
  readonly text: string
  readonly isProblem: boolean
}

type AnswerLine = (line: string) => Answer

export function registerIso8583(program: Command): void {
  const iso8583 = program
    .command('iso8583')
    .description('decode, encode and describe ISO 8583 messages, one a line')
  const names = listDialects().join(', ')
  const dialectHelp = `a dialect file (YAML or JSON), or one of: ${names}`
  iso8583
    .command('decode')
    .description('hex lines from standard input to {"mti", "fields"} or {"error"} a line')
    .option('--dialect <file>', dialectHelp, DIALECT_DEFAULT)
    .addHelpText('after', example('decode', HEX_EXAMPLE))
    .action((options: { dialect: string }) =>
      run(options.dialect, 'hex', (dialect) => (line) => decodeLine(dialect, line)),
    )
  iso8583
    .command('encode')
    .description('{"mti", "fields"} lines from standard input to {"hex"} or {"error"} a line')
    .option('--dialect <file>', dialectHelp, DIALECT_DEFAULT)
    .addHelpText('after', example('encode', JSON_EXAMPLE))
    .action((options: { dialect: string }) =>
      run(options.dialect, 'JSON', (dialect) => (line) => encodeLine(dialect, line)),
    )
  iso8583
    .command('describe')
    .description('hex lines from standard input, for people; card data is masked')
    .option('--dialect <file>', dialectHelp, DIALECT_DEFAULT)
    .option('--unmask', 'show card data in clear')
    .addHelpText('after', example('describe', HEX_EXAMPLE))
    .action((options: { dialect: string; unmask?: boolean }) =>
      run(
        options.dialect,
        'hex',
        (dialect) => (line) => describeLine(dialect, line, options.unmask === true),
      ),
    )
  registerDoctor(iso8583)
}

function registerDoctor(iso8583: Command): void {
  iso8583
    .command('doctor')
    .description('hex lines of unknown messages: which presets and framings read them, and why')
    .option('--dialect <file...>', 'only these dialect files or presets, instead of all presets')
    .option('--json', 'a line a message: {"candidates": [{"dialect", "framing", "score", ...}]}')
    .addHelpText('after', example('doctor', HEX_EXAMPLE))
    .action(async (options: { dialect?: string[]; json?: boolean }) => {
      const dialects: Dialect[] = []
      for (const name of options.dialect ?? listDialects()) {
        const loaded = readDialect(name)
        if (loaded.ok) dialects.push(loaded.dialect)
        else for (const problem of loaded.problems) console.error(printDialectProblem(problem))
      }
      if (dialects.length < (options.dialect ?? listDialects()).length) {
        process.exitCode = 2
        return
      }
      await answer('hex', (line) => doctorLine(dialects, line, options.json === true))
    })
}

/** A line that works as it stands, in any clone. */
function example(command: string, input: string): string {
  return `\nExample:\n  $ echo '${input}' | npx switchyard iso8583 ${command}`
}

async function run(
  name: string,
  what: 'hex' | 'JSON',
  answerWith: (dialect: Dialect) => AnswerLine,
): Promise<void> {
  const loaded = readDialect(name)
  if (!loaded.ok) {
    for (const problem of loaded.problems) console.error(printDialectProblem(problem))
    process.exitCode = 2
    return
  }
  await answer(what, answerWith(loaded.dialect))
}

async function answer(what: 'hex' | 'JSON', answerLine: AnswerLine): Promise<void> {
  if (process.stdin.isTTY) console.error(`type ${what} lines, Ctrl-D ends`)
  const problems = await answerLines(process.stdin, process.stdout, answerLine)
  process.exitCode = problems === 0 ? 0 : 1
}

/**
 * Answers every line of `input`, a blank one too, in order. What is complete is written before more
 * is read. Resolves with the number of answers that were problems.
 */
export async function answerLines(
  input: Readable,
  output: Writable,
  answer: AnswerLine,
): Promise<number> {
  let problems = 0
  /** The line that has begun; cut where it is too long, so that memory is bounded. */
  let begun: Buffer[] = []
  let begunBytes = 0
  const keep = (part: Buffer): void => {
    if (begunBytes <= lineBytesMax && part.length > 0) begun.push(Buffer.from(part))
    begunBytes += part.length
  }
  const finish = (): string => {
    const line = Buffer.concat(begun).toString('utf8')
    const isTooLong = begunBytes > lineBytesMax
    begun = []
    begunBytes = 0
    const { text, isProblem } = isTooLong ? tooLong() : answer(line.replace(/\r$/, ''))
    if (isProblem) problems++
    return `${text}\n`
  }
  for await (const chunk of input) {
    const bytes = Buffer.from(chunk as Uint8Array)
    let from = 0
    let text = ''
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, from)) {
      keep(bytes.subarray(from, end))
      text += finish()
      from = end + 1
    }
    keep(bytes.subarray(from))
    await write(output, text)
  }
  if (begunBytes > 0) await write(output, finish())
  return problems
}

function write(output: Writable, text: string): Promise<void> {
  if (text === '') return Promise.resolve()
  return new Promise((resolve, reject) => {
    output.write(text, (error) => (error ? reject(error) : resolve()))
  })
}

/** A hex line as `{"mti", "fields"}` or `{"error"}`. */
export function decodeLine(dialect: Dialect, line: string): Answer {
  const read = readHex(dialect, line)
  return 'message' in read
    ? { text: messageToJson(read.message), isProblem: false }
    : problemAnswer(read.problem)
}

/** A `{"mti", "fields"}` line as `{"hex"}` or `{"error"}`. */
export function encodeLine(dialect: Dialect, line: string): Answer {
  const read = messageFromJson(line)
  if (!read.ok) return problemAnswer(read.problem)
  const encoded = dialect.encode(read.message)
  if (!encoded.ok) return problemAnswer(encoded.problem)
  const hex = Buffer.from(encoded.bytes).toString('hex').toUpperCase()
  return { text: `{"hex": "${hex}"}`, isProblem: false }
}

/** A hex line as a page for people: names beside fields, card data masked unless `unmask`. */
export function describeLine(dialect: Dialect, line: string, unmask: boolean): Answer {
  const read = readHex(dialect, line)
  if (!('message' in read)) {
    const { code, offset, field, message } = read.problem
    return { text: `${code} at byte ${offset}, in ${field}: ${message}\n`, isProblem: true }
  }
  const { message } = read
  const masked = maskMessage(message)
  const rows = [`MTI ${message.mti}`]
  message.fields.forEach((value, field) => {
    if (value === undefined) return
    const shown = unmask ? value : (masked.fields[field] ?? '')
    rows.push(...describeValue(dialect, String(field), 3, shown))
  })
  return { text: `${rows.join('\n')}\n`, isProblem: false }
}

/** How many ways to read a message are shown to people. */
const candidatesShown = 3

/** A hex line as the ways to read it, best first; a problem where none reads it whole. */
export function doctorLine(dialects: readonly Dialect[], line: string, asJson: boolean): Answer {
  const read = bytesOf(line)
  if ('problem' in read) return problemAnswer(read.problem)
  const found = diagnose(read.bytes, dialects)
  const isProblem = found[0]?.problem !== null
  if (asJson) {
    const candidates = found.map(({ problem, ...rest }) => ({ ...rest, error: problem }))
    return { text: JSON.stringify({ candidates }), isProblem }
  }
  const rows = found.slice(0, candidatesShown).flatMap((candidate, i) => doctorRows(i, candidate))
  return { text: `${rows.join('\n')}\n`, isProblem }
}

function doctorRows(index: number, { dialect, framing, score, reasons }: Diagnosis): string[] {
  const head = `${index + 1}. ${dialect}, framing: ${framing} (${score} of 100)`
  return [head, ...reasons.map((reason) => `   ${printable(reason)}`)]
}

/** A row for the value at `path`, and one for each of its tags or subfields, further in. */
function describeValue(
  dialect: Dialect,
  path: string,
  indent: number,
  value: FieldValue | MaskedValue,
): string[] {
  const name = dialect.fieldName(path)
  const label = `${path.padStart(indent)}  ${name === `field ${path}` ? '' : name}`
  if (typeof value === 'string') return [`${label.padEnd(49)} ${printable(value)}`]
  const parts = value instanceof Map ? [...value] : Object.entries(value)
  const rows = parts.flatMap(([key, part]) => {
    const inner = `${path}.${key}`
    return describeValue(dialect, inner, indent + inner.length - path.length + 2, part)
  })
  return [label.trimEnd(), ...rows]
}

/** A terminal must not run what a message says. */
function printable(text: string): string {
  const visible = (character: string): string => {
    const code = character.charCodeAt(0)
    return code < 32 || (code > 126 && code < 160) ? '.' : character
  }
  return [...text].map(visible).join('')
}

type Read = { readonly message: IsoMessage } | { readonly problem: IsoProblem }

function readHex(dialect: Dialect, line: string): Read {
  const read = bytesOf(line)
  if ('problem' in read) return read
  const decoded = dialect.decode(read.bytes)
  return decoded.ok ? { message: decoded.message } : { problem: decoded.problem }
}

function bytesOf(line: string): { readonly bytes: Buffer } | { readonly problem: IsoProblem } {
  const hex = line.trim()
  const wrong = hex.search(/[^0-9A-Fa-f]/)
  if (wrong >= 0 || hex.length % 2 === 1) {
    const message =
      wrong >= 0 ? `character ${wrong + 1} of the line is not hex` : 'the line has half a byte'
    const offset = (wrong >= 0 ? wrong : hex.length) >> 1
    return { problem: { code: 'bad_character', offset, field: 'mti', message } }
  }
  return { bytes: Buffer.from(hex, 'hex') }
}

function problemAnswer(problem: IsoProblem): Answer {
  const { code, offset, field, message } = problem
  return { text: JSON.stringify({ error: { code, offset, field, message } }), isProblem: true }
}

function tooLong(): Answer {
  const message = `a line has ${lineBytesMax} bytes at most`
  return problemAnswer({ code: 'too_long', offset: lineBytesMax, field: 'mti', message })
}
