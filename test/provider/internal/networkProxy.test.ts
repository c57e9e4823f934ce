import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as FastCheck from "fast-check"
import { EnvHttpProxyAgent } from "undici"
import { proxies, type ProxyOptions } from "../../../src/provider/internal/networkProxy.ts"

const secret = (address: string) => Redacted.make(address)

const nameFor = (options: ProxyOptions, origin: string) =>
  Effect.map(proxies(options), ({ of }) => of(origin)?.name ?? null)

/** Whether undici would send a plain request to this origin through the proxy: it then asks for a client of the proxy. */
const undiciUses = (noProxy: string, origin: string): boolean => {
  let asked: string | undefined
  const agent = new EnvHttpProxyAgent({
    httpProxy: "http://proxy.invalid:3128",
    httpsProxy: "http://proxy.invalid:3128",
    noProxy,
    factory: (to: string | URL) => {
      asked = String(to)
      throw new Error("it has told enough")
    }
  })
  agent.dispatch({ origin, path: "/", method: "GET" }, { onResponseError: () => {} })
  assert.isDefined(asked)
  return asked?.includes("proxy.invalid") === true
}

describe("proxies", () => {
  it.effect("one for http and one for https", () =>
    Effect.gen(function* () {
      const options = { http: secret("http://a:1"), https: secret("http://b:2") }
      assert.strictEqual(yield* nameFor(options, "http://llm.test"), "http://a:1")
      assert.strictEqual(yield* nameFor(options, "https://llm.test"), "http://b:2")
      assert.isNull(yield* nameFor({ http: options.http }, "https://llm.test"))
      assert.isNull(yield* nameFor({ https: options.https }, "http://llm.test"))
      assert.isNull(yield* nameFor({}, "http://llm.test"))
      assert.strictEqual(yield* nameFor({ ...options, all: secret("https://c") }, "http://llm.test"), "https://c")
    })
  )

  it.effect("this computer is reached without, unless it is asked for", () =>
    Effect.gen(function* () {
      const hosts = ["localhost", "localhost.", "a.localhost", "127.0.0.1", "127.8.9.1", "[::1]"]
      for (const host of hosts) {
        assert.isNull(yield* nameFor({ http: secret("http://a:1") }, `http://${host}:8000`), host)
        assert.strictEqual(yield* nameFor({ all: secret("http://a:1") }, `http://${host}:8000`), "http://a:1", host)
      }
      for (const host of ["128.0.0.1", "[::2]", "localhost.example", "notlocalhost"]) {
        assert.isNotNull(yield* nameFor({ http: secret("http://a:1") }, `http://${host}:8000`), host)
      }
    })
  )

  it.effect("an address with a login, which is not in its name", () =>
    Effect.gen(function* () {
      const proxy = (yield* proxies({ all: secret("http://us%40er:p%3Ass@[::1]:3128/") })).of("https://llm.test")
      assert.isNotNull(proxy)
      assert.strictEqual(proxy?.name, "http://[::1]:3128")
      assert.strictEqual(proxy?.hostname, "::1")
      const authorization = proxy?.authorization ?? null
      assert.isNotNull(authorization)
      assert.strictEqual(
        authorization === null ? "" : Redacted.value(authorization),
        `Basic ${Buffer.from("us@er:p:ss").toString("base64")}`
      )
      assert.notInclude(JSON.stringify(proxy), "p:ss")
      assert.isNull((yield* proxies({ all: secret("proxy:3128") })).of("http://llm.test")?.authorization)
    })
  )

  it.effect.each([
    ["proxy:3128", "http://proxy:3128", "3128"],
    ["http://proxy", "http://proxy", "80"],
    ["https://proxy", "https://proxy", "443"],
    [" HTTP://Proxy:81/ ", "http://proxy:81", "81"]
  ] as const)("the address %s", ([address, name, port]) =>
    Effect.gen(function* () {
      const proxy = (yield* proxies({ http: secret(address) })).of("http://llm.test")
      assert.deepInclude(proxy, { name, port })
    })
  )

  it.effect.each(["socks5://user:pa55word@proxy:1080", "http://user:pa55word@", "http://user:pa55word@host:99999"])(
    "an address that is refused, and not shown: %s",
    (address) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(proxies({ https: secret(address) }))
        assert.include(error.message, "proxy for https")
        assert.notInclude(error.message, "pa55word")
        assert.notInclude(JSON.stringify(error), "pa55word")
      })
  )

  it.effect("networks in the list of exceptions", () =>
    Effect.gen(function* () {
      const options = { http: secret("http://a:1"), noProxy: "10.0.0.0/8, fd00::/8,192.168.1.0/33" }
      assert.isNull(yield* nameFor(options, "http://10.20.30.40:8000"))
      assert.isNull(yield* nameFor(options, "http://[fd00::7]"))
      assert.isNotNull(yield* nameFor(options, "http://11.0.0.1"))
      assert.isNotNull(yield* nameFor(options, "http://192.168.1.1"))
      assert.isNotNull(yield* nameFor(options, "http://ten.example"))
    })
  )

  it("exceptions are read as undici reads them", () => {
    const host = FastCheck.constantFrom(
      "a.test",
      "b.a.test",
      "xa.test",
      "c.b.a.test",
      "10.0.0.1",
      "[fd00::1]",
      "A.TEST",
      "a.test."
    )
    const port = FastCheck.constantFrom("", ":80", ":443", ":8000")
    const origin = FastCheck.tuple(FastCheck.constantFrom("http://"), host, port).map((parts) => parts.join(""))
    const name = FastCheck.tuple(
      FastCheck.constantFrom("", ".", "*.", "*"),
      FastCheck.constantFrom("a.test", "A.test", "a.test.", "test", "b.a.test", "xa.test")
    ).map((parts) => parts.join(""))
    const address = FastCheck.constantFrom("10.0.0.1", "fd00::1", "[fd00::1]", "*")
    const entry = FastCheck.tuple(FastCheck.oneof(name, address), port).map((parts) => parts.join(""))
    const list = FastCheck.tuple(FastCheck.array(entry, { maxLength: 4 }), FastCheck.constantFrom(",", " ", ", ")).map(
      ([entries, between]) => entries.join(between)
    )
    FastCheck.assert(
      FastCheck.property(origin, list, (to, noProxy) => {
        const ours = Effect.runSync(nameFor({ http: secret("http://proxy.invalid:3128"), noProxy }, to)) !== null
        assert.strictEqual(ours, undiciUses(noProxy, to), `${to} with ${noProxy}`)
      }),
      { numRuns: 500 }
    )
  })
})
