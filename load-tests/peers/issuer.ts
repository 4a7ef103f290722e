// The issuer of the plain stack: approves every request over HTTP, as fast as node:http can.
// Prints `{"ready":true,"port":N}`; ends with its standard input.

import { createServer } from 'node:http'

let approvals = 0

const server = createServer((request, response) => {
  request.resume().on('end', () => {
    const approvalCode = String(approvals++ % 1_000_000).padStart(6, '0')
    response.setHeader('Content-Type', 'application/json')
    response.end(`{"responseCode":"00","approvalCode":"${approvalCode}"}`)
  })
})

server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  process.stdout.write(`{"ready":true,"port":${port}}\n`)
})

process.stdin.resume().on('end', () => process.exit(0))
