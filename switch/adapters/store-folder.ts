// Adapter: the embedded store in one folder of the file system.
//
//   <folder>/0000000000000000.log ...   the segments: the truth (store/segment.ts)
//   <folder>/index/                     LMDB: a cache of the segments, may be removed at any time
//   <folder>/lock-<process>-<n>.sock    who has the folder (folder-lock.ts)

import path from 'node:path'
import {
  type EmbeddedStoreOptions,
  isOperatingError,
  type OpenReport,
  openEmbeddedStore,
  type StoreProblem,
  type TransactionStore,
} from '../store/index.ts'
import { type FileDiskProblem, freeBytesOf, openFileDisk } from './file-disk.ts'
import { openLmdbRecordIndex } from './lmdb-record-index.ts'

export interface StoreFolderReport extends OpenReport {
  /** Why the index of an earlier process was thrown away. */
  readonly discardedIndex: string | null
}

export type OpenedStoreFolder =
  | {
      readonly ok: true
      readonly store: TransactionStore
      readonly report: StoreFolderReport
      /** As of the embedded store. */
      readonly tend: () => Promise<void>
    }
  | { readonly ok: false; readonly problem: StoreProblem | FileDiskProblem }

/** Takes the folder for this process and opens the store in it; `store.close` gives it free. */
export async function openStoreFolder(
  folder: string,
  options: Omit<EmbeddedStoreOptions, 'disk' | 'index' | 'release'>,
): Promise<OpenedStoreFolder> {
  const opened = await openFileDisk(folder)
  if (!opened.ok) return opened
  const { disk } = opened
  try {
    const { index, discarded } = openLmdbRecordIndex(path.join(folder, 'index'))
    const release = () => disk.close()
    const freeBytes = () => freeBytesOf(folder)
    const upkeep = options.upkeep === undefined ? {} : { upkeep: { freeBytes, ...options.upkeep } }
    const result = await openEmbeddedStore({ ...options, ...upkeep, disk, index, release })
    if (result.ok) return { ...result, report: { ...result.report, discardedIndex: discarded } }
    await index.close()
    await disk.close()
    return result
  } catch (error) {
    await disk.close()
    if (!isOperatingError(error)) throw error
    const message = `its index can't be opened: ${error.message}`
    return { ok: false, problem: { code: 'index_failed', message } }
  }
}
