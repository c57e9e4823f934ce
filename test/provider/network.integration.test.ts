import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import Dns from "node:dns"
import * as Transport from "../../src/provider/Transport.ts"
import { ask, type Asked, type AskOptions, client, collect, find, plan, textOf } from "./asking.ts"
import { pem, tls } from "./certificates.ts"
import { proxyServer, type ProxyServer } from "./proxies.ts"
import { answer, freePort, goodAnswer, raw } from "./servers.ts"

const good = (asked: Asked): void => {
  assert.isUndefined(asked.error, asked.error?.message)
  assert.strictEqual(textOf(asked), "Hello world")
}

const secureServer = (name: "server" | "other" | "expired" = "server", more: object = {}) =>
  raw((socket) => socket.write(goodAnswer), { tls: { ...tls(name), ...more } })

const plainServer = raw((socket) => socket.write(goodAnswer))

const trusting = Transport.security({ ca: [pem("ca")] })

const through = (proxy: ProxyServer, login = "") =>
  Transport.proxies({ all: Redacted.make(proxy.url.replace("://", `://${login}`)) })

/** Every connection to the server has come from the proxy. */
const onlyThrough = (
  proxy: ProxyServer,
  server: { readonly sockets: ReadonlySet<{ remotePort?: number | undefined }> }
) => {
  for (const { remotePort } of server.sockets) assert.isTrue(proxy.ports.has(remotePort ?? -1))
}

describe("TLS", () => {
  it.live("a CA of one's own, which is trusted besides the others", () =>
    Effect.gen(function* () {
      const server = yield* secureServer()
      const asked = yield* ask(server.url, { security: yield* trusting })
      good(asked)
      assert.isAbove(find(asked, "Sent")?.connection?.tls ?? 0, 0)
      // It is one among those that are trusted anyway.
      const security = yield* trusting
      assert.isDefined(security.context)
      const stranger = yield* raw(() => {}, { tls: true })
      assert.strictEqual((yield* ask(stranger.url, { security })).error?.reason._tag, "Tls")
    })
  )

  it.live.each([
    ["unknown CA", "server", undefined, "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "--ca"],
    ["another host", "other", trusting, "ERR_TLS_CERT_ALTNAME_INVALID", "another host"],
    ["expired", "expired", trusting, "CERT_HAS_EXPIRED", "clock"]
  ] as const)("%s", ([_name, certificate, security, code, words]) =>
    Effect.gen(function* () {
      const server = yield* secureServer(certificate)
      const options = security === undefined ? {} : { security: yield* security }
      const { error, events } = yield* ask(server.url, options)
      assert.deepInclude(error?.reason, { _tag: "Tls", code })
      assert.include(error?.message, words)
      assert.include(error?.message, "--insecure")
      assert.deepStrictEqual(events, [])
      assert.deepStrictEqual(server.received, [])
    })
  )

  it.live("no verification at all", () =>
    Effect.gen(function* () {
      const security = yield* Transport.security({ verify: false })
      for (const name of ["server", "other", "expired"] as const) {
        const server = yield* secureServer(name)
        good(yield* ask(server.url, { security }))
      }
      const stranger = yield* raw((socket) => socket.write(goodAnswer), { tls: true })
      good(yield* ask(stranger.url, { security }))
    })
  )

  const asking = { requestCert: true, rejectUnauthorized: true, ca: pem("ca") }

  it.live("a server that wants to know its clients", () =>
    Effect.gen(function* () {
      const server = yield* secureServer("server", asking)
      const { cert, key } = tls("client")
      const security = yield* Transport.security({
        ca: [pem("ca")],
        clientCertificate: { certificate: cert, key: Redacted.make(key) }
      })
      good(yield* ask(server.url, { security }))
      const { error } = yield* ask(server.url, { security: yield* trusting })
      // OpenSSL tells it, unless the connection is gone before the alert has been read.
      assert.include(["Tls", "Connect"], error?.reason._tag)
      if (error?.reason._tag === "Tls") assert.include(error.message, "--client-cert")
      assert.strictEqual(server.received.length, 1)
    })
  )

  it.live("connections that are opened ahead are verified too", () =>
    Effect.gen(function* () {
      const server = yield* secureServer()
      const trusted = yield* client(server.url, { security: yield* trusting })
      assert.strictEqual(yield* trusted.transport.openConnections(server.url, 3), 3)
      const asked = yield* trusted.ask
      good(asked)
      assert.isNull(find(asked, "Sent")?.connection)
      const { transport } = yield* client(server.url)
      assert.strictEqual(yield* transport.openConnections(server.url, 3), 0)
    })
  )

  it.effect.each([
    ["no certificate", { ca: ["hello"] }, "CA"],
    ["a broken certificate", { ca: [pem("ca").replace(/[A-Z]{3}/g, "AAA")] }, "CA"],
    [
      "the key of another",
      { clientCertificate: { certificate: pem("client"), key: Redacted.make(pem("server.key")) } },
      "client certificate"
    ],
    ["no key", { clientCertificate: { certificate: pem("client"), key: Redacted.make("") } }, "client certificate"]
  ] as const)("files that cannot be used: %s", ([_name, options, word]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Transport.security(options))
      assert.strictEqual(error.reason._tag, "Tls")
      assert.include(error.message, word)
    })
  )
})

