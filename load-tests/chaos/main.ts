// Chaos as a process of its own: `switchyard chaos`.

import { chaos } from './chaos.ts'

process.exitCode = await chaos(process.argv.slice(2))
