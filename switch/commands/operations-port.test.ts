import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { runningAdminUrl } from './operations-port.ts'

test('a switch that holds no embedded store is found while it lives and answers', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'operations-port-'))
  const server = createServer((_, response) => response.end('ok'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const admin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const addresses = (pid: number) =>
    writeFile(path.join(folder, 'addresses.json'), JSON.stringify({ admin, pid }))
  try {
    assert.equal(await runningAdminUrl(folder), undefined)
    // Above the largest process id there is.
    await addresses(2 ** 30)
    assert.equal(await runningAdminUrl(folder), undefined)
    await addresses(process.pid)
    assert.equal(await runningAdminUrl(folder), admin)
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    assert.equal(await runningAdminUrl(folder), undefined)
  } finally {
    server.close()
    await rm(folder, { recursive: true })
  }
})
