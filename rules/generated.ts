// The files that are made from the vocabulary and the file shapes: JSON Schemas for editors and the
// page that analysts look names up in. They are checked in; a test says when they are stale, and
// `switchyard rules generate` writes them anew.

import { ENTITIES } from './aggregate.ts'
import { degradationShape } from './degradation.ts'
import {
  AGGREGATE_FUNCTIONS,
  ENTITY_PATHS,
  FACT_NAMES,
  type FactName,
  PLAIN_FUNCTIONS,
} from './language/index.ts'
import { packTestShape } from './pack-test.ts'
import type { RuleFile } from './problem.ts'
import { packShape, ruleShape } from './rule-file.ts'
import { jsonSchema, type Shape } from './yaml/index.ts'

/** Names relative to `rules/`, with their texts. */
export function generatedFiles(): readonly RuleFile[] {
  return [
    schemaFile('rule.schema.json', 'A pack of fraud rules', packShape),
    schemaFile(
      'degradation.schema.json',
      'What is decided when a part is missing',
      degradationShape,
    ),
    schemaFile('test.schema.json', 'Tests of a pack of fraud rules', packTestShape),
    { name: 'docs/language.md', text: languagePage() },
  ]
}

function schemaFile(name: string, title: string, shape: Shape): RuleFile {
  const schema = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title,
    ...jsonSchema(shape),
  }
  return { name, text: `${printJson(schema, '', '')}\n` }
}

/** JSON as the formatter of this project leaves it: short lists of words stay on one line. */
function printJson(value: unknown, indent: string, before: string): string {
  if (Array.isArray(value)) {
    const inline = `[${value.map((item) => JSON.stringify(item)).join(', ')}]`
    const fits = indent.length + before.length + inline.length + 1 <= 100
    if (fits || value.length === 0) return inline
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const inner = `${indent}  `
  const lines = Object.entries(value).map(([name, item]) => {
    const prefix = Array.isArray(value) ? '' : `${JSON.stringify(name)}: `
    return `${inner}${prefix}${printJson(item, inner, prefix)}`
  })
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  return `${open}\n${lines.join(',\n')}\n${indent}${close}`
}

/** Every example of the page; a test checks each against the language. */
export function documentedExamples(): readonly string[] {
  return [
    ...FACT_NAMES.map((fact) => fact.example),
    ...AGGREGATE_FUNCTIONS.map((entry) => entry.example),
    ...PLAIN_FUNCTIONS.map((entry) => entry.example),
    ...walkthrough.map(([condition]) => condition),
  ]
}

const walkthrough: readonly (readonly [string, string])[] = [
  ['channel == "ecommerce" && baseAmount <= 500 && count(device, "10m") >= 8', 'card testing'],
  ['card.country in ["DE", "AT", "CH"] || threeDs.status == "authenticated"', 'one of several'],
  ['!(has(threeDs.status) && threeDs.status == "authenticated")', 'no successful 3-D Secure'],
  ['double(baseAmount) >= 5.0 * avg(card, "30d")', 'decimals stand with decimals: 5.0, not 5'],
  ['(channel == "atm" ? 20000 : 100000) <= baseAmount', 'a limit that depends on the channel'],
]

/** A Markdown table, its columns padded as the formatter does. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const escaped = rows.map((cells) => cells.map((cell) => cell.replaceAll('|', '\\|')))
  const widths = head.map((cell, column) =>
    Math.max(cell.length, ...escaped.map((cells) => cells[column]?.length ?? 0)),
  )
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |\n`
  const rule = line(widths.map((width) => '-'.repeat(width)))
  return line(head) + rule + escaped.map(line).join('')
}

const kindNames = { int: 'whole number', double: 'decimal', string: 'text', bool: 'true/false' }

function factRow(fact: FactName): readonly string[] {
  const words = fact.values === undefined ? '' : `: ${fact.values.map((v) => `"${v}"`).join(', ')}`
  const presence = fact.always ? 'always' : 'may be unknown'
  const example = `\`${fact.example}\``
  return [`\`${fact.path}\``, kindNames[fact.kind], presence, `${fact.meaning}${words}`, example]
}

/** The fields of a record, as table rows. */
function fieldRows(shape: Shape): readonly (readonly string[])[] {
  if (shape.kind !== 'record') return []
  return Object.entries(shape.fields).map(([name, { required, description }]) => [
    `\`${name}\``,
    required ? 'required' : '',
    description,
  ])
}

/** A pack that has every field; a test loads it. */
export const documentedPack = `typology: example
title: A pack with everything in it
channels: [ecommerce, moto]
acquirers: [demo]
disclose: false
rules:
  - id: example.listed
    title: The card is on a list
    mode: live
    when: inList(card, "stolen-cards")
    outcome: decline
    reason: card_listed
    rollout: 25
    active: { from: "22:00", to: "06:00", days: [fri, sat], timeZone: Europe/Berlin }
    snooze:
      - { entity: merchant, value: M-1001, until: 2026-12-31, by: fraud-desk, why: agreed test }

  - id: example.trusted
    title: A merchant that is trusted whatever other rules say
    mode: shadow
    when: inList(merchant, "trusted-merchants")
    outcome: approve
    overrides: decline
    reason: merchant_trusted
`

/** A list as it is documented; a test loads it. */
export const documentedList = `# Reported by issuers. Cards stand as tokens: rules lists add-card
value,until,added,by,why
tok_AAAAAAAAAAAAAAAAAAAAAA,,2026-11-20,fraud-desk,reported stolen
tok_BBBBBBBBBBBBBBBBBBBBBB,2026-12-31,2026-11-21,fraud-desk,"disputed, under review"
`

const listKinds: readonly (readonly string[])[] = [
  ['`value`', 'exactly this text', '`M-1001`'],
  ['`from,to`', 'texts of the same length, both ends included', '`3000,3299`'],
  ['`binFrom,binTo`', 'BINs of 6 to 8 digits, both ends included', '`476173,47617399`'],
  ['`cidr`', 'addresses, IPv4 or IPv6', '`203.0.113.0/24`'],
]

function filesPart(): string {
  return `## A pack

\`packs/<typology>.yaml\`. The worst outcome of the rules that fire wins: approve < review <
challenge < decline. An approve rule beats review and challenge, and decline too where it says
\`overrides: decline\`.

\`\`\`yaml
${documentedPack}\`\`\`

${table(['field of a pack', '', 'meaning'], fieldRows(packShape))}
${table(['field of a rule', '', 'meaning'], fieldRows(ruleShape))}
What a pack or a rule says of its channels, hours, share of cards and snoozes is compared with the
request and with the time of its arrival; outside of it the rule does not fire. Hours past midnight
belong to the day on which they start. A card is in a rule's roll-out or not by its token: it stays
there, and whoever is in the first 10% is in the first 25% too.

## A list

\`lists/<name>.csv\`: a header, then an entry a line; lines that start with \`#\` are comments. The
first columns say what the entries are, any of until, added, by and why may follow.

\`\`\`csv
${documentedList}\`\`\`

${table(['first columns', 'entries', 'as'], listKinds)}
\`until\` is the last day of an entry (UTC), or the moment as \`2026-12-31T18:00Z\`. A list with one
bad line is refused whole. Card numbers never stand in a list: \`switchyard rules lists add-card\` reads
them from standard input and stores tokens.
`
}

function languagePage(): string {
  const entities = ENTITIES.map((entity) => [`\`${entity}\``, `\`${ENTITY_PATHS[entity]}\``])
  const aggregates = AGGREGATE_FUNCTIONS.map((entry) => [
    `\`${entry.name}\``,
    kindNames[entry.kind],
    entry.meaning,
    `\`${entry.example}\``,
  ])
  const functions = PLAIN_FUNCTIONS.map((entry) => [
    `\`${entry.signature}\``,
    entry.meaning,
    `\`${entry.example}\``,
  ])
  return `# The language of rules

<!-- Generated by \`switchyard rules generate\` from rules/language/vocabulary.ts. Don't edit. -->

A rule's \`when\` is a condition in CEL, the [Common Expression Language](https://cel.dev). It is
checked when the rules are loaded: a wrong name, kind, window or list is refused with its place.

${table(
  ['condition', 'finds'],
  walkthrough.map(([condition, finds]) => [`\`${condition}\``, finds]),
)}
## Names

