// Formats the Lua below a folder by StyLua's library, as the folder's .stylua.toml says, or, without
// `--write`, says which files are not formatted.
//
// Usage: node scripts/stylua.mjs FOLDER_OF_STYLUA FOLDER [--write]

import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'

const [stylua, folder, write] = process.argv.slice(2)
const { Config, OutputVerification, formatCode, ...enums } = createRequire(
  resolve(stylua, 'package.json'),
)('@johnnymorganz/stylua')

// The names in .stylua.toml whose values are not plain, and the library's type of them.
const TYPES = { indent_type: 'IndentType', quote_style: 'QuoteStyle' }

// Made anew for each file: the library consumes it.
function config() {
  const made = Config.new()
  for (const line of readFileSync(join(folder, '.stylua.toml'), 'utf8').split('\n')) {
    const [, name, value] = line.match(/^(\w+) = (.+)$/) ?? []
    if (name === undefined) continue
    const plain = JSON.parse(value)
    made[name] = name in TYPES ? enums[TYPES[name]][plain] : plain
    if (made[name] === undefined) throw new Error(`.stylua.toml: ${name} = ${value}?`)
  }
  return made
}

const different = []
const names = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.lua'))
for (const file of names.map((name) => join(folder, name))) {
  const code = readFileSync(file, 'utf8')
  const formatted = formatCode(code, config(), undefined, OutputVerification.Full)
  if (formatted === code) continue
  if (write) writeFileSync(file, formatted)
  different.push(file)
}
for (const file of different) console.log(`${write ? 'formatted' : 'not formatted'}: ${file}`)
if (different.length && !write) {
  console.error('Run `make format`.')
  process.exitCode = 1
}
