import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, describe, it } from 'node:test'
import { findHolder, lockFolder } from './folder-lock.ts'

const base = mkdtempSync(path.join(tmpdir(), 'switchyard-lock-'))
after(() => rmSync(base, { recursive: true, force: true }))

let nextFolder = 0
function newFolder(...names: string[]): string {
  const folder = path.join(base, String(nextFolder++), ...names)
  mkdirSync(folder, { recursive: true })
  return folder
}

/** A process that takes the folder's lock, prints what came of it, and stays. */
async function lockElsewhere(folder: string) {
  const script = `
    import { lockFolder } from ${JSON.stringify(new URL('./folder-lock.ts', import.meta.url).href)}
    lockFolder(process.argv[1]).then((result) => {
      console.log(JSON.stringify(result))
      setInterval(() => {}, 1000)
    })`
  const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', script, folder]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(child.stdout, 'data')
  return { child, result: JSON.parse(String(line)) as { ok: boolean } }
}

describe('folder lock', () => {
  it('is held by one, and free after its release', async () => {
    const folder = newFolder()
    assert.equal(await findHolder(folder), undefined)
    const first = await lockFolder(folder)
    assert.ok(first.ok)
    assert.equal(await findHolder(folder), process.pid)
    const second = await lockFolder(folder)
    assert.ok(!second.ok)
    assert.equal(second.problem.code, 'folder_locked')
    assert.match(second.problem.message, new RegExp(`process ${process.pid} `))
    await first.lock.release()
    assert.deepEqual(readdirSync(folder), [])
    const third = await lockFolder(folder)
    assert.ok(third.ok)
    await third.lock.release()
  })

  it('is refused while another process lives, even stopped, and free after kill -9', async () => {
    const folder = newFolder()
    const { child, result } = await lockElsewhere(folder)
    assert.ok(result.ok)
    child.kill('SIGSTOP')
    const refused = await lockFolder(folder)
    assert.ok(!refused.ok)
    assert.match(refused.problem.message, new RegExp(`process ${child.pid} `))
    child.kill('SIGKILL')
    await once(child, 'exit')
    assert.equal(readdirSync(folder).length, 1)
    const taken = await lockFolder(folder)
    assert.ok(taken.ok)
    assert.equal(readdirSync(folder).length, 1)
    await taken.lock.release()
  })

  it('is never held by two that start together', async () => {
    const folder = newFolder()
    for (let round = 0; round < 20; round++) {
      const results = await Promise.all([
        lockFolder(folder),
        lockFolder(folder),
        lockFolder(folder),
      ])
      const held = results.filter((result) => result.ok)
      assert.ok(held.length <= 1)
      for (const { lock } of held) await lock.release()
    }
    assert.deepEqual(readdirSync(folder), [])
  })

  it('works where the path is longer than a socket address', { skip: notLinux() }, async () => {
    const folder = newFolder('a'.repeat(100), 'b'.repeat(100))
    const first = await lockFolder(folder)
    assert.ok(first.ok)
    assert.equal(await findHolder(folder), process.pid)
    assert.ok(!(await lockFolder(folder)).ok)
    await first.lock.release()
    assert.deepEqual(readdirSync(folder), [])
  })

  it('looks only at sockets of its own kind', async () => {
    const folder = newFolder()
    const stranger = createServer().listen(path.join(folder, 'other.sock'))
    await once(stranger, 'listening')
    const first = await lockFolder(folder)
    assert.ok(first.ok)
    await first.lock.release()
    stranger.close()
  })

  it('says so where no socket can be made', async () => {
    const refused = await lockFolder(path.join(base, 'absent'))
    assert.ok(!refused.ok)
    assert.equal(refused.problem.code, 'lock_failed')
  })
})

function notLinux(): string | false {
  return process.platform === 'linux' ? false : 'only Linux has /proc/self/fd'
}