describe("addresses", () => {
  it.live("IPv6", () =>
    Effect.gen(function* () {
      const plain = yield* raw((socket) => socket.write(goodAnswer), { host: "::1" })
      assert.include(plain.url, "[::1]")
      good(yield* ask(plain.url))
      const secure = yield* raw((socket) => socket.write(goodAnswer), { host: "::1", tls: tls("server") })
      good(yield* ask(secure.url, { security: yield* trusting }))
      const host = plain.received[0]?.headers.find(([name]) => name === "host")
      assert.deepStrictEqual(host, ["host", `[::1]:${plain.port}`])
      const { transport } = yield* client(plain.url)
      assert.strictEqual(yield* transport.openConnections(plain.url, 2), 2)
    })
  )

  it.live("a host with several, of which one works", () =>
    Effect.gen(function* () {
      const server = yield* plainServer
      const { lookup } = Dns
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const several = (_host: string, _options: object, found: Function): void =>
            process.nextTick(found, null, [
              { address: "::1", family: 6 },
              { address: "127.0.0.1", family: 4 }
            ])
          Object.assign(Dns, { lookup: several })
        }),
        () => Effect.sync(() => Object.assign(Dns, { lookup }))
      )
      good(yield* ask(`http://several.test:${server.port}`))
      const { error } = yield* ask(`http://several.test:${yield* freePort}`)
      assert.include(error?.message, "::1")
      assert.include(error?.message, "127.0.0.1")
    })
  )
})

