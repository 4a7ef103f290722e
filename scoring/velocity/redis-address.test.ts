import assert from 'node:assert/strict'
import test from 'node:test'
import { parseRedisUrl } from './redis-address.ts'

test('one server keeps its URL', () => {
  for (const url of ['redis://127.0.0.1:6379', 'rediss://user:secret@redis.example:6380/2']) {
    assert.deepEqual(parseRedisUrl(url), { kind: 'server', url })
  }
})

test('Sentinels, the name of the master, a database', () => {
  assert.deepEqual(parseRedisUrl('redis+sentinel://10.0.0.1:26379,10.0.0.2/velocity/3'), {
    kind: 'sentinel',
    sentinels: [
      { host: '10.0.0.1', port: 26_379 },
      { host: '10.0.0.2', port: 26_379 },
    ],
    name: 'velocity',
    database: 3,
    isTls: false,
  })
})

test('a cluster by some of its nodes, with TLS and credentials', () => {
  assert.deepEqual(parseRedisUrl('rediss+cluster://me:p%40ss@[::1]:7000,b.example:7001'), {
    kind: 'cluster',
    nodes: [
      { host: '::1', port: 7_000 },
      { host: 'b.example', port: 7_001 },
    ],
    username: 'me',
    password: 'p@ss',
    isTls: true,
  })
})

for (const url of [
  '',
  'redis:',
  'http://127.0.0.1:6379',
  'redis+sentinel://127.0.0.1:26379',
  'redis+sentinel://127.0.0.1:26379/a/b',
  'redis+sentinel://127.0.0.1:26379/name/0/more',
  'redis+cluster://',
  'redis+cluster://a:7000,,b:7001',
  'redis+cluster://a:7000/1',
  'redis+cluster://a:99999',
  'redis+ring://a:7000',
]) {
  test(`${JSON.stringify(url)} is none`, () => {
    assert.equal(parseRedisUrl(url), undefined)
  })
}
