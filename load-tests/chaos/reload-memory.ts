// Whether the memory comes back: reloads one after the other on a running switch, and its resident
// memory after each tenth of them. Real processes: two issuers and a switch.
//
//   node --import tsx load-tests/chaos/reload-memory.ts [reloads, 1000]
//
// The heaps of three threads grow until they are collected, so the first tenths rise; what counts
// is that the last do not. Prints one line of JSON; exit 1 where a reload was refused.

import { startReloaded } from './reloaded.ts'

const TENTHS = 10

async function measure(reloads: number): Promise<boolean> {
  const reloaded = await startReloaded()
  try {
    const megabytes = async () =>
      Math.round((await reloaded.metric('process_resident_memory_bytes')) / 1e6)
    const residentMegabytes = [await megabytes()]
    for (let tenth = 1; tenth <= TENTHS; tenth++) {
      for (let i = 0; i < reloads / TENTHS; i++) await reloaded.reload()
      residentMegabytes.push(await megabytes())
      console.error(`${reloaded.tookMs.length} reloads: ${residentMegabytes.at(-1)} MB`)
    }
    const { length } = reloaded.tookMs
    const meanMs = Math.round(reloaded.tookMs.reduce((sum, ms) => sum + ms, 0) / length)
    console.log(
      JSON.stringify({ reloads: length, refused: reloaded.refused, meanMs, residentMegabytes }),
    )
    return reloaded.refused === 0
  } finally {
    await reloaded.stop()
  }
}

const [reloads = 1_000] = process.argv.slice(2).map(Number)
process.exitCode = (await measure(reloads)) ? 0 : 1
