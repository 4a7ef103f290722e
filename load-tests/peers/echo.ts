// The bare echo: reads a JSON request, answers JSON, does nothing between. What the runtime can
// carry at most. Prints `{"ready":true,"port":N}`; ends with its standard input.

import uws from 'uWebSockets.js'

const loopback = '127.0.0.1'

uws
  .App()
  .post('/v1/authorizations', (response) => {
    let isAborted = false
    let body = Buffer.alloc(0)
    response.onAborted(() => {
      isAborted = true
    })
    response.onData((chunk, isLast) => {
      // Copied: the memory of a chunk is taken back on return.
      body = Buffer.concat([body, Buffer.from(chunk)])
      if (!isLast || isAborted) return
      const request = JSON.parse(body.toString('utf8')) as { readonly amount: number }
      const { amount } = request
      const answer = JSON.stringify({
        ...{ id: 'echo', type: 'authorization', outcome: 'approved', responseCode: '00' },
        ...{ approvalCode: '000000', amount, currency: 'EUR', issuer: 'echo', standIn: false },
        risk: { outcome: 'approve', score: 0, reasons: [], degraded: [] },
      })
      response.cork(() => {
        response.writeHeader('Content-Type', 'application/json').end(answer)
      })
    })
  })
  .listen(loopback, 0, (socket) => {
    if (socket === false) throw new Error('the echo can not listen')
    process.stdout.write(`{"ready":true,"port":${uws.us_socket_local_port(socket)}}\n`)
  })

process.stdin.resume().on('end', () => process.exit(0))
