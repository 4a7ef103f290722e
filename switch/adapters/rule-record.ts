// What happened to the rules of this switch, and what is pinned: `history.ndjson` and `pinned.json`
// beside the kept sets. Small files, durable before anybody is told.

import { type FileHandle, mkdir, open, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { writeDurably } from '#rules'
import { RULE_HISTORY_BYTES_MAX } from '../limits.ts'
import type { PinnedSet, RuleEvent } from '../operations/index.ts'

const HISTORY = 'history.ndjson'
const PIN = 'pinned.json'

/** Appends one event. Rejects with the system's error. */
export async function appendRuleEvent(folder: string, event: RuleEvent): Promise<void> {
  await mkdir(folder, { recursive: true })
  const file = path.join(folder, HISTORY)
  const line = `${JSON.stringify(event)}\n`
  const handle = await open(file, 'a+')
  let bytes: number
  try {
    // A line that a crash cut short is ended first, so that it spoils no other.
    const torn = await endsWithin(handle)
    await handle.appendFile(torn ? `\n${line}` : line)
    await handle.sync()
    bytes = (await handle.stat()).size
  } finally {
    await handle.close()
  }
  if (bytes <= RULE_HISTORY_BYTES_MAX) return
  const events = await readRuleHistory(folder)
  const kept = events.slice(Math.floor(events.length / 2))
  await writeDurably(folder, file, kept.map((one) => `${JSON.stringify(one)}\n`).join(''))
}

async function endsWithin(handle: FileHandle): Promise<boolean> {
  const { size } = await handle.stat()
  if (size === 0) return false
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1)
  return buffer.toString('latin1') !== '\n'
}

/** Every event, oldest first; lines that a crash cut short are left out. */
export async function readRuleHistory(folder: string): Promise<readonly RuleEvent[]> {
  const text = await readFile(path.join(folder, HISTORY), 'utf8').catch(absentIsEmpty)
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as RuleEvent]
    } catch {
      return []
    }
  })
}

function absentIsEmpty(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return ''
  throw error
}

export async function readPinnedSet(folder: string): Promise<PinnedSet | undefined> {
  const text = await readFile(path.join(folder, PIN), 'utf8').catch(absentIsEmpty)
  return text === '' ? undefined : (JSON.parse(text) as PinnedSet)
}

export async function writePinnedSet(folder: string, pinned: PinnedSet): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeDurably(folder, path.join(folder, PIN), `${JSON.stringify(pinned)}\n`)
}

export async function removePinnedSet(folder: string): Promise<void> {
  await rm(path.join(folder, PIN), { force: true })
  const directory = await open(folder)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
