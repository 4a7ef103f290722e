// What the files of a rules folder were read to. A reload changes one file of fifty: what did not
// change is not parsed, checked and tested again, here or in a worker.

import { createHash } from 'node:crypto'
import type { ProblemList, RuleFile } from './problem.ts'
import { atOnce, type Steps } from './steps.ts'

/** Remembers one reading of a folder for the next: in one thread, for one user. */
export class FilesRead {
  #before = new Map<string, unknown>()
  #now = new Map<string, unknown>()

  /** What was kept under the key; undefined where nothing was. */
  find<T>(key: string): T | undefined {
    const known = this.#now.get(key) ?? this.#before.get(key)
    if (known !== undefined) this.#now.set(key, known)
    return known as T | undefined
  }

  keep(key: string, value: object): void {
    this.#now.set(key, value)
  }

  /** Ends a reading: what it did not ask for is forgotten, so no more is held than one folder. */
  forgetUnused(): void {
    this.#before = this.#now
    this.#now = new Map()
  }
}

/** SHA-256 of the text: by it the same file is known again. */
export function digestOf({ text, digest }: RuleFile): string {
  return digest ?? createHash('sha256').update(text).digest('base64')
}

/** The same files, each with its digest. */
export function withDigests(files: readonly RuleFile[]): readonly RuleFile[] {
  return files.map((file) => ({ name: file.name, text: file.text, digest: digestOf(file) }))
}

/** What a file is read to, beside its text: `purpose`, and what else that depends on. */
export interface Reading {
  readonly file: RuleFile
  readonly purpose: string
  readonly problems: ProblemList
}

/**
 * What the file is read to, or was before. Only what had no problem is remembered: the rest is read
 * again, so that it is told again.
 */
export function* readOnce<T extends object>(
  filesRead: FilesRead | undefined,
  reading: Reading,
  read: () => Steps<T>,
): Steps<T> {
  const known = filesRead?.find<T>(keyOf(reading))
  if (known !== undefined) return known
  const problemsBefore = reading.problems.total
  const value = yield* read()
  if (reading.problems.total === problemsBefore) filesRead?.keep(keyOf(reading), value)
  return value
}

/** The same for what is read in one step. */
export function readOnceWhole<T extends object>(
  filesRead: FilesRead | undefined,
  reading: Reading,
  read: () => T,
): T {
  const inOneStep = function* (): Steps<T> {
    yield
    return read()
  }
  return atOnce(readOnce(filesRead, reading, inOneStep))
}

function keyOf({ file, purpose }: Reading): string {
  return `${file.name} ${digestOf(file)} ${purpose}`
}