${table(['name', 'kind', 'there', 'meaning', 'example'], FACT_NAMES.map(factRow))}
## Unknown

What a request does not have is unknown, never zero and never empty, and so is everything that
velocity or the model could not answer in time. A condition with an unknown part is unknown, unless
the rest settles it: \`true || unknown\` is true, \`false && unknown\` is false. An unknown rule does
not fire, and is listed in the decision. \`has(path)\` asks whether a value is there. Division by
zero, whole numbers beyond 9007199254740991 and decimals that are not finite are unknown too.

## Counting over entities

\`count(card, "10m")\`: the events of this payment's card in the last ten minutes, this attempt
included. Windows are literals from \`"1m"\` to \`"30d"\`, in m, h or d. Not every event of a very busy
entity is kept: then the value is a lower bound, \`>=\` and \`>\` may still be true, and anything else is
unknown.

${table(['entity', 'is known by'], entities)}
${table(['function', 'kind', 'meaning', 'example'], aggregates)}
## Other functions

${table(['function', 'meaning', 'example'], functions)}
## Operators

\`&&\` \`||\` \`!\` \`==\` \`!=\` \`<\` \`<=\` \`>\` \`>=\` \`in [..]\` \`+\` \`-\` \`*\` \`/\` \`%\` and
\`condition ? a : b\`. Whole numbers and decimals are compared with \`<\` and the like, but not added,
multiplied or tested with \`==\`: write \`3.0\`, or convert with \`double()\`. Of CEL, maps, bytes, unsigned
numbers, time stamps, regular expressions and list macros are left out
(switch/docs/decisions/0004-cel.md says why).

In YAML, put a condition in quotes, or after \`>-\`, when it starts with \`!\` or \`"\` or contains
\`: \` or \` #\`.

${filesPart()}`
}
