#!/usr/bin/env node
import { importProgram } from './program.js'

const { runCommand } = await importProgram('switch/commands/main.ts')
await runCommand(process.argv)
