// A running switch with issuers and rules of its own, one pack of which changes with every reload.

import { cp, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { changingPack, pause, projectFolder, startIssuer, startSwitch } from '../processes/index.ts'

const TOKEN = 'an-admin-token'

export interface Reloaded {
  readonly url: string
  /** How long each reload took, in order. */
  readonly tookMs: readonly number[]
  readonly refused: number
  /** Changes the pack and has the switch take it. */
  reload(): Promise<void>
  /** `count` reloads, each in the middle of its time. */
  reloadEvery(everyMs: number, count: number): Promise<void>
  /** A metric without labels, by its name without the prefix; NaN where there is none. */
  metric(name: string): Promise<number>
  stop(): Promise<void>
}

export async function startReloaded(): Promise<Reloaded> {
  const folder = await mkdtemp(path.join(tmpdir(), 'switchyard-reloads-'))
  const rulesDir = path.join(folder, 'rules')
  for (const part of ['packs', 'lists']) {
    await cp(path.join(projectFolder, 'rules', part), path.join(rulesDir, part), {
      recursive: true,
    })
  }
  const file = path.join(rulesDir, 'packs', 'reloaded.yaml')
  let number = 0
  const write = async () => {
    await writeFile(`${file}.draft`, changingPack(number++))
    await rename(`${file}.draft`, file)
  }
  await write()
  const issuers = await Promise.all([
    startIssuer({ name: 'demo-a' }),
    startIssuer({ name: 'demo-b' }),
  ])
  const running = await startSwitch({
    folder,
    issuers,
    config: { log: { oneLineIn: 0 }, watchRules: false },
    env: { RULES_DIR: rulesDir, ADMIN_TOKEN: TOKEN },
  })
  const tookMs: number[] = []
  let refused = 0
  const reload = async () => {
    await write()
    const startedMs = performance.now()
    const response = await fetch(`${running.adminUrl}/v1/rules/reload`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}` },
    })
    const report = (await response.json()) as { result: string }
    tookMs.push(performance.now() - startedMs)
    if (report.result !== 'taken') refused++
  }
  return {
    url: running.url,
    tookMs,
    get refused() {
      return refused
    },
    reload,
    async reloadEvery(everyMs, count) {
      const startedMs = performance.now()
      for (let done = 0; done < count; done++) {
        await pause(Math.max(0, startedMs + (done + 0.5) * everyMs - performance.now()))
        await reload()
      }
    },
    async metric(name) {
      const text = await (await fetch(`${running.adminUrl}/metrics`)).text()
      return Number(new RegExp(`^switchyard_${name} (\\S+)`, 'm').exec(text)?.[1])
    },
    async stop() {
      await running.stop()
      await Promise.all(issuers.map((issuer) => issuer.stop()))
      await rm(folder, { recursive: true, force: true })
    },
  }
}
