// Counts a result of the suite as the suite itself does: a test that rests on another which did not
// pass is not counted, whatever came of it. Usage: node score.mjs SUITE MOUNT.json
//
// Each line begins with the mount, and what differs from run to run is left out, so that two results
// can be compared line by line.
import { readFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
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

// Names that the suite makes up for each run, and times.
function steady (message) {
  return String(message).replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID').replace(/\d\d:\d\d:\d\d/g, 'TIME')
}

const mount = basename(file, '.json')
const line = (...words) => [mount, ...words].join(' ')
const counts = {}
const others = []
for (const [id, test] of tests) {
  if (test.browser_only) continue
  const kind = test.kind || 'required'
  const what = outcome(id)
  counts[kind] ||= { pass: 0, all: 0 }
  counts[kind].all++
  if (what === 'pass') counts[kind].pass++
  else others.push(line(kind, what, id + ':', steady(results[id]?.[1] ?? '')))
}
for (const kind of ['required', 'optimal', 'check']) {
  console.log(line(kind, 'passed', counts[kind].pass, 'of', counts[kind].all))
}
for (const other of others) console.log(other)
