import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createProblemList } from '../problem.ts'
import { atOnce } from '../steps.ts'
import { addToList, type ListEdit, type ListEntry, newList, removeFromList } from './edit.ts'
import { createNamedList } from './named-list.ts'

function textOf(edit: ListEdit): string {
  assert.ok(edit.ok, JSON.stringify(edit))
  return edit.text
}

function problemOf(edit: ListEdit): string {
  assert.ok(!edit.ok)
  return edit.problem
}

test('an entry is added at the end, and comments stay', () => {
  const text = '# watched since May\nvalue,until,why\nM-1,,"late, always"\n'
  const entry = { key: ['M-2'], until: '2027-01-31', by: 'fraud-desk', why: 'asked "why"' }
  const added = textOf(addToList(text, [entry]))
  assert.equal(
    added,
    '# watched since May\nvalue,until,why,by\nM-1,,"late, always",\nM-2,2027-01-31,"asked ""why""",fraud-desk\n',
  )
  assert.equal(
    textOf(removeFromList(added, ['M-1'])),
    '# watched since May\nvalue,until,why,by\nM-2,2027-01-31,"asked ""why""",fraud-desk\n',
  )
})

test('ranges have two ends, of which the second may be left out', () => {
  const list = textOf(addToList(newList('bin'), [{ key: ['476173'] }, { key: ['5413', '5414'] }]))
  assert.match(list, /^binFrom,binTo,until,added,by,why\n476173,476173,,,,\n5413,5414,,,,\n$/)
  assert.match(textOf(removeFromList(list, ['476173'])), /why\n5413/)
  assert.match(textOf(removeFromList(list, ['5413', '5414'])), /476173,,,,\n$/)
})

test('what can not be done is said', () => {
  const text = 'value\nM-1\n'
  assert.match(problemOf(addToList(text, [{ key: ['M-1'] }])), /already/)
  assert.match(problemOf(addToList(text, [{ key: ['M-2'] }, { key: ['M-2'] }])), /already/)
  assert.match(problemOf(addToList(text, [{ key: ['a', 'b'] }])), /written value/)
  assert.match(problemOf(addToList(text, [{ key: ['a'], why: 'one\ntwo' }])), /one line/)
  assert.match(problemOf(removeFromList(text, ['M-2'])), /not on the list/)
  assert.match(problemOf(addToList('name\nx\n', [{ key: ['a'] }])), /header/)
})

test('whatever is added is on the list, and gone when it is removed', () => {
  const word = fc.string({ minLength: 1, maxLength: 12 }).filter((text) => !/[\r\n]/.test(text))
  const entries = fc.uniqueArray(fc.record({ key: fc.tuple(word), why: word, by: word }), {
    minLength: 1,
    maxLength: 10,
    selector: (entry) => entry.key[0],
  })
  const listOf = (text: string) => {
    const problems = createProblemList()
    const list = atOnce(createNamedList({ name: 'lists/x.csv', text }, problems))
    assert.deepEqual(problems.sorted(), [])
    return list
  }
  fc.assert(
    fc.property(entries, (all: readonly ListEntry[]) => {
      const text = textOf(addToList('# a\nvalue\n', all))
      const list = listOf(text)
      assert.equal(list.size, all.length)
      for (const { key } of all) {
        assert.ok(list.has(key[0] as string), text)
        assert.ok(!listOf(textOf(removeFromList(text, key))).has(key[0] as string))
      }
    }),
  )
})
