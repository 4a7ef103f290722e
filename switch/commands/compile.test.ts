import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { compilePrograms, PROGRAMS, type ProgramRunner } from './compile.ts'
import { PROJECT_ROOT } from './run-tool.ts'

const runner = new URL('./program.js', import.meta.url).href
const { findCompiled } = (await import(runner)) as ProgramRunner

const root = realpathSync(mkdtempSync(path.join(tmpdir(), 'switchyard-compile-')))
after(() => rmSync(root, { recursive: true, force: true }))
const cache = path.join(root, 'cache')
const write = (file: string, text: string) => {
  mkdirSync(path.dirname(path.join(root, file)), { recursive: true })
  writeFileSync(path.join(root, file), text)
}

write('package.json', '{ "type": "module", "imports": { "#words": "./words/index.ts" } }')
mkdirSync(path.join(root, 'node_modules'))
write('node_modules/.package-lock.json', '{}')
write('tsconfig.json', '{}')
for (const name of ['compile.ts', 'program.js', 'traces.ts']) {
  write(`switch/commands/${name}`, '')
  const at = `switch/commands/${name}`
  copyFileSync(path.join(PROJECT_ROOT, at), path.join(root, at))
}
for (const name of ['yaml', 'tsx', 'esbuild']) {
  symlinkSync(path.join(PROJECT_ROOT, 'node_modules', name), path.join(root, 'node_modules', name))
}
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
  // Of the same size, and as old, as a tool that keeps times puts it there.
  const { atime, mtime } = statSync(path.join(root, 'words/index.ts'))
  write('words/index.ts', "export const word: string = 'sung'\n")
  utimesSync(path.join(root, 'words/index.ts'), atime, mtime)
  assert.equal(findCompiled(root, cache, 'rooms/main.ts'), undefined)
  await compilePrograms(root, cache, programs)
  const file = findCompiled(root, cache, 'rooms/main.ts')
  assert.match(execFileSync(process.execPath, [file ?? ''], { encoding: 'utf8' }), /sung/)
  // Written again, as it is.
  write('words/index.ts', "export const word: string = 'sung'\n")
  assert.equal(findCompiled(root, cache, 'rooms/main.ts'), file)
})

for (const made of [
  'node_modules/.package-lock.json',
  'package.json',
  'tsconfig.json',
  'switch/commands/compile.ts',
  'switch/commands/program.js',
]) {
  test(`a copy counts no more once ${made} has changed`, async () => {
    const before = readFileSync(path.join(root, made), 'utf8')
    await compilePrograms(root, cache, programs)
    write(made, `${before}\n`)
    assert.equal(findCompiled(root, cache, 'rooms/main.ts'), undefined)
    write(made, before)
    assert.ok(findCompiled(root, cache, 'rooms/main.ts') !== undefined)
  })
}

test('others than who compiled may read a copy, whatever the umask', async () => {
  const folders = path.join(root, 'strict/cache')
  const umask = process.umask(0o077)
  try {
    await compilePrograms(root, folders, programs)
  } finally {
    process.umask(umask)
  }
  const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8)
  assert.deepEqual([modeOf(path.dirname(folders)), modeOf(folders)], ['755', '755'])
  assert.equal(modeOf(path.join(folders, 'newest.json')), '644')
  const [copy = ''] = readdirSync(folders).filter((name) => name.startsWith('copy-'))
  assert.equal(modeOf(path.join(folders, copy)), '755')
  for (const name of readdirSync(path.join(folders, copy))) {
    assert.equal(modeOf(path.join(folders, copy, name)), '644', name)
  }
})

