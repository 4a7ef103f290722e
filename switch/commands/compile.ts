// Compiles the project's programs, so that a start reads a few files instead of hundreds
// (docs/decisions/0005-typescript-as-written.md). Nobody calls it by hand: `program.js` does where
// no copy is there or a source file has changed.

import { createHash } from 'node:crypto'
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build, type Metafile, type PluginBuild } from 'esbuild'

/**
 * What is started as a process or thread of its own, from the project root. Without
 * switch/adapters/simulation-thread.ts: a simulation reads from stack traces which .ts files call
 * the ports (switch/simulation/episode/crash-point.ts), so it runs as written.
 */
export const PROGRAMS: readonly string[] = [
  'switch/commands/main.ts',
  'switch/adapters/rules-check-thread.ts',
  'scoring/worker.ts',
  'load-tests/main.ts',
  'load-tests/issuer/main.ts',
  'load-tests/chaos/main.ts',
]

/**
 * Packages of many small files, and theirs: compiled with ours. The others hold native code, start
 * threads from files of their own, or are looked for by their place.
 */
const COMPILED_PACKAGES =
  /^(typebox|yaml|commander|undici|prom-client|onnx-proto|@marcbachmann\/cel-js)(\/|$)/

const BANNER =
  "import{createRequire as requireOf}from'node:module';const require=requireOf(import.meta.url);"

/** A running switch may still load a part of an older copy: so many stay, and all of a day. */
const KEPT = 4
const KEPT_MS = 24 * 60 * 60 * 1000

/** What a copy depends on beside the source in it. The last one says which packages there are. */
const MADE_WITH = [
  'switch/commands/compile.ts',
  'switch/commands/program.js',
  'tsconfig.json',
  'package.json',
  'node_modules/.package-lock.json',
]

/** What `program.js` reads: the newest copy, and what it was made of. */
interface Newest {
  readonly folder: string
  /** File of each program, in the folder. */
  readonly programs: Readonly<Record<string, string>>
  readonly inputs: readonly (readonly [file: string, ...SourceState])[]
}

type SourceState = readonly [size: number, mtimeMs: number, ctimeMs: number, sha256: string]

/** What `program.js` exports for TypeScript. */
export interface ProgramRunner {
  cacheFolder(root: string): string
  findCompiled(root: string, cache: string, program: string): string | undefined
}

/** Begins every program, on its first line, so that the lines of its source map stay. */
const TRACES_FILE = fileURLToPath(new URL('traces.ts', import.meta.url))
const TRACES =
  `import { nameSourceInTraces } from ${JSON.stringify(TRACES_FILE)};` +
  "nameSourceInTraces(import.meta['url']);"

/**
 * Compiles all programs into a folder of their own below `cache`, and names it the newest. Rejects
 * where that can't be done; what was there before stays as it was.
 */
export async function compilePrograms(
  root: string,
  cache: string,
  programs: readonly string[],
): Promise<void> {
  await makeFolder(cache)
  // By its real path: source maps tell from there where the source is.
  const folder = await mkdtemp(path.join(await realpath(cache), 'copy-'))
  const read = new Map<string, SourceState>()
  const setup = (plugin: PluginBuild) => setUp(plugin, root, programs, read)
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: programs.map((program) => ({ in: program, out: outputName(program) })),
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    charset: 'utf8',
    sourcemap: 'external',
    sourcesContent: false,
    metafile: true,
    logLevel: 'silent',
    // For the CommonJS packages among those that are compiled.
    banner: { js: BANNER },
    plugins: [{ name: 'switchyard', setup }],
  })
  const newest: Newest = {
    folder: path.basename(folder),
    programs: Object.fromEntries(
      Object.entries(metafile.outputs).flatMap(([output, { entryPoint }]) =>
        entryPoint === undefined ? [] : [[entryPoint, path.basename(output)]],
      ),
    ),
    inputs: await Promise.all(
      inputsOf(metafile).map(async (file) => {
        const state = read.get(file) ?? (await readSource(path.join(root, file))).state
        return [file, ...state] as const
      }),
    ),
  }
  const draft = path.join(folder, 'newest.json')
  await writeFile(draft, JSON.stringify(newest))
  await letAllRead(folder)
  await rename(draft, path.join(cache, 'newest.json'))
  await removeOldCopies(cache)
}

/** As all that npm installs, whatever the umask: who compiles is often not who runs. */
async function makeFolder(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true })
  if (made === undefined) return
  for (let each = folder; each.startsWith(made); each = path.dirname(each)) await chmod(each, 0o755)
}

async function letAllRead(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await chmod(path.join(folder, name), 0o644)
  await chmod(folder, 0o755)
}

/** Where a bundle looks for what is not in it, and what the source says of its own place. */
function setUp(
  plugin: PluginBuild,
  root: string,
  programs: readonly string[],
  read: Map<string, SourceState>,
): void {
  plugin.onResolve({ filter: /^[^.#/]/ }, ({ path: name, kind, importer }) => {
    const isOurs = !importer.includes(`${path.sep}node_modules${path.sep}`)
    if (kind === 'entry-point' || !isOurs || COMPILED_PACKAGES.test(name)) return undefined
    return { external: true }
  })
  plugin.onLoad({ filter: /\.ts$/ }, async ({ path: file }) => {
    const { text, state } = await readSource(file)
    const name = path.relative(root, file)
    read.set(name, state)
    const contents = placed(text, file, root, programs)
    return { loader: 'ts', contents: programs.includes(name) ? TRACES + contents : contents }
  })
}

/**
 * `import.meta.url` stays the source's own; where it names another program, as threads do, that
 * is the compiled one beside it.
 */
export function placed(
  text: string,
  file: string,
  root: string,
  programs: readonly string[],
): string {
  const url = JSON.stringify(pathToFileURL(file).href)
  return text
    .replace(/new URL\('([^']+\.ts)', import\.meta\.url\)/g, (whole, name: string) => {
      const program = path.relative(root, path.resolve(path.dirname(file), name))
      if (!programs.includes(program)) return whole
      return `new URL('./${outputName(program)}.mjs', import.meta['url'])`
    })
    .replaceAll('import.meta.url', url)
}

/** Flat, so that a part that several programs share lies beside all of them. */
function outputName(program: string): string {
  return program.replace(/\.ts$/, '').replaceAll('/', '-')
}

function inputsOf({ inputs }: Metafile): string[] {
  const own = Object.keys(inputs).filter((file) => !file.split('/').includes('node_modules'))
  return [...own, ...MADE_WITH]
}

/** Its times are taken before it is read: what changes after that makes the copy an old one. */
async function readSource(file: string): Promise<{ text: string; state: SourceState }> {
  const { size, mtimeMs, ctimeMs } = await stat(file)
  const bytes = await readFile(file)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { text: bytes.toString('utf8'), state: [size, mtimeMs, ctimeMs, sha256] }
}

async function removeOldCopies(cache: string): Promise<void> {
  const names = (await readdir(cache)).filter((name) => name.startsWith('copy-'))
  const copies = await Promise.all(
    names.map(async (name) => ({ name, madeAtMs: (await stat(path.join(cache, name))).mtimeMs })),
  )
  copies.sort((a, b) => b.madeAtMs - a.madeAtMs)
  const [newest] = copies
  for (const { name, madeAtMs } of copies.slice(KEPT)) {
    if (newest === undefined || newest.madeAtMs - madeAtMs < KEPT_MS) continue
    await rm(path.join(cache, name), { recursive: true, force: true })
  }
}