describe("a proxy", () => {
  it.live("plain requests are forwarded, with their answers as they come", () =>
    Effect.gen(function* () {
      const server = yield* plainServer
      const proxy = yield* proxyServer()
      const { ask, transport } = yield* client(`http://llm.test:${server.port}`, { proxies: yield* through(proxy) })
      const asked = yield* ask
      good(asked)
      assert.deepStrictEqual(
        proxy.passed.map(({ line }) => line),
        [`POST http://llm.test:${server.port}/v1/chat/completions`]
      )
      assert.strictEqual(proxy.passed[0]?.headers.host, `llm.test:${server.port}`)
      assert.isUndefined(proxy.passed[0]?.headers["proxy-authorization"])
      assert.strictEqual(find(asked, "Sent")?.connection?.tls, 0)
      // The next one has a connection to the proxy already.
      good(yield* ask)
      assert.strictEqual(proxy.connections(), 1)
      assert.strictEqual(yield* transport.openConnections(`http://llm.test:${server.port}`, 2), 2)
      // The proxy may learn of them later than we do.
      for (let i = 0; i < 1_000 && proxy.connections() < 3; i++) yield* Effect.sleep(5)
      assert.strictEqual(proxy.connections(), 3)
    })
  )

  it.live.each([
    ["http", false],
    ["https", true]
  ] as const)("TLS goes through a tunnel of an %s proxy", ([_name, secure]) =>
    Effect.gen(function* () {
      const server = yield* secureServer()
      const proxy = yield* proxyServer({ secure })
      const { ask, transport } = yield* client(`https://llm.test:${server.port}`, {
        proxies: yield* through(proxy),
        security: yield* trusting
      })
      const asked = yield* ask
      good(asked)
      assert.deepStrictEqual(
        proxy.passed.map(({ headers, line }) => [line, headers.host]),
        [[`CONNECT llm.test:${server.port}`, `llm.test:${server.port}`]]
      )
      const timing = find(asked, "Sent")?.connection
      assert.isAbove(timing?.tcp ?? 0, 0)
      assert.isAbove(timing?.tls ?? 0, 0)
      assert.strictEqual(yield* transport.openConnections(`https://llm.test:${server.port}`, 2), 2)
      assert.strictEqual(proxy.passed.length, 3)
      const again = yield* ask
      good(again)
      assert.isNull(find(again, "Sent")?.connection)
      assert.isAtLeast(server.sockets.size, 3)
      onlyThrough(proxy, server)
    })
  )

  it.live("a proxy with a bad certificate", () =>
    Effect.gen(function* () {
      const proxy = yield* proxyServer({ secure: true })
      for (const url of ["http://llm.test", "https://llm.test"]) {
        const { error } = yield* ask(url, { proxies: yield* through(proxy) })
        assert.strictEqual(error?.reason._tag, "Tls")
        assert.include(error?.message, proxy.url)
      }
    })
  )

  it.live("the certificate is the server's business, whatever the proxy", () =>
    Effect.gen(function* () {
      const proxies = yield* through(yield* proxyServer())
      const server = yield* secureServer()
      const { error } = yield* ask(`https://llm.test:${server.port}`, { proxies })
      assert.deepInclude(error?.reason, { _tag: "Tls", code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE" })
      const other = yield* ask(`https://llm.example:${server.port}`, { proxies, security: yield* trusting })
      assert.deepInclude(other.error?.reason, { _tag: "Tls", code: "ERR_TLS_CERT_ALTNAME_INVALID" })
      assert.deepStrictEqual(server.received, [])
    })
  )

  it.live("a proxy that asks for a login, and gets it", () =>
    Effect.gen(function* () {
      const proxy = yield* proxyServer({ login: "user:pa55word" })
      const proxies = yield* through(proxy, "user:pa55word@")
      const plain = yield* plainServer
      good(yield* ask(`http://llm.test:${plain.port}`, { proxies }))
      const secure = yield* secureServer()
      good(yield* ask(`https://llm.test:${secure.port}`, { proxies, security: yield* trusting }))
      // The server is not told.
      const sent = [...plain.received, ...secure.received].flatMap(({ headers }) => headers.map(([name]) => name))
      assert.notInclude(sent, "proxy-authorization")
    })
  )

  it.live.each(["http", "https"])("refusals of a proxy, for %s", (scheme) =>
    Effect.gen(function* () {
      const url = `${scheme}://llm.test:4433`
      for (const login of ["", "user:wr0ng-password@"]) {
        const proxy = yield* proxyServer({ login: "user:pa55word" })
        const { error } = yield* ask(url, { proxies: yield* through(proxy, login) })
        assert.deepInclude(error?.reason, { _tag: "Connect", code: "PROXY_407" })
        assert.include(error?.message, proxy.url)
        assert.include(error?.message, login === "" ? "user:password@" : "was not accepted")
        assert.notInclude(JSON.stringify(error), "wr0ng")
      }
      const proxy = yield* proxyServer({ refuse: 403 })
      const { error } = yield* ask(url, { proxies: yield* through(proxy) })
      if (scheme === "https") {
        assert.deepInclude(error?.reason, { _tag: "Connect", code: "PROXY_403" })
        assert.include(error?.message, `${proxy.url} refused a connection to llm.test:4433`)
      } else assert.deepInclude(error?.reason, { _tag: "HttpStatus", status: 403 })
    })
  )

  it.live.each(["http", "https"])("a proxy that is not there, for %s", (scheme) =>
    Effect.gen(function* () {
      const server = scheme === "http" ? yield* plainServer : yield* secureServer()
      const nowhere = `http://user:pa55word@127.0.0.1:${yield* freePort}`
      const proxies = yield* Transport.proxies({ all: Redacted.make(nowhere) })
      const { error, events } = yield* ask(server.url, { proxies })
      assert.deepInclude(error?.reason, { _tag: "Connect", code: "ECONNREFUSED" })
      assert.include(error?.message, "the proxy http://127.0.0.1:")
      assert.notInclude(JSON.stringify(error), "pa55word")
      assert.deepStrictEqual(events, [])
      // And nothing has gone around it.
      assert.strictEqual(server.opened(), 0)
    })
  )

  it.live("a proxy that never answers", () =>
    Effect.gen(function* () {
      const proxy = yield* proxyServer({ silent: true })
      const { error } = yield* ask("https://llm.test", { proxies: yield* through(proxy), connectSeconds: 0.2 })
      assert.deepInclude(error?.reason, { _tag: "Timeout", phase: "connect", limitSeconds: 0.2 })
    })
  )

  it.live("a server behind it that shakes no hands", () =>
    Effect.gen(function* () {
      const server = yield* raw(() => {})
      const proxies = yield* through(yield* proxyServer())
      const { error } = yield* ask(`https://llm.test:${server.port}`, { proxies, connectSeconds: 0.2 })
      assert.deepInclude(error?.reason, { _tag: "Timeout", phase: "connect" })
    })
  )

  it.live("hosts that are reached without", () =>
    Effect.gen(function* () {
      const server = yield* plainServer
      const proxy = yield* proxyServer()
      const http = Redacted.make(proxy.url)
      const cases: ReadonlyArray<AskOptions> = [
        { proxies: yield* Transport.proxies({ http }) },
        { proxies: yield* Transport.proxies({ all: http, noProxy: `127.0.0.1:${server.port}` }) },
        { proxies: yield* Transport.proxies({ https: http, noProxy: "" }) }
      ]
      for (const options of cases) good(yield* ask(server.url, options))
      assert.deepStrictEqual(proxy.passed, [])
      good(yield* ask(server.url, { proxies: yield* Transport.proxies({ all: http, noProxy: "other.test" }) }))
      assert.strictEqual(proxy.passed.length, 1)
    })
  )
})

describe("secrets and observers", () => {
  const key = "sk-live-0123456789abcdef"

  it.live("a key that the server repeats is not in the failure", () =>
    Effect.gen(function* () {
      const body = JSON.stringify({ error: { message: `Incorrect API key provided: ${key}.`, code: key } })
      for (const status of ["401 Unauthorized", "429 Too Many Requests", "200 OK"]) {
        const server = yield* raw((socket) =>
          socket.write(answer(status, body, { "content-type": "application/json" }))
        )
        const { error } = yield* ask(server.url, { apiKey: Redacted.make(key) })
        assert.include(error?.message, "Incorrect API key provided: ***.")
        assert.notInclude(JSON.stringify(error), key)
      }
    })
  )

  it.live("who watches sees request and answer, without secrets", () =>
    Effect.gen(function* () {
      const server = yield* raw((socket) =>
        socket.write(answer("404 Not Found", "no", { "x-echo": key, "set-cookie": "a=b", server: "x" }))
      )
      const proxy = yield* proxyServer()
      const { provider } = yield* client(`http://llm.test:${server.port}`, {
        apiKey: Redacted.make(key),
        proxies: yield* through(proxy, "user:pa55word@")
      })
      const requests: Array<Transport.ShownRequest> = []
      const answers: Array<readonly [number, object]> = []
      yield* Effect.provideService(collect(provider.stream(plan)), Transport.Observed, {
        onRequest: (request) => requests.push(request),
        onResponse: (status, headers) => answers.push([status, Object.fromEntries(headers)])
      })
      assert.strictEqual(requests.length, 1)
      const [request] = requests
      assert.deepInclude(request, { method: "POST", path: "/v1/chat/completions", proxy: proxy.url })
      assert.deepInclude(Object.fromEntries(request?.headers ?? []), {
        authorization: "Bearer <24 characters>",
        "content-type": "application/json"
      })
      assert.include(request?.body, plan.prompt)
      assert.strictEqual(answers[0]?.[0], 404)
      assert.deepInclude(answers[0]?.[1], { "x-echo": "***", "set-cookie": "***", server: "x" })
      const all = JSON.stringify([requests, answers])
      assert.notInclude(all, key)
      assert.notInclude(all, "pa55word")
      assert.notInclude(all, Buffer.from("user:pa55word").toString("base64"))
      // Nobody watches any more.
      yield* collect(provider.stream(plan))
      assert.strictEqual(requests.length, 1)
    })
  )
})
