// The files of a rules folder in shared memory: every worker gets the same bytes, and handing them
// over copies nothing, whatever the lists weigh. A file that did not change keeps its memory.

import { digestOf, type FilesRead, readOnceWhole } from './files-read.ts'
import { createProblemList, type RuleFile } from './problem.ts'

export interface BundledFile {
  readonly name: string
  readonly digest: string
  /** Its text in UTF-8. */
  readonly bytes: SharedArrayBuffer
}

export interface RuleBundle {
  /** Of the rule set that these files were compiled to. */
  readonly hash: string
  readonly files: readonly BundledFile[]
}

/**
 * `hash` is that of the rule set; the tests of the packs are left out, since they decide nothing.
 * Files that `filesRead` knows are in the memory that they had.
 */
export function bundleRuleFiles(
  files: readonly RuleFile[],
  hash: string,
  filesRead?: FilesRead,
): RuleBundle {
  const deciding = files.filter(({ name }) => !name.endsWith('.test.yaml'))
  const reading = { purpose: 'bytes', problems: createProblemList() }
  const bundled = deciding.map((file) =>
    readOnceWhole(filesRead, { file, ...reading }, (): BundledFile => {
      const text = Buffer.from(file.text, 'utf8')
      const bytes = new SharedArrayBuffer(text.length)
      new Uint8Array(bytes).set(text)
      return { name: file.name, digest: digestOf(file), bytes }
    }),
  )
  return { hash, files: bundled }
}

/** The files of a bundle again. A text is decoded when it is asked for: mostly it is known. */
export function filesOfBundle({ files }: RuleBundle): readonly RuleFile[] {
  return files.map(({ name, digest, bytes }) => ({
    name,
    digest,
    get text() {
      return Buffer.from(bytes).toString('utf8')
    },
  }))
}
