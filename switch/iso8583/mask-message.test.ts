import assert from 'node:assert/strict'
import { test } from 'node:test'
import { maskMessage } from './mask-message.ts'
import type { FieldValue } from './message.ts'

const pan = '4761739001010119'
const cvv = '917'
const fields: (FieldValue | undefined)[] = []
fields[2] = pan
fields[4] = '000000002599'
fields[14] = '2912'
fields[34] = pan
fields[35] = `${pan}=29122011234567890`
fields[36] = `99${pan}`
fields[43] = `CORNER SHOP ${pan} BERLIN`
fields[45] = `B${pan}^DOE/J^2912`
fields[48] = cvv
fields[52] = '0123456789ABCDEF'
fields[55] = new Map([
  ['9F02', '000000002599'],
  ['57', `${pan}D2912`],
  ['5A', pan],
  ['56', Buffer.from(`B${pan}`).toString('hex')],
  ['9F6B', `${pan}D2912`],
  ['9F1F', Buffer.from('00917000').toString('hex')],
  ['5F24', '291231'],
  ['70', `5A08${pan}`],
])
fields[62] = `CVV2=${cvv}`
fields[90] = '010000012311221000000000012345600000000000'
fields[126] = new Map<string, FieldValue>([
  ['10', cvv],
  ['9', new Map([['1', pan]])],
])
fields[127] = pan

test('nothing of the card is left but the mask of DE2', () => {
  const masked = maskMessage({ mti: '0100', fields })
  const text = JSON.stringify(masked)
  assert.equal(masked.fields[2], '476173******0119')
  const secrets = [pan, '2912', cvv, '0123456789ABCDEF', Buffer.from(pan).toString('hex')]
  for (const secret of secrets) assert.ok(!text.includes(secret), secret)
})

test('what is needed to find the message is left', () => {
  const masked = maskMessage({ mti: '0100', fields })
  assert.deepEqual([masked.mti, masked.fields[4]], ['0100', '000000002599'])
  assert.equal(masked.fields[43], 'CORNER SHOP 476173******0119 BERLIN')
  assert.equal(masked.fields[90], '010000012311221000000000012345600000000000')
  assert.equal((masked.fields[55] as Record<string, string>)['9F02'], '000000002599')
  assert.equal(masked.fields[52], '[16 characters removed]')
})

test('a DE2 that is no card number is not shown at all', () => {
  const odd: (FieldValue | undefined)[] = []
  odd[2] = '476173900'
  assert.equal(maskMessage({ mti: '0100', fields: odd }).fields[2], '[9 characters removed]')
})

test('49 is a currency as text, and in parts the verification data of 2003', () => {
  const of = (value: FieldValue) => {
    const fields: FieldValue[] = []
    fields[49] = value
    return maskMessage({ mti: '2100', fields }).fields['49']
  }
  assert.deepEqual(of(new Map([['2', '123']])), { 2: '[3 characters removed]' })
  assert.equal(of('978'), '978')
})
