import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as LlmError from "../../src/domain/LlmError.ts"
import { type Service } from "../../src/provider/Provider.ts"
import * as Transport from "../../src/provider/Transport.ts"
import * as Fault from "../../src/simulator/Fault.ts"
import * as HttpFront from "../../src/simulator/HttpFront.ts"
import * as Latency from "../../src/simulator/Latency.ts"
import * as ModelServer from "../../src/simulator/ModelServer.ts"
import { type Asked, collect, plan, tagsOf } from "./asking.ts"

/** Adapters against the simulated server, which speaks their format. */

/** Tokens of an answer. */
export const tokens = 8

export const simulator = HttpFront.layer(HttpFront.HttpFrontOptions.make({})).pipe(
  Layer.provideMerge(
    ModelServer.layer(
      ModelServer.ModelServerOptions.make({ ttft: Latency.constant(0.002), itl: Latency.constant(0.001) })
    )
  )
)

/** Makes the provider of a model at the address of the server. */
export type Make = (url: string, model: string) => Effect.Effect<Service, LlmError.LlmError, Transport.Transport>

/** Asks a server once, with a transport of its own. */
export const askAt = (
  url: string,
  model: string,
  make: Make,
  options: Transport.Options = {}
): Effect.Effect<Asked, LlmError.LlmError> =>
  Effect.scoped(
    Effect.gen(function* (): Effect.fn.Return<Asked, LlmError.LlmError, Scope.Scope> {
      const transport = yield* Transport.make({ connectSeconds: 5, idleSeconds: 30, flushMs: 5, ...options })
      const provider = yield* Effect.provideService(make(url, model), Transport.Transport, transport)
      return yield* collect(provider.stream(plan))
    })
  )

/** The name of a model with settings. */
const named = (settings: ReadonlyArray<string>): string => ["sim", `n=${tokens}`, ...settings].join(";")

/** Asks the simulator for an answer of `tokens` tokens. */
export const askSimulator = Effect.fnUntraced(function* (
  make: Make,
  settings: ReadonlyArray<string> = [],
  options: Transport.Options = {}
) {
  const { url } = yield* HttpFront.HttpFront
  return yield* askAt(url, named(settings), make, options)
})

/** What a request must come to. */
export type Expected =
  | { readonly chunks: number }
  | {
      readonly reason: string
      readonly code: number | string
      readonly message: RegExp
      /** How much of the answer is there all the same; nothing of it when left out. */
      readonly chunks?: number
    }

/** A good answer. */
export const success: Expected = { chunks: tokens }

export const chunksOf = ({ events }: Asked): number =>
  events.reduce((sum, event) => sum + (event._tag === "Content" ? event.text.length : 0), 0)

export const check = (what: string, asked: Asked, expected: Expected): void => {
  const under = `under ${what}: ${asked.error?.message ?? "no error"}`
  if (!("reason" in expected)) {
    assert.isUndefined(asked.error, under)
    assert.strictEqual(asked.events.at(-1)?._tag, "Ended", under)
    assert.strictEqual(chunksOf(asked), expected.chunks, under)
    // A request that was refused for what it asked besides is asked again
    const started = asked.events.findLast(({ _tag }) => _tag === "ResponseStarted")
    assert.deepInclude(started, { status: 200 }, under)
    return
  }
  assert.strictEqual(asked.error?.reason._tag, expected.reason, under)
  assert.strictEqual(asked.error?.errorCode, expected.code, under)
  assert.match(asked.error?.message ?? "", expected.message, under)
  assert.strictEqual(chunksOf(asked), expected.chunks ?? 0, under)
  assert.notInclude(tagsOf(asked), "Ended", under)
}

const truncated = { reason: "Truncated", code: "truncated", chunks: 3 }

/** What every format has in common. */
const common = {
  "401": { reason: "HttpStatus", code: 401, message: /^HTTP 401: The key is not valid\.$/ },
  "404": { reason: "HttpStatus", code: 404, message: /^HTTP 404: The model .* does not exist\.$/ },
  "429": { reason: "RateLimited", code: 429, message: /^HTTP 429: Rate limit reached for requests\.$/ },
  "500": { reason: "HttpStatus", code: 500, message: /^HTTP 500: The server had an error\.$/ },
  "503": { reason: "HttpStatus", code: 503, message: /^HTTP 503: The server is overloaded\.$/ },
  html: { reason: "HttpStatus", code: 502, message: /^HTTP 502: <html>.*502 Bad Gateway/ },
  "html-200": {
    reason: "Protocol",
    code: "protocol_error",
    message: /^The server did not stream \(text\/html.*Sign in/
  },
  redirect: { reason: "HttpStatus", code: 307, message: /redirected to \/redirected\// },
  "status-201": { reason: "HttpStatus", code: 201, message: /^HTTP 201: / },
  "slow-headers:40": success,
  "reset:3": { ...truncated, message: /ECONNRESET|closed/ },
  "close:3": { ...truncated, message: /closed/ },
  "cut:3": { ...truncated, message: /without/ },
  "stall:3": { reason: "Timeout", code: "timeout_idle", message: /^Timed out \(idle\) after 2 s$/, chunks: 3 },
  "garbage:3": { reason: "Protocol", code: "protocol_error", message: /not JSON: \{not json/, chunks: 3 },
  "after-done": success,
  "early-role": success,
  "reasoning:3": success,
  utf8: success,
  ping: success,
  bom: success,
  crlf: success,
  "no-space": success,
  "multi-line": success,
  split: success,
  gzip: success
} as const satisfies { readonly [fault: string]: Expected }

/** Faults of OpenAI's form alone. */
const elsewhere: ReadonlySet<string> = new Set([
  "no-usage",
  "nodone",
  "empty-choices",
  "error-string",
  "error-vllm",
  "error-null-code"
])

/** Asks under every fault; `own` is what is particular to the format. */
export const checkFaults = Effect.fnUntraced(function* (
  make: Make,
  own: { readonly "error:3": Expected; readonly tool: Expected; readonly [fault: string]: Expected }
) {
  const expected: { readonly [fault: string]: Expected } = { ...common, ...own }
  const all = yield* Effect.forEach(
    Object.entries(expected),
    ([fault, expected]) =>
      Effect.map(
        askSimulator(make, [`fault=${fault}`], fault.startsWith("stall") ? { idleSeconds: 2 } : {}),
        (asked) => ({
          fault,
          expected,
          asked
        })
      ),
    { concurrency: "unbounded" }
  )
  for (const { asked, expected, fault } of all) check(fault, asked, expected)
  const checked = all.map(({ fault }) => fault.split(":")[0])
  for (const kind in Fault.kinds) if (!elsewhere.has(kind)) assert.include(checked, kind)
})

/** Kind and number of chunks of the content, in its order. */
export const contentsOf = ({ events }: Asked): ReadonlyArray<readonly [kind: string, chunks: number]> => {
  const runs: Array<readonly [string, number]> = []
  for (const event of events) {
    if (event._tag !== "Content") continue
    const last = runs.at(-1)
    if (last?.[0] === event.kind) runs[runs.length - 1] = [event.kind, last[1] + event.text.length]
    else runs.push([event.kind, event.text.length])
  }
  return runs
}
