// The rules of the house that no linter knows: which way data flows, which doors are used, where
// the outside world may be touched, how files are named. Text only: nothing is run.

import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { importCycles } from './import-cycles.ts'

export interface SourceFile {
  /** From the project root, with forward slashes. */
  readonly path: string
  readonly text: string
}

export interface HouseProblem {
  readonly file: string
  /** Counts from 1. */
  readonly line: number
  readonly rule: 'layer' | 'door' | 'cycle' | 'world' | 'name' | 'width' | 'leftover' | 'citation'
  readonly message: string
}

const ROOMS = ['switch', 'scoring', 'rules', 'bench', 'load-tests'] as const

/** What each root folder may import through `#name`. Data flows switch -> scoring -> rules. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  rules: [],
  scoring: ['#rules'],
  switch: ['#scoring', '#rules'],
  bench: ['#switch', '#scoring', '#rules'],
  'load-tests': ['#switch', '#scoring', '#rules'],
}

/** Files that run in production: none of them may import itself by way of others. */
const PRODUCT = /^(switch|scoring|rules)\//

/** Where clocks, timers, randomness, files, sockets and the environment may be touched. */
const ADAPTERS = [
  /^(switch|scoring|rules)\/adapters\//,
  /^switch\/commands\//,
  /^switch\/main\.ts$/,
  /^scoring\/worker\.ts$/,
  /^scoring\/training\//,
  /^(bench|load-tests)\//,
  /\.test\.ts$/,
]

