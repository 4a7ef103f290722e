// One thread of a simulation: runs the episodes that it is told, and tells what they came to.

import { parentPort, workerData } from 'node:worker_threads'
import { LATE_ANSWER_WINDOW_MS, simulateEpisode } from '../simulation/episode/index.ts'
import { sealRealWorld } from './sealed-world.ts'
import { readGround } from './simulation-ground.ts'
import type { FromThread } from './simulation-threads.ts'

const { seed } = workerData as { readonly seed: number }
const ground = await readGround(LATE_ANSWER_WINDOW_MS)
const port = parentPort
if (port === null) throw new Error('not a thread')
const tell = (message: FromThread) => port.postMessage(message)

port.on('message', (episode: number) => {
  const options = { ground, seed, seal: sealRealWorld }
  void simulateEpisode(options, episode).then((report) => tell({ kind: 'report', report }))
})
tell({ kind: 'ready' })
