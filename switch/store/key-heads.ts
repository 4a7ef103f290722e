// Which keys in memory begin alike, so that one is found by its beginning without a pass over all.
// Only keys with a space in them: those made of the numbers of ISO 8583, which are looked for so.
// Their first 24 characters hold class, STAN and nearly all of the time sent, so few share them.

import type { DirectoryEntry } from './directory-entry.ts'
import { KEY_HEAD_CHARACTERS } from './limits.ts'

type Entry = Pick<DirectoryEntry, 'acquirer' | 'idempotencyKey'>

export class KeyHeads<T extends Entry> {
  readonly #heads = new Map<string, Set<T>>()

  /** Of keys that are held: as many as were added and not removed, at most. */
  get size(): number {
    return this.#heads.size
  }

  add(entry: T): void {
    const head = headOf(entry)
    if (head === undefined) return
    const alike = this.#heads.get(head)
    if (alike === undefined) this.#heads.set(head, new Set([entry]))
    else alike.add(entry)
  }

  remove(entry: T): void {
    const head = headOf(entry)
    if (head === undefined) return
    const alike = this.#heads.get(head)
    alike?.delete(entry)
    if (alike?.size === 0) this.#heads.delete(head)
  }

  /** Throws where the prefix is shorter than what keys are held by: a bug. */
  find(acquirer: string, prefix: string, charactersMax: number): T[] {
    const head = headOf({ acquirer, idempotencyKey: prefix })
    if (head === undefined) throw new Error('a key is looked for by too little of it')
    const alike = this.#heads.get(head) ?? []
    return [...alike].filter(({ idempotencyKey: key }) => {
      return key.length <= charactersMax && key.startsWith(prefix)
    })
  }
}

/** Undefined: a key that nobody looks for by its beginning. */
function headOf({ acquirer, idempotencyKey: key }: Entry): string | undefined {
  if (key.length < KEY_HEAD_CHARACTERS || !key.includes(' ')) return undefined
  return `${acquirer}\n${key.slice(0, KEY_HEAD_CHARACTERS)}`
}
