import { test } from 'node:test'
import { assertIngressRelations } from './limits.ts'

test('the limits of the acquirers’ side fit each other and the message path', () => {
  assertIngressRelations()
})
