import { aggregateKey } from '#rules'
import { FEATURES } from '../features.ts'

/** The feature table as Markdown, in the order of the model's columns. */
export function featureTable(): string {
  const rows = FEATURES.map(({ name, unit, meaning, needs }, column) => {
    const from = needs.length === 0 ? 'request' : needs.map(aggregateKey).join('; ')
    return `| ${column} | \`${name}\` | ${unit} | ${meaning} | ${from} |`
  })
  return ['| # | name | unit | meaning | from |', '|---|---|---|---|---|', ...rows].join('\n')
}
