// Compiles the project's programs, so that a start reads a few files instead of a thousand
// (docs/decisions/0005-typescript-as-written.md). Nobody calls it by hand: `program.js` does where
// no copy is there or a source file has changed.

import {
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
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** What is started as a process or thread of its own, from the project root. */
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

/** Copies that are kept: a running switch may still load a part of an older one. */
const KEPT = 4

/** Says which packages are installed; in every project that npm has touched. */
const INSTALLED = 'node_modules/.package-lock.json'

/** The parts of esbuild (tsx brings it) that are used here. */
interface Esbuild {
  build(options: object): Promise<{ readonly metafile: Metafile }>
}

interface Metafile {
  readonly inputs: Readonly<Record<string, unknown>>
  readonly outputs: Readonly<Record<string, { readonly entryPoint?: string }>>
}

interface Loading {
  readonly path: string
}

interface Resolving extends Loading {
  readonly kind: string
  readonly importer: string
}

interface PluginBuild {
  onResolve(
    of: { readonly filter: RegExp },
    resolve: (it: Resolving) => { readonly external: true } | undefined,
  ): void
  onLoad(
    of: { readonly filter: RegExp },
    load: (it: Loading) => Promise<{ readonly loader: 'ts'; readonly contents: string }>,
  ): void
}

/** What `program.js` reads: the newest copy, and what it was made of. */
interface Newest {
  readonly folder: string
  /** File of each program, in the folder. */
  readonly programs: Readonly<Record<string, string>>
  readonly inputs: readonly (readonly [file: string, ...SourceState])[]
}

type SourceState = readonly [mtimeMs: number, size: number]

/**
 * Compiles all programs into a folder of their own below `cache`, and names it the newest. Rejects
 * where that can't be done; what was there before stays as it was.
 */
export async function compilePrograms(
  root: string,
  cache: string,
  programs: readonly string[],
): Promise<void> {
  await mkdir(cache, { recursive: true })
  // By its real path: source maps tell from there where the source is.
  const folder = await mkdtemp(path.join(await realpath(cache), 'copy-'))
  const read = new Map<string, SourceState>()
  const setup = (build: PluginBuild) => setUp(build, root, programs, read)
  const { metafile } = await loadEsbuild().build({
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
        return [file, ...(read.get(file) ?? (await stateOf(path.join(root, file))))] as const
      }),
    ),
  }
  const draft = path.join(folder, 'newest.json')
  await writeFile(draft, JSON.stringify(newest))
  await rename(draft, path.join(cache, 'newest.json'))
  await removeOldCopies(cache)
}

function loadEsbuild(): Esbuild {
  const tsx = fileURLToPath(import.meta.resolve('tsx'))
  return createRequire(tsx)('esbuild') as Esbuild
}

/** Where a bundle looks for what is not in it, and what the source says of its own place. */
function setUp(
  build: PluginBuild,
  root: string,
  programs: readonly string[],
  read: Map<string, SourceState>,
): void {
  build.onResolve({ filter: /^[^.#/]/ }, ({ path: name, kind, importer }) => {
    const isOurs = !importer.includes(`${path.sep}node_modules${path.sep}`)
    if (kind === 'entry-point' || !isOurs || COMPILED_PACKAGES.test(name)) return undefined
    return { external: true }
  })
  build.onLoad({ filter: /\.ts$/ }, async ({ path: file }) => {
    // Before it is read: what changes after that makes the copy an old one.
    read.set(path.relative(root, file), await stateOf(file))
    const text = await readFile(file, 'utf8')
    return { loader: 'ts', contents: placed(text, file, root, programs) }
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
  return [...own, 'package.json', INSTALLED]
}

async function stateOf(file: string): Promise<SourceState> {
  const { mtimeMs, size } = await stat(file)
  return [mtimeMs, size]
}

async function removeOldCopies(cache: string): Promise<void> {
  const names = (await readdir(cache)).filter((name) => name.startsWith('copy-'))
  const copies = await Promise.all(
    names.map(async (name) => ({ name, madeAtMs: (await stat(path.join(cache, name))).mtimeMs })),
  )
  copies.sort((a, b) => b.madeAtMs - a.madeAtMs)
  for (const { name } of copies.slice(KEPT)) {
    await rm(path.join(cache, name), { recursive: true, force: true })
  }
}
