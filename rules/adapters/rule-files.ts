import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { listFileBytesMax, ruleFileBytesMax, ruleFilesMax } from '../limits.ts'
import { compileRuleSet } from '../load.ts'
import type { RuleFile } from '../problem.ts'
import type { RuleSetResult } from '../rule-set.ts'

const folders = [
  { name: 'packs', pattern: /\.ya?ml$/ },
  { name: 'lists', pattern: /\.csv$/ },
] as const

/**
 * Reads `packs/*.yaml` and `lists/*.csv` of a rules folder. Rejects with the system's error when the
 * folder or its `packs/` can't be read; `lists/` may be absent. Subfolders and other files are not
 * read.
 */
export async function readRuleFiles(directory: string): Promise<readonly RuleFile[]> {
  const files: RuleFile[] = []
  for (const { name: folder, pattern } of folders) {
    for (const name of await names(join(directory, folder), folder === 'lists')) {
      if (!pattern.test(name)) continue
      // One more than allowed is enough for the check to refuse the folder.
      if (files.length > ruleFilesMax) return files
      const bytesMax = folder === 'lists' ? listFileBytesMax : ruleFileBytesMax
      const text = await readText(join(directory, folder, name), bytesMax)
      files.push({ name: `${folder}/${name}`, text })
    }
  }
  return files
}

/** One byte more than allowed is enough for the check to refuse the file. */
async function readText(path: string, bytesMax: number): Promise<string> {
  // Before it is opened: a named pipe would hold a thread of the system's calls for ever.
  const found = await stat(path)
  if (!found.isFile()) throw new Error(`${path} is no file`)
  if (found.size <= bytesMax) return readFile(path, 'utf8')
  const handle = await open(path, 'r')
  try {
    const { buffer } = await handle.read(Buffer.alloc(bytesMax + 1), 0, bytesMax + 1, 0)
    return buffer.toString('latin1')
  } finally {
    await handle.close()
  }
}

async function names(directory: string, mayBeAbsent: boolean): Promise<readonly string[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true })
    return entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => entry.name)
      .sort()
  } catch (error) {
    if (mayBeAbsent && (error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Reads and compiles a rules folder. Rejects only when it can't be read. */
export async function loadRules(directory: string): Promise<RuleSetResult> {
  return compileRuleSet(await readRuleFiles(directory))
}

/**
 * Writes one file of a rules folder, `lists/stolen.csv`, so that a reader sees the old text or the
 * new one, never half. Rejects with the system's error.
 */
export async function writeRuleFile(directory: string, file: RuleFile): Promise<void> {
  const path = join(directory, file.name)
  const draft = `${path}.draft`
  await mkdir(dirname(path), { recursive: true })
  const handle = await open(draft, 'w')
  try {
    await handle.writeFile(file.text)
    await handle.sync()
    await handle.close()
    await rename(draft, path)
  } catch (error) {
    await handle.close().catch(() => undefined)
    await rm(draft, { force: true })
    throw error
  }
}
