import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { AuthorizationSchema } from './message.ts'

interface Node {
  readonly properties?: Readonly<Record<string, Node>>
  readonly enum?: readonly string[]
}

test('docs/authorizations.md has every field of the request, and every word of its lists', () => {
  const page = readFileSync(new URL('./docs/authorizations.md', import.meta.url), 'utf8')
  const missing: string[] = []
  const visit = (node: Node, path: string) => {
    for (const [name, inner] of Object.entries(node.properties ?? {})) {
      const field = path === '' ? name : `${path}.${name}`
      if (inner.properties !== undefined) visit(inner, field)
      else if (!page.includes(`\`${field}\``)) missing.push(field)
      for (const word of inner.enum ?? []) if (!page.includes(`\`${word}\``)) missing.push(word)
    }
  }
  visit(AuthorizationSchema as unknown as Node, '')
  assert.deepEqual(missing, [])
})
