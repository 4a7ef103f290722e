import assert from 'node:assert/strict'
import test from 'node:test'
import { redisMissing } from '../processes/index.ts'
import { PEERS, startPeer } from './index.ts'

const request = {
  ...{ type: 'authorization', amount: 2_599, currency: 'EUR', channel: 'pos' },
  card: { pan: '4761739001010119', expiry: '2912', country: 'DE' },
  merchant: { id: 'M1001', mcc: '5411', country: 'DE' },
  terminal: { id: 'T0001' },
  device: { id: 'D77' },
}

for (const name of PEERS) {
  test(`${name} answers an authorization as the contract has it`, {
    skip: name === 'plain' && redisMissing(),
  }, async () => {
    const peer = await startPeer(name)
    const response = await fetch(`${peer.url}/v1/authorizations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
    })
    const answer = (await response.json()) as { outcome: string; amount: number }
    await peer.stop()
    assert.equal(response.status, 200)
    assert.equal(answer.outcome, 'approved')
    assert.equal(answer.amount, request.amount)
  })
}
