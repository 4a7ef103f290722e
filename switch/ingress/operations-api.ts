// The operations port: /livez, /readyz, /metrics. Nothing here changes anything.

import type { HttpApi, HttpRequest, HttpResponse } from './http.ts'

/** One condition of readiness, with what an SRE should know of it. */
export interface ReadinessCheck {
  readonly name: string
  readonly isReady: boolean
  readonly detail: string
}

export interface OperationsApiOptions {
  readonly readiness: () => readonly ReadinessCheck[]
  /** The Prometheus text format. */
  readonly metrics: () => Promise<string>
}

/** `/readyz` is 200 only while every check holds; `?verbose` lists them all. */
export function createOperationsApi(options: OperationsApiOptions): HttpApi<'anyone'> {
  return {
    gate: (head) =>
      head.method === 'GET' ? { caller: 'anyone' } : { refused: text(405, 'only GET here\n') },
    handle: (request) => answer(options, request),
    refuse: (_code, detail) => text(400, `${detail}\n`),
  }
}

async function answer(options: OperationsApiOptions, request: HttpRequest): Promise<HttpResponse> {
  switch (request.path) {
    case '/livez':
      return text(200, 'ok\n')
    case '/readyz':
      return readyz(options.readiness(), new URLSearchParams(request.query).has('verbose'))
    case '/metrics':
      return {
        status: 200,
        contentType: 'text/plain; version=0.0.4; charset=utf-8',
        headers: [],
        body: await options.metrics(),
      }
    default:
      return text(404, 'see /livez, /readyz?verbose and /metrics\n')
  }
}

function readyz(checks: readonly ReadinessCheck[], isVerbose: boolean): HttpResponse {
  const failing = checks.filter((check) => !check.isReady)
  const shown = isVerbose ? checks : failing
  const lines = shown.map(
    (check) => `[${check.isReady ? '+' : '-'}] ${check.name}: ${check.detail}\n`,
  )
  const verdict = failing.length === 0 ? 'ready\n' : 'not ready\n'
  return text(failing.length === 0 ? 200 : 503, `${lines.join('')}${verdict}`)
}

function text(status: number, body: string): HttpResponse {
  return { status, contentType: 'text/plain; charset=utf-8', headers: [], body }
}
