// An editor as the YAML language server sees one: opens three files, and prints as JSON what it was told about them.
const {spawn} = require("child_process")
const server = spawn("node", [require.resolve("yaml-language-server/bin/yaml-language-server"), "--stdio"])
const settings = {validate: true, completion: true, hover: true, schemas: {}, schemaStore: {enable: false}}
const texts = {
  good: "name: a\nentry: s.py\npython: 3.11\nserver: {workers: 2}\n",
  bad: "name: a\nentri: s.py\nserver: {workers: none}\ncodec: zip\n",
  half: "name: a\nserver:\n  \n",
}
const waiting = {}, faults = {}
let number = 0, received = Buffer.alloc(0)

const send = message => {
  const text = JSON.stringify({jsonrpc: "2.0", ...message})
  server.stdin.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)
}
const ask = (method, params) => new Promise(done => { waiting[++number] = done; send({id: number, method, params}) })
const place = name => `file:///project/${name}.yaml`

function take(message) {
  if (message.id !== undefined && message.method === "workspace/configuration")
    send({id: message.id, result: message.params.items.map(each => each.section === "yaml" ? settings : null)})
  else if (message.id !== undefined && message.method) send({id: message.id, result: null})
  else if (message.id !== undefined) waiting[message.id](message.result)
  else if (message.method === "textDocument/publishDiagnostics") faults[message.params.uri] = message.params.diagnostics
}

server.stdout.on("data", data => {
  received = Buffer.concat([received, data])
  for (;;) {
    const end = received.indexOf("\r\n\r\n")
    if (end < 0) return
    const whole = end + 4 + Number(/Content-Length: (\d+)/.exec(received.subarray(0, end))[1])
    if (received.length < whole) return
    const message = JSON.parse(received.subarray(end + 4, whole))
    received = received.subarray(whole)
    take(message)
  }
})

async function main() {
  await ask("initialize", {processId: process.pid, rootUri: null, capabilities: {workspace: {configuration: true}}})
  send({method: "initialized", params: {}})
  send({method: "workspace/didChangeConfiguration", params: {settings: {yaml: settings}}})
  for (const [name, text] of Object.entries(texts))
    send({method: "textDocument/didOpen", params: {textDocument: {
      uri: place(name), languageId: "yaml", version: 1, text: `# yaml-language-server: $schema=file://${process.argv[2]}\n${text}`,
    }}})
  const end = Date.now() + 60000
  while (Date.now() < end && !(faults[place("good")] && (faults[place("bad")] || []).length)) await new Promise(done => setTimeout(done, 50))
  const completion = await ask("textDocument/completion", {textDocument: {uri: place("half")}, position: {line: 3, character: 2}})
  const hover = await ask("textDocument/hover", {textDocument: {uri: place("good")}, position: {line: 1, character: 1}})
  console.log(JSON.stringify({
    good: faults[place("good")].map(each => each.message), bad: faults[place("bad")].map(each => each.message),
    completion: completion.items.map(each => each.label), hover: JSON.stringify(hover.contents),
  }))
  server.kill()
}

main().catch(fault => { console.error(fault); process.exit(1) })
