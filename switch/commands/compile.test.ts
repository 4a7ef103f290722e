import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { compilePrograms, PROGRAMS, placed } from './compile.ts'
import { PROJECT_ROOT } from './run-tool.ts'

interface ProgramRunner {
  cacheFolder(root: string): string
  findCompiled(root: string, cache: string, program: string): string | undefined
}

const runner = new URL('./program.js', import.meta.url).href
const { cacheFolder, findCompiled } = (await import(runner)) as ProgramRunner

const root = mkdtempSync(path.join(tmpdir(), 'switchyard-compile-'))
after(() => rmSync(root, { recursive: true, force: true }))
const cache = path.join(root, 'cache')
const write = (file: string, text: string) => {
  mkdirSync(path.dirname(path.join(root, file)), { recursive: true })
  writeFileSync(path.join(root, file), text)
}

write('package.json', '{ "type": "module", "imports": { "#words": "./words/index.ts" } }')
mkdirSync(path.join(root, 'node_modules'))
write('node_modules/.package-lock.json', '{}')
symlinkSync(path.join(PROJECT_ROOT, 'node_modules/yaml'), path.join(root, 'node_modules/yaml'))
write('words/index.ts', "export const word: string = 'said'\n")
write('rooms/thread.ts', "console.log('of the thread')\n")
write(
  'rooms/main.ts',
  `import { word } from '#words'
import { parse } from 'yaml'
const own: string = new URL('beside.txt', import.meta.url).pathname
const thread: string = new URL('thread.ts', import.meta.url).pathname
console.log(JSON.stringify({ word, parsed: parse('a: 1'), own, thread }))
`,
)
const programs = ['rooms/main.ts', 'rooms/thread.ts']

test('a compiled program does what its source says, from the place of its source', async () => {
  await compilePrograms(root, cache, programs)
  const file = findCompiled(root, cache, 'rooms/main.ts')
  assert.ok(file !== undefined)
  const said = JSON.parse(execFileSync(process.execPath, [file], { encoding: 'utf8' }))
  assert.deepEqual([said.word, said.parsed], ['said', { a: 1 }])
  assert.equal(said.own, path.join(root, 'rooms/beside.txt'))
  // Another program is the compiled one, so that a thread starts as fast.
  assert.equal(path.dirname(said.thread), path.dirname(file))
  assert.match(execFileSync(process.execPath, [said.thread], { encoding: 'utf8' }), /of the thread/)
})

test('a copy counts no more once a file that it was made of has changed', async () => {
  await compilePrograms(root, cache, programs)
  assert.ok(findCompiled(root, cache, 'rooms/main.ts') !== undefined)
  assert.equal(findCompiled(root, cache, 'rooms/other.ts'), undefined)
  // Of the same size: its time says it.
  write('words/index.ts', "export const word: string = 'sung'\n")
  utimesSync(path.join(root, 'words/index.ts'), 1, 1)
  assert.equal(findCompiled(root, cache, 'rooms/main.ts'), undefined)
  await compilePrograms(root, cache, programs)
  const file = findCompiled(root, cache, 'rooms/main.ts')
  assert.match(execFileSync(process.execPath, [file ?? ''], { encoding: 'utf8' }), /sung/)
  write('node_modules/.package-lock.json', '{ "packages": {} }')
  assert.equal(findCompiled(root, cache, 'rooms/main.ts'), undefined, 'other packages')
})

test('what does not compile leaves the copy that there was', async () => {
  await compilePrograms(root, cache, programs)
  const before = findCompiled(root, cache, 'rooms/main.ts')
  await assert.rejects(compilePrograms(root, cache, ['rooms/absent.ts']))
  assert.equal(findCompiled(root, cache, 'rooms/main.ts'), before)
})

test('every program that is named is there', () => {
  for (const program of PROGRAMS) {
    const text = placed('import.meta.url', path.join(PROJECT_ROOT, program), PROJECT_ROOT, PROGRAMS)
    assert.ok(text.endsWith(`${program}"`))
    assert.ok(cacheFolder(PROJECT_ROOT).includes('node_modules'))
  }
})

test('a stack trace names the line of the source', () => {
  const script = `
    const { importProgram } = await import(${JSON.stringify(runner)})
    const { runCommand } = await importProgram('switch/commands/main.ts')
    try { await runCommand(undefined) } catch (error) { console.log(error.stack) }`
  const stack = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  })
  const place = path.join(PROJECT_ROOT, 'switch/commands/main.ts')
  assert.ok(stack.includes(place), stack)
  assert.match(stack, /\n {4}at .*main\.ts:\d+:\d+/)
})
