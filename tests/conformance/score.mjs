// Counts a result of the suite as the suite itself does: a test that rests on another which did not
// pass is not counted, whatever came of it. Usage: node score.mjs SUITE RESULT.json
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const [suite, file] = process.argv.slice(2)
const groups = (await import(pathToFileURL(resolve(suite, 'tests/index.mjs')))).default
const results = JSON.parse(readFileSync(file, 'utf8'))
const tests = new Map(groups.flatMap(g => g.tests.map(t => [t.id, t])))

function outcome (id, above = []) {
  const result = results[id]
  if (result === undefined) return 'not run'
  const rests = (tests.get(id).depends_on || []).filter(d => !above.includes(d))
  if (rests.some(d => outcome(d, [...above, id]) !== 'pass')) return 'depends'
  if (result === true) return 'pass'
  return result[0] === 'Setup' ? 'setup' : 'fail'
}

const counts = {}
const others = []
for (const [id, test] of tests) {
  if (test.browser_only) continue
  const kind = test.kind || 'required'
  const what = outcome(id)
  counts[kind] ||= { pass: 0, all: 0 }
  counts[kind].all++
  if (what === 'pass') counts[kind].pass++
  else others.push(`  ${kind.padEnd(9)} ${what.padEnd(8)} ${id}: ${results[id]?.[1] ?? ''}`)
}
for (const kind of ['required', 'optimal', 'check']) {
  console.log(`  ${kind.padEnd(9)} ${counts[kind].pass} of ${counts[kind].all}`)
}
console.log(others.join('\n'))
