import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createServer, request } from "node:http"
import { connect } from "node:net"
import * as PrometheusServer from "../../src/output/PrometheusServer.ts"

const start = (more: Partial<PrometheusServer.Options> = {}) =>
  PrometheusServer.start({ host: "127.0.0.1", port: 0, text: (format) => `# ${format} é\n`, ...more })

const asked = (url: string, method = "GET", body?: string) =>
  Effect.callback<{ readonly status: number; readonly length: string | undefined; readonly body: string }>((resume) => {
    const sent = request(url, { method, agent: false }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("end", () =>
        resume(
          Effect.succeed({
            status: response.statusCode ?? 0,
            length: response.headers["content-length"],
            body: Buffer.concat(chunks).toString()
          })
        )
      )
    })
    sent.end(body)
  })

const isRefused = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("connect", () => resume(Effect.succeed(false)))
    socket.once("error", () => resume(Effect.succeed(true)))
    return Effect.sync(() => socket.destroy())
  })

/** A port that another server listens on. */
const taken = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      resume(Effect.succeed({ port, close: () => server.close() }))
    })
  }),
  ({ close }) => Effect.sync(close)
)

describe("PrometheusServer, on a socket", () => {
  it.live("answers until its scope closes", () =>
    Effect.gen(function* () {
      const url = yield* Effect.scoped(
        Effect.gen(function* () {
          const { url } = yield* start()
          assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/)
          const got = yield* asked(url)
          assert.deepStrictEqual(got, { status: 200, length: "16", body: "# prometheus é\n" })
          // The length is that of the body that there would be
          assert.deepStrictEqual(yield* asked(url, "HEAD"), { status: 200, length: "16", body: "" })
          assert.strictEqual((yield* asked(url, "POST", "x")).status, 405)
          assert.strictEqual((yield* asked(new URL("/nothing", url).href)).status, 404)
          // A client that has not ended does not hold up the end
          const idle = connect(Number(new URL(url).port), "127.0.0.1")
          yield* Effect.callback<void>((resume) => void idle.once("connect", () => resume(Effect.void)))
          return url
        })
      )
      assert.isTrue(yield* isRefused(Number(new URL(url).port)))
    })
  )

  it.live("answers on IPv6 too", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { url } = yield* start({ host: "::1" })
        assert.match(url, /^http:\/\/\[::1\]:\d+\/metrics$/)
        assert.strictEqual((yield* asked(url)).status, 200)
      })
    )
  )

  it.live("says what is in the way", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { port } = yield* taken
        const inUse = yield* Effect.flip(start({ port }))
        assert.strictEqual(
          inUse.message,
          `Metrics cannot be served on port ${port} of 127.0.0.1: it is in use. Choose another with --prometheus-port; 0 takes any that is free.`
        )
        // An address of the block for documentation, which no machine has
        const nowhere = yield* Effect.flip(start({ host: "192.0.2.1" }))
        assert.include(nowhere.message, "this machine has no such address")
        assert.include(nowhere.message, "--prometheus-host")
      })
    )
  )
})
