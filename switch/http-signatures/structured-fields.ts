// Structured field values (RFC 8941), as far as signatures need them: a dictionary of byte
// sequences and of inner lists of strings with parameters.
//
//   dictionary = key "=" ( inner-list / bytes ) parameters *( "," ... )
//   inner-list = "(" string parameters *( SP string parameters ) ")"
//   parameters = *( ";" key [ "=" ( string / integer / token / bytes ) ] )
//
// What is read is kept exact enough to be written again to the same bytes, since a signature
// covers the serialized form.

/** A parameter's value: a string, an integer, or true where it has none. */
export type ParameterValue = string | number | true

export type Parameters = ReadonlyMap<string, ParameterValue>

/** A component's name, such as `@method`, with its own parameters. */
export interface ListItem {
  readonly value: string
  readonly parameters: Parameters
}

export interface InnerList {
  readonly kind: 'list'
  readonly items: readonly ListItem[]
  readonly parameters: Parameters
}

export interface ByteSequence {
  readonly kind: 'bytes'
  readonly bytes: Uint8Array
}

export type Dictionary = ReadonlyMap<string, InnerList | ByteSequence>

const KEY = /[a-z*][a-z0-9_.*-]*/y
const STRING = /"((?:[ !#-[\]-~]|\\["\\])*)"/y
const INTEGER = /-?[0-9]{1,15}(?![0-9.])/y
const BYTES = /:([A-Za-z0-9+/]*={0,2}):/y
const SPACES = / +/y
const COMMA = /[ \t]*,[ \t]*/y

/** Reads a dictionary; undefined where the text is not one that is spoken here. Never throws. */
export function readDictionary(text: string): Dictionary | undefined {
  const reader = new Reader(text.trim())
  const dictionary = new Map<string, InnerList | ByteSequence>()
  for (;;) {
    const key = reader.take(KEY)
    if (key === undefined || !reader.skip('=')) return undefined
    const member = reader.peek(':') ? readBytes(reader) : readInnerList(reader)
    if (member === undefined) return undefined
    // The last of a repeated key wins (RFC 8941, 4.2.2): two readers could disagree, so refused.
    if (dictionary.has(key[0])) return undefined
    dictionary.set(key[0], member)
    if (reader.isAtEnd) return dictionary
    if (reader.take(COMMA) === undefined) return undefined
  }
}

/** Writes an inner list with its parameters, as `@signature-params` has it. */
export function writeInnerList(list: InnerList): string {
  return `(${list.items.map(writeItem).join(' ')})${writeParameters(list.parameters)}`
}

export function writeItem(item: ListItem): string {
  return `${writeString(item.value)}${writeParameters(item.parameters)}`
}

function writeParameters(parameters: Parameters): string {
  let text = ''
  for (const [name, value] of parameters) {
    text += `;${name}`
    if (typeof value === 'string') text += `=${writeString(value)}`
    else if (typeof value === 'number') text += `=${value}`
  }
  return text
}

function writeString(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}

function readInnerList(reader: Reader): InnerList | undefined {
  if (!reader.skip('(')) return undefined
  const items: ListItem[] = []
  for (;;) {
    reader.take(SPACES)
    if (reader.skip(')')) break
    const value = readString(reader)
    if (value === undefined) return undefined
    const parameters = readParameters(reader)
    if (parameters === undefined) return undefined
    items.push({ value, parameters })
    if (!reader.peek(' ') && !reader.peek(')')) return undefined
  }
  const parameters = readParameters(reader)
  return parameters === undefined ? undefined : { kind: 'list', items, parameters }
}

function readBytes(reader: Reader): ByteSequence | undefined {
  const found = reader.take(BYTES)
  if (found === undefined || readParameters(reader) === undefined) return undefined
  return { kind: 'bytes', bytes: Buffer.from(found[1] ?? '', 'base64') }
}

function readParameters(reader: Reader): Parameters | undefined {
  const parameters = new Map<string, ParameterValue>()
  while (reader.skip(';')) {
    reader.take(SPACES)
    const key = reader.take(KEY)
    if (key === undefined || parameters.has(key[0])) return undefined
    if (!reader.skip('=')) {
      parameters.set(key[0], true)
      continue
    }
    const value = reader.peek('"') ? readString(reader) : readInteger(reader)
    if (value === undefined) return undefined
    parameters.set(key[0], value)
  }
  return parameters
}

function readString(reader: Reader): string | undefined {
  return reader.take(STRING)?.[1]?.replace(/\\(["\\])/g, '$1')
}

function readInteger(reader: Reader): number | undefined {
  const found = reader.take(INTEGER)
  return found === undefined ? undefined : Number(found[0])
}

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length
  }

  peek(character: string): boolean {
    return this.#text[this.#at] === character
  }

  skip(character: string): boolean {
    if (!this.peek(character)) return false
    this.#at++
    return true
  }

  /** What a sticky pattern matches here, or undefined, and then nothing is taken. */
  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)
    if (found === null) return undefined
    this.#at += found[0].length
    return found
  }
}