test('of old copies some stay, and all of the last day', async () => {
  const old = (days: number) => {
    const folder = path.join(cache, `copy-of-${days}-days`)
    mkdirSync(folder)
    const madeAtS = Date.now() / 1000 - days * 86_400
    utimesSync(folder, madeAtS, madeAtS)
    return folder
  }
  const olds = [8, 9, 10, 11].map(old)
  for (let n = 0; n < 4; n++) await compilePrograms(root, cache, programs)
  assert.deepEqual(olds.filter(existsSync), [])
  const names = readdirSync(cache).filter((name) => name.startsWith('copy-'))
  assert.ok(names.length > 4, 'those of today')
})

test('what does not compile leaves the copy that there was', async () => {
  await compilePrograms(root, cache, programs)
  const before = findCompiled(root, cache, 'rooms/main.ts')
  await assert.rejects(compilePrograms(root, cache, ['rooms/absent.ts']))
  assert.equal(findCompiled(root, cache, 'rooms/main.ts'), before)
})

// A project of its own, started by a program.js of its own: what it says tells which file runs.
const main = 'switch/commands/main.ts'
const start = (environment: Readonly<Record<string, string>>) =>
  spawnSync(process.execPath, [path.join(root, 'switch/commands/program.js'), main], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, ...environment },
  })
const caches = path.join(root, 'node_modules/.cache')

test('a stack trace names the line of the source, in the process and in its threads', () => {
  for (const program of PROGRAMS) write(program, '')
  write(
    main,
    `import { Worker } from 'node:worker_threads'
const ranFrom: string = import.meta['url']
const thread = new Worker(new URL('../../scoring/worker.ts', import.meta.url))
thread.on('error', (error: Error) => {
  console.log(JSON.stringify({ ranFrom, own: new Error('own').stack, thread: error.stack }))
})
`,
  )
  write('scoring/worker.ts', "const word: string = 'bug'\n\n  throw new Error(word)\n")
  const { stdout, stderr } = start({})
  assert.equal(stderr, '')
  const said = JSON.parse(stdout)
  assert.match(said.ranFrom, /\/copy-[^/]+\/switch-commands-main\.mjs$/)
  const place = (file: string, at: string) => `${path.join(root, file)}:${at}`
  assert.ok(said.own.includes(place(main, '5:46')), said.own)
  assert.ok(said.thread.includes(place('scoring/worker.ts', '3:9')), said.thread)
})

test('where no copy can be made the source runs as written, and says so', () => {
  rmSync(caches, { recursive: true })
  writeFileSync(caches, 'no folder')
  write(main, "console.log(import.meta['url'].split('/').at(-1))\n")
  const { stdout, stderr } = start({})
  assert.equal(stdout, 'main.ts\n')
  assert.match(stderr, /^switchyard: starts slowly, .*: E[A-Z]+: .* run "npx .*\n$/)
  assert.equal(stderr.split('\n').length, 2)
  const wanted = start({ SWITCHYARD_AS_WRITTEN: '1' })
  assert.deepEqual([wanted.stdout, wanted.stderr], ['main.ts\n', ''])
})

test('the programs of the project compile, and name their source in traces', async () => {
  const own = path.join(root, 'own')
  mkdirSync(own)
  symlinkSync(path.join(PROJECT_ROOT, 'node_modules'), path.join(own, 'node_modules'))
  await compilePrograms(PROJECT_ROOT, path.join(own, 'cache'), PROGRAMS)
  for (const program of PROGRAMS) {
    assert.ok(findCompiled(PROJECT_ROOT, path.join(own, 'cache'), program) !== undefined, program)
  }
  const file = findCompiled(PROJECT_ROOT, path.join(own, 'cache'), main)
  const script = `
    const { runCommand } = await import(${JSON.stringify(file)})
    try { await runCommand(undefined) } catch (error) { console.log(error.stack) }`
  const stack = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  })
  const source = readFileSync(path.join(PROJECT_ROOT, main), 'utf8').split('\n')
  const [, line = '0'] = /switch\/commands\/main\.ts:(\d+):\d+/.exec(stack) ?? []
  assert.match(source[Number(line) - 1] ?? '', /= given$/, stack)
})
