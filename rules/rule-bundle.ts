// The files of a rules folder as one block of shared memory: every worker gets the same bytes, and
// handing them over copies nothing, whatever the lists weigh.

import { digestOf } from './files-read.ts'
import type { RuleFile } from './problem.ts'

export interface BundledFile {
  readonly name: string
  readonly digest: string
  /** Where its UTF-8 text lies. */
  readonly from: number
  readonly to: number
}

export interface RuleBundle {
  /** Of the rule set that these files were compiled to. */
  readonly hash: string
  readonly files: readonly BundledFile[]
  readonly bytes: SharedArrayBuffer
}

/** `hash` is that of the rule set; the tests of the packs are left out, since they decide nothing. */
export function bundleRuleFiles(files: readonly RuleFile[], hash: string): RuleBundle {
  const deciding = files.filter(({ name }) => !name.endsWith('.test.yaml'))
  const texts = deciding.map(({ text }) => Buffer.from(text, 'utf8'))
  const bytes = new SharedArrayBuffer(texts.reduce((sum, text) => sum + text.length, 0))
  const all = new Uint8Array(bytes)
  let at = 0
  const placed = deciding.map((file, index) => {
    const text = texts[index] as Buffer
    all.set(text, at)
    at += text.length
    return { name: file.name, digest: digestOf(file), from: at - text.length, to: at }
  })
  return { hash, files: placed, bytes }
}

/** The files of a bundle again. A text is decoded when it is asked for: mostly it is known. */
export function filesOfBundle({ files, bytes }: RuleBundle): readonly RuleFile[] {
  return files.map(({ name, digest, from, to }) => ({
    name,
    digest,
    get text() {
      return Buffer.from(bytes, from, to - from).toString('utf8')
    },
  }))
}
