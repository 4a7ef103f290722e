// The help text of `switchyard load-test`.

export function usage(scenarios: readonly string[]): string {
  return `Usage: switchyard load-test [options]

Offers authorizations at the rates of a scenario, whatever the answers do, and balances the books
from the issuers' own ledgers. Without --target it starts issuers, redis-server (where installed) and
the switch on free ports and ends them. Latency counts from the intended send time.

  --scenario NAME|FILE     ${wrapped(scenarios)}
                           or a file of your own (load-tests/scenarios/ has examples)

What is offered; each changes what the scenario says:
  --rate N                 requests a second of the first measured phase, the others in
                           proportion (500)
  --duration S             seconds measured, of all measured phases together (10)
  --warmup S               seconds before that, offered but not measured (5)
  --replay FILE            past requests in place of the mix, .csv or NDJSON, at their own times
  --speed N                of a replay: 10 is ten times as fast (1)
  --protocol P             json, msgpack (HTTP), websocket or iso8583 (json)
  --connections N          over HTTP, each with one request at a time (rate / 10, at least 32);
                           WebSocket and ISO 8583 carry 512 on each (4)
  --arrivals fixed|poisson evenly spaced, or independent (fixed)
  --seed N                 of the requests and of Poisson arrivals (1)
  --cards N                different cards (one for two requests, at least 10000)
  --attack-percent N       share of requests that try out cards, on a few devices (0)
  --second-issuer-percent N  share of cards in BIN 541333 (10)

The switch that is started:
  --redis URL|auto|none    velocity store of the switch that is started (auto)
  --warm-events N          events in the rings of every card before the run (0)
  --rules FILE             a pack in place of the shipped ones
  --config JSON            laid over its configuration
  --keep FOLDER            keep logs, store and ledgers of what was started there

A switch that runs already:
  --target URL             an acquirer address that runs already: http://HOST:PORT, or
                           tcp://HOST:PORT with --protocol iso8583
  --api-key KEY            (demo-key)
  --issuer-control URL     control port of an issuer simulator behind the target; repeatable.
                           Without it the books can't be balanced, and the report says so
  --i-own-this-target      allow a target that is not on this machine

  --settle S               how long reversals may take to arrive before the books are judged (30)
  --against NAME|URL       the switch and a peer (echo, plain), or any server with its contract,
                           in turns: peak of a closed loop, latency at --rate (100), as ratios
  --sweep THING=N,N        what a message costs at several sizes: rules=10,1000, cards=1000,1000000,
                           issuers=1,50, connections=10,10000
  --where                  where the microseconds of a message go: CPU by thread and by room of the
                           source, bytes allocated, time of each step; the profile itself costs some
  --turns N                how often each side or size is measured (3)
  --report FOLDER          write report.html, report.json, latency.hgrm and, where a Chromium is
                           found, report.png; Ctrl-C ends the load and still writes them
  --compare A B            two such folders side by side, as ratios; nothing is run
  --json                   one JSON object on standard output
  --help

Exit code 0; 1 when the run is void (books that don't balance, nothing answered); 2 for wrong use.

Examples:
  switchyard load-test --rate 1000 --duration 20 --json
  switchyard load-test --scenario steady --report /tmp/steady
  switchyard load-test --scenario steady --rate 9000
  switchyard load-test --scenario steady --rate 200 --against plain
  switchyard load-test --scenario steady --rate 2000 --sweep cards=10000,1000000
  switchyard load-test --scenario steady --where
  switchyard load-test --replay yesterday.ndjson --speed 10
  switchyard load-test --compare /tmp/before /tmp/after
`
}

function wrapped(names: readonly string[]): string {
  const lines: string[] = []
  let line = ''
  for (const name of names) {
    if (line.length + name.length > 68) {
      lines.push(line)
      line = ''
    }
    line += line === '' ? name : `, ${name}`
  }
  lines.push(line)
  return lines.join(',\n                           ')
}
