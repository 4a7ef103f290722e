import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, describe, it } from 'node:test'
import fc from 'fast-check'
import { type IndexPut, MemoryRecordIndex } from '../store/index.ts'
import { openLmdbRecordIndex } from './lmdb-record-index.ts'

const base = mkdtempSync(path.join(tmpdir(), 'switchyard-index-'))
after(() => rmSync(base, { recursive: true, force: true }))

const text = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString()

/** Runs statements that use the adapter in a process of its own. */
function runElsewhere(statements: string, folder: string) {
  const adapter = new URL('./lmdb-record-index.ts', import.meta.url).href
  const script = `import { openLmdbRecordIndex } from ${JSON.stringify(adapter)}\n${statements}`
  const tsx = import.meta.resolve('tsx')
  const args = ['--import', tsx, '--input-type=module', '-e', script, folder]
  return { child: spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] }) }
}

let nextFolder = 0
const newFolder = () => path.join(base, String(nextFolder++))

function markOf(folder: string) {
  const file = path.join(folder, 'mark.json')
  return {
    file,
    mark: JSON.parse(readFileSync(file, 'utf8')) as { state: string; bootId: string },
  }
}

describe('record index on LMDB', () => {
  it('finds what the index in memory finds, after any writes', async () => {
    const key = fc.string({
      unit: fc.constantFrom('a', 'b', ':', '1', 'é', '\u0000', '角'),
      minLength: 1,
      maxLength: 4,
    })
    const put = fc.tuple(key, fc.option(fc.uint8Array({ maxLength: 3 })))
    const batches = fc.array(fc.array(put), { maxLength: 4 })
    const { index } = openLmdbRecordIndex(newFolder())
    await fc.assert(
      fc.asyncProperty(batches, key, fc.nat(4), async (writes, prefix, limit) => {
        await index.clear()
        const model = new MemoryRecordIndex()
        for (const write of writes) {
          const puts: IndexPut[] = write.map(([key, value]) => ({ key, value }))
          await model.write(puts)
          await index.write(puts)
          for (const { key } of puts) {
            assert.deepEqual(text(index.get(key)), text(model.get(key)))
          }
        }
        for (const order of ['ascending', 'descending'] as const) {
          const found = index.list(prefix, limit, order)
          assert.deepEqual(
            found.map(({ key, value }) => [key, text(value)]),
            model.list(prefix, limit, order).map(({ key, value }) => [key, text(value)]),
          )
        }
      }),
      { numRuns: 60 },
    )
    await index.close()
  })

  it('is kept over a close and over kill -9, and thrown away after a restart of the machine', async () => {
    const folder = newFolder()
    const open = () => openLmdbRecordIndex(folder)
    const first = open()
    assert.equal(first.discarded, null)
    await first.index.write([{ key: 'a', value: Buffer.from('1') }])
    await first.index.close()
    const { file, mark } = markOf(folder)
    assert.equal(mark.state, 'closed')
    writeFileSync(file, JSON.stringify({ ...mark, bootId: 'of another boot' }))
    const second = open()
    assert.equal(second.discarded, null)
    assert.equal(text(second.index.get('a')), '1')
    await second.index.close()
    writeFileSync(file, JSON.stringify({ state: 'open', bootId: 'of another boot' }))
    const third = open()
    assert.match(third.discarded ?? '', /restarted/)
    assert.equal(third.index.get('a'), undefined)
    await third.index.close()
    rmSync(file)
    const fourth = open()
    assert.match(fourth.discarded ?? '', /mark/)
    await fourth.index.close()
  })

  it('throws away what is no index, at the latest when a process has died of it', async () => {
    const folder = newFolder()
    await openLmdbRecordIndex(folder).index.close()
    writeFileSync(path.join(folder, 'data.mdb'), Buffer.alloc(8_192, 1))
    const { child } = runElsewhere('openLmdbRecordIndex(process.argv[1])', folder)
    await once(child, 'exit')
    const { index, discarded } = openLmdbRecordIndex(folder)
    if (child.signalCode !== null) assert.match(discarded ?? '', /died of it/)
    await index.write([{ key: 'a', value: Buffer.from('1') }])
    assert.equal(text(index.get('a')), '1')
    await index.close()
  })

  it('has whole batches after kill -9', async () => {
    const folder = newFolder()
    const { child } = runElsewhere(
      `const { index } = openLmdbRecordIndex(process.argv[1])
      const run = async () => {
        for (let batch = 0; ; batch++) {
          const value = Buffer.from(String(batch))
          const puts = Array.from({ length: 500 }, (_, i) => ({ key: 'k' + i, value }))
          await index.write(puts)
          if (batch === 5) console.log('running')
        }
      }
      run()`,
      folder,
    )
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    const { index, discarded } = openLmdbRecordIndex(folder)
    assert.equal(discarded, null)
    const batches = new Set(Array.from({ length: 500 }, (_, i) => text(index.get(`k${i}`))))
    assert.equal(batches.size, 1)
    assert.ok(Number([...batches][0]) >= 5)
    await index.close()
  })

  const full = path.join(base, 'full')
  const skip = mountTiny(full) ? false : 'mounting a small tmpfs needs root'

  it('rejects on a full disk, with the reason, and leaves no stray rejection', {
    skip,
  }, async () => {
    after(() => execFileSync('umount', ['-l', full]))
    const stray: unknown[] = []
    const note = (reason: unknown) => stray.push(reason)
    process.on('unhandledRejection', note)
    const { index } = openLmdbRecordIndex(path.join(full, 'index'))
    const fill = async () => {
      for (let i = 0; i < 100; i++) {
        const puts = Array.from({ length: 100 }, (_, n) => ({
          key: `${i} ${n}`,
          value: Buffer.alloc(500, 1),
        }))
        await index.write(puts)
      }
    }
    await assert.rejects(fill(), /No space left|Input\/output/)
    await new Promise((resolve) => setTimeout(resolve, 50))
    process.off('unhandledRejection', note)
    assert.deepEqual(stray, [])
  })
})

function mountTiny(folder: string): boolean {
  mkdirSync(folder)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
