// Door of this room: what the operations port shows of a running switch, and what it takes.

export * from './facts.ts'
export * from './gauges.ts'
export * from './label-file.ts'
export * from './labels.ts'
export * from './model-swaps.ts'
export * from './operator-commands.ts'
export * from './readiness.ts'
export * from './rule-history.ts'
export * from './rule-reloads.ts'
export * from './tell-labels.ts'
export * from './velocity-watch.ts'
