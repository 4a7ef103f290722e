#!/usr/bin/env node
// The one plain JavaScript file: it lets Node.js take TypeScript as written, then hands over.
import { register } from 'tsx/esm/api'

register()
const { runCommand } = await import('./main.ts')
await runCommand(process.argv)
