import assert from 'node:assert/strict'
import test from 'node:test'
import { StoreFault } from '../store/index.ts'
import type { HttpResponse } from './http.ts'
import { createOperationsApi } from './operations-api.ts'

function createApi(adminToken: string | undefined) {
  const asked: string[] = []
  const api = createOperationsApi({
    readiness: () => [],
    metrics: async () => '',
    adminToken,
    rules: () => ({ hash: 'abc' }),
    model: () => ({ version: '1+abc' }),
    commands: {
      '/v1/rules/reload': async (body) => {
        asked.push(`reload ${JSON.stringify(body)}`)
        return { status: 422, body: { result: 'refused' } }
      },
    },
    requeue: async (transaction) => {
      asked.push(transaction)
      if (transaction === 'auth_3') throw new StoreFault('the database was not read')
      if (transaction === 'ref_1') return { queued: 0, takenBack: 1 }
      return transaction === 'auth_1' ? { queued: 2, takenBack: 0 } : undefined
    },
  })
  const send = async (
    authorization: string,
    body: string,
    path = '/v1/queue/requeue',
  ): Promise<HttpResponse> => {
    const head = {
      method: 'POST',
      path,
      query: '',
      headers: new Map([['authorization', authorization]]),
    }
    const gate = api.gate(head)
    if ('refused' in gate) return gate.refused
    return api.handle({ ...head, body: Buffer.from(body) }, gate.caller)
  }
  return { asked, send }
}

test('a dead letter is queued again by whoever has the ADMIN_TOKEN', async () => {
  const { asked, send } = createApi('secret')
  const answer = await send('Bearer secret', '{"transaction":"auth_1"}')
  assert.deepEqual([answer.status, answer.body], [200, '{"requeued":2}\n'])
  assert.equal((await send('Bearer secret', '{"transaction":"auth_2"}')).status, 404)
  assert.deepEqual(asked, ['auth_1', 'auth_2'])
  const refused = await send('Bearer secret', '{"transaction":"ref_1"}')
  assert.equal(refused.status, 409)
  assert.match(String(refused.body), /"code":"taken_back".*a later reversal.*"requeued":0/)
})

test('a store that can not be reached is an answer, and no bug', async () => {
  const { send } = createApi('secret')
  const answer = await send('Bearer secret', '{"transaction":"auth_3"}')
  assert.equal(answer.status, 503)
  assert.match(String(answer.body), /"code":"store_fault".*the database was not read/)
})

test('a wrong token, none, or a switch without one changes nothing', async () => {
  const { asked, send } = createApi('secret')
  for (const authorization of ['', 'Bearer ', 'Bearer secre', 'Bearer secret ', 'secret']) {
    assert.equal((await send(authorization, '{"transaction":"auth_1"}')).status, 401)
  }
  const open = createApi(undefined)
  assert.equal((await open.send('Bearer undefined', '{"transaction":"auth_1"}')).status, 401)
  assert.equal((await open.send('Bearer ', '{"transaction":"auth_1"}')).status, 401)
  assert.deepEqual([...asked, ...open.asked], [])
})

test('a body that names no transaction is refused', async () => {
  const { asked, send } = createApi('secret')
  for (const body of ['', 'x', 'null', '[]', '{}', '{"transaction":1}']) {
    assert.equal((await send('Bearer secret', body)).status, 400, body)
  }
  assert.deepEqual(asked, [])
})

test('a command gets its JSON, or nothing, from whoever has the ADMIN_TOKEN', async () => {
  const { asked, send } = createApi('secret')
  const path = '/v1/rules/reload'
  assert.equal((await send('Bearer wrong', '', path)).status, 401)
  assert.equal((await send('Bearer secret', '{', path)).status, 400)
  assert.deepEqual(asked, [])
  for (const body of ['', '{"by":"me"}']) {
    const answer = await send('Bearer secret', body, path)
    assert.deepEqual([answer.status, answer.body], [422, '{"result":"refused"}\n'])
  }
  assert.deepEqual(asked, ['reload undefined', 'reload {"by":"me"}'])
  for (const unknown of ['/v1/rules', '/v1/rules/nothing', 'constructor', '__proto__']) {
    assert.equal((await send('Bearer secret', '', unknown)).status, 405)
  }
})
