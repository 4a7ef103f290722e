import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isScalar, parseDocument, stringify } from 'yaml'
import { sourcePositions } from './positions.ts'

function positionsOf(source: string): { value: string; positions: number[] } {
  const node = parseDocument(source).get('when', true)
  assert.ok(isScalar(node))
  return { value: String(node.value), positions: sourcePositions(source, node) }
}

test('each character is found where it was written, in every style of YAML text', () => {
  const styles = [
    'when: amount >= 10 && channel == "pos"\n',
    'when:   "amount >= 10\n    && channel == \\"pos\\""\n',
    "when: 'amount >= 10 && channel == ''pos'''\n",
    'when: |\n  amount >= 10\n  && channel == "pos"\n',
    'when: >-\n    amount >= 10 &&\n    channel == "pos"\n\n',
    'when: amount >= 10\n  &&  channel == "pos"\n',
  ]
  for (const source of styles) {
    const { value, positions } = positionsOf(source)
    for (const word of ['amount', '10', '&&', 'channel', 'pos']) {
      const at = positions[value.indexOf(word)] ?? -1
      assert.equal(source.slice(at, at + word.length), word, source)
    }
  }
})

test('words of any text are found again, however the library wrote them', () => {
  const words = fc.array(fc.stringMatching(/^[a-z0-9"'\\&=<>#:]{1,12}$/), { minLength: 1 })
  const style = fc.constantFrom('PLAIN', 'QUOTE_DOUBLE', 'QUOTE_SINGLE', 'BLOCK_FOLDED')
  fc.assert(
    fc.property(words, style, fc.constantFrom(20, 80), (list, defaultStringType, lineWidth) => {
      const when = list.join(' ')
      const source = stringify({ when }, { defaultStringType, lineWidth, defaultKeyType: 'PLAIN' })
      const { value, positions } = positionsOf(source)
      for (let index = 0; index < value.length; index++) {
        const character = value[index] ?? ''
        if (!/[a-z0-9=&<>#:]/.test(character)) continue
        assert.equal(source[positions[index] ?? -1], character, source)
      }
    }),
  )
})
