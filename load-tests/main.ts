// The load driver as a process of its own, so that it measures from outside: `switchyard
// load-test`.

import { loadTest } from './driver/index.ts'

process.exitCode = await loadTest(process.argv.slice(2))