const WORLD = [
  { pattern: /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/, what: 'a clock' },
  { pattern: /\b(setTimeout|setInterval|setImmediate)\(/, what: 'a timer' },
  {
    pattern: /\bMath\.random\(|\brandom(Bytes|UUID|Int|FillSync)\(|getRandomValues/,
    what: 'randomness',
  },
  {
    pattern: /from '(node:)?(fs|fs\/promises|net|tls|http|https|dgram|child_process)'/,
    what: 'I/O',
  },
  { pattern: /from '(uWebSockets\.js|ioredis|piscina|lmdb|onnxruntime-node|pg)'/, what: 'I/O' },
  { pattern: /\bprocess\.(env|hrtime|on|exit)\b/, what: 'the process' },
]

/** Names that say nothing about the domain. */
const EMPTY_NAMES = /(^|[-/])(utils?|helpers?|managers?|services?|common|misc|shared)([-.]|\/|$)/

const WIDTH_MAX = 100

/** Names of documents outside the repository: whoever reads the code can't open them. */
const OUTSIDE = /\b(CONTRACT|SEMANTICS|FACTS|STYLE)\b|\bDESIGN\.md\b/
/** A comment, or the title of a test. */
const PROSE = /^\s*(\/\/|\/?\*)|\s\/\/ |^\s*(test|it|describe)\('/

/** Checks every TypeScript file below the root's five folders. */
export function checkHouse(root: string): HouseProblem[] {
  return checkFiles(readSources(root))
}

export function readSources(root: string): SourceFile[] {
  return ROOMS.flatMap((room) =>
    readdirSync(path.join(root, room), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
      .map((name) => `${room}/${name.split(path.sep).join('/')}`)
      .sort()
      .map((file) => ({ path: file, text: readFileSync(path.join(root, file), 'utf8') })),
  )
}

/** The same, over given texts. Throws when there is no file: an empty check must not pass. */
export function checkFiles(files: readonly SourceFile[]): HouseProblem[] {
  if (files.length === 0) throw new Error('no source file was found')
  const problems = files.flatMap((file) => [
    ...checkImports(file),
    ...checkLines(file),
    ...(EMPTY_NAMES.test(file.path)
      ? [{ file: file.path, line: 1, rule: 'name' as const, message: 'use a word of the glossary' }]
      : []),
  ])
  return [...problems, ...checkCycles(files)]
}

function checkCycles(files: readonly SourceFile[]): HouseProblem[] {
  const product = files.filter(({ path }) => PRODUCT.test(path) && !isTest(path))
  return importCycles(product).map(({ files: [file = '', ...others] }) => ({
    file,
    line: 1,
    rule: 'cycle',
    message: `imports itself by ${others.join(', ') || 'its own name'}: move what is shared`,
  }))
}

// At the start of a line (as the formatter leaves them), or a dynamic one anywhere.
const IMPORT = /^(?:(?:import|export|\}).*\bfrom |import )'([^']+)'|\bimport\('([^']+)'\)/

function checkImports(file: SourceFile): HouseProblem[] {
  const problems: HouseProblem[] = []
  const lines = file.text.split('\n')
  for (const [index, line] of lines.entries()) {
    const match = IMPORT.exec(line)
    const specifier = match?.[1] ?? match?.[2]
    if (specifier === undefined) continue
    const found = judgeImport(file.path, specifier)
    if (found !== undefined) problems.push({ file: file.path, line: index + 1, ...found })
  }
  return problems
}

type Judgement = Pick<HouseProblem, 'rule' | 'message'> | undefined

function judgeImport(from: string, specifier: string): Judgement {
  const room = from.split('/')[0] ?? ''
  if (specifier.startsWith('#')) {
    if (MAY_IMPORT[room]?.includes(specifier) || isTest(from)) return undefined
    return { rule: 'layer', message: `${room} may not import ${specifier}` }
  }
  if (!specifier.startsWith('.')) return undefined
  const target = path.posix.join(path.posix.dirname(from), specifier)
  const targetRoom = target.split('/')[0] ?? ''
  if (targetRoom !== room) return judgeCrossing(from, room, target, targetRoom)
  return judgeDoor(from, target)
}

/** A relative import into another root folder. */
function judgeCrossing(from: string, room: string, target: string, targetRoom: string): Judgement {
  // Tests and benches start real processes.
  const startsProcesses = isTest(from) || room === 'bench'
  if (startsProcesses && target.startsWith('load-tests/processes/')) return undefined
  const isAbove = room === 'bench' || room === 'load-tests'
  if (isAbove && targetRoom !== 'bench' && targetRoom !== 'load-tests') {
    const isDoor = target.endsWith('/index.ts') || target.includes('/adapters/')
    if (isDoor) return undefined
    return { rule: 'door', message: `${target} is behind a door: import its folder's index.ts` }
  }
  return { rule: 'layer', message: `${room} may not reach into ${targetRoom}: use #${targetRoom}` }
}

/** An import inside one root folder: another sub-room only through its index.ts. */
function judgeDoor(from: string, target: string): Judgement {
  const targetFolder = path.posix.dirname(target)
  const fromFolder = path.posix.dirname(from)
  const isInsideOrAbove = `${fromFolder}/`.startsWith(`${targetFolder}/`)
  if (isInsideOrAbove || target.endsWith('/index.ts')) return undefined
  // Adapters are picked one by one where the world is put together.
  const picksAdapters = ADAPTERS.some((pattern) => pattern.test(from))
  if (target.includes('/adapters/') && picksAdapters) return undefined
  if (['bench', 'load-tests'].includes(from.split('/')[0] ?? '')) return undefined
  return { rule: 'door', message: `${target} is behind a door: import its folder's index.ts` }
}

function isTest(file: string): boolean {
  return file.endsWith('.test.ts')
}

function checkLines(file: SourceFile): HouseProblem[] {
  const problems: HouseProblem[] = []
  const mayTouchWorld = ADAPTERS.some((pattern) => pattern.test(file.path))
  for (const [index, line] of file.text.split('\n').entries()) {
    const add = (rule: HouseProblem['rule'], message: string) =>
      problems.push({ file: file.path, line: index + 1, rule, message })
    if (line.length > WIDTH_MAX && !/https?:\/\/|['"`]/.test(line)) {
      add('width', `${line.length} columns; ${WIDTH_MAX} at most`)
    }
    if (/\b(TO[D]O|FIX[M]E)\b/.test(line)) {
      add('leftover', 'finish it, or give it a row in the known limits')
    }
    if (PROSE.test(line) && OUTSIDE.test(line)) {
      add('citation', 'state the rule itself, or name a page of switch/docs')
    }
    const code = line.replace(/\/\/.*$|^\s*\*.*$|^\s*\/\*.*$/, '')
    if (mayTouchWorld) continue
    const touched = WORLD.find(({ pattern }) => pattern.test(code))
    if (touched !== undefined && !/^\s*import type/.test(line)) {
      add('world', `touches ${touched.what}: take it as a parameter (switch/ports.ts)`)
    }
  }
  return problems
}

/** A page of `docs`: its path from the project root, and its text. */
export type Page = SourceFile

/** Every page in Markdown below the root's folders, and those in the root. */
export function readPages(root: string): Page[] {
  const inRoot = readdirSync(root).filter((name) => name.endsWith('.md'))
  const below = ROOMS.flatMap((room) =>
    readdirSync(path.join(root, room), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
      .map((name) => `${room}/${name.split(path.sep).join('/')}`),
  )
  return [...inRoot, ...below.sort()].map((file) => ({
    path: file,
    text: readFileSync(path.join(root, file), 'utf8'),
  }))
}

const DECISION = /\/decisions\/(\d{4})-[a-z0-9-]+\.md$/

/** Decision records are numbered in a row from 0001, and each begins with its number. */
export function misnumberedDecisions(pages: readonly Page[]): string[] {
  const decisions = pages.filter((page) => page.path.includes('/decisions/'))
  return decisions.flatMap((page, index) => {
    const number = `${index + 1}`.padStart(4, '0')
    if (DECISION.exec(page.path)?.[1] !== number) return [`${page.path}: its number is ${number}`]
    return page.text.startsWith(`# ${number}: `) ? [] : [`${page.path}: begin with "# ${number}: "`]
  })
}

/** Links from page to page, or to a file, that lead nowhere. `exists` takes a path from the root. */
export function brokenLinks(pages: readonly Page[], exists: (path: string) => boolean): string[] {
  return pages.flatMap((page) =>
    [...page.text.matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)].flatMap(([, target = '']) => {
      if (/^[a-z]+:/.test(target)) return []
      const file = path.posix.join(path.posix.dirname(page.path), target)
      return exists(file) ? [] : [`${page.path}: ${target} is not there`]
    }),
  )
}

/** Rows that no table's head and rule stand above: a blank line among rows ends their table. */
export function strayRows(pages: readonly Page[]): string[] {
  return pages.flatMap((page) => {
    const stray: string[] = []
    const lines = page.text.split('\n')
    let isCode = false
    for (const [index, line] of lines.entries()) {
      if (/^\s*```/.test(line)) isCode = !isCode
      const isFirstRow = ROW.test(line) && !ROW.test(lines[index - 1] ?? '')
      if (isCode || !isFirstRow || TABLE_RULE.test(lines[index + 1] ?? '')) continue
      stray.push(`${page.path}:${index + 1} is a row without a table`)
    }
    return stray
  })
}

const ROW = /^\s*\|/
const TABLE_RULE = /^\s*\|(\s*:?-+:?\s*\|)+\s*$/
