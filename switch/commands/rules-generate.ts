// `switchyard rules generate`: what is made from the language's definition and checked in.

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import { generatedFiles } from '#rules'
import { PROJECT_ROOT } from './run-tool.ts'

export function registerRulesGenerate(rules: Command): void {
  rules
    .command('generate')
    .description("write the editors' JSON Schemas and the page of the language into rules/")
    .addHelpText('after', '\nExample:\n  $ npx switchyard rules generate')
    .action(() => {
      for (const { name, text } of generatedFiles()) {
        writeFileSync(path.join(PROJECT_ROOT, 'rules', name), text)
        console.error(`rules/${name}`)
      }
    })
}
