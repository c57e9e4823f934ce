import { assert, describe, it } from "@effect/vitest"
import * as LlmError from "../../src/domain/LlmError.ts"
import { type TokenEvent } from "../../src/domain/TokenEvent.ts"
import * as ProbeReport from "../../src/output/ProbeReport.ts"

const request: ProbeReport.Request = {
  method: "POST",
  origin: "https://llm.test",
  path: "/v1/chat/completions",
  headers: [
    ["content-type", "application/json"],
    ["authorization", "Bearer <24 characters>"]
  ],
  body: JSON.stringify({ model: "m", stream: true }),
  proxy: null
}

const plain = { animate: false, color: false, columns: 80 }

const ms = (milliseconds: number): number => 1e12 + milliseconds * 1e6

const events: ReadonlyArray<TokenEvent> = [
  { _tag: "Sent", at: ms(0), connection: { dns: 2e6, tcp: 1e6, tls: 12.3e6 } },
  { _tag: "ResponseStarted", at: ms(90), status: 200, rateLimit: null },
  { _tag: "Content", kind: "reasoning", at: [ms(100)], text: ["Hm.\n"] },
  { _tag: "Content", kind: "text", at: [ms(110), ms(120.5)], text: ["Hello", " world".repeat(50)] },
  { _tag: "Finished", at: ms(121), reason: "stop" },
  { _tag: "Usage", at: ms(122), inputTokens: 9, outputTokens: 3, cachedInputTokens: null, reasoningTokens: 1 },
  { _tag: "Ended", at: ms(123) }
]

const shown = (
  request: ProbeReport.Request,
  events: ReadonlyArray<TokenEvent>,
  error: LlmError.LlmError | null = null
) => {
  const report = ProbeReport.make(plain)
  const lines = [...report.request(request)]
  report.response(200, [["server", "x"]], ms(90))
  for (const event of events) lines.push(...report.event(event))
  lines.push(...report.over(error))
  return { text: lines.join("\n"), json: JSON.parse(report.json()) }
}

describe("ProbeReport", () => {
  it("lines", () => {
    assert.strictEqual(
      shown(request, events).text,
      [
        "POST https://llm.test/v1/chat/completions",
        "  content-type: application/json",
        "  authorization: Bearer <24 characters>",
        "",
        '  {"model":"m","stream":true}',
        "",
        "              connected: DNS 2.0 ms, TCP 1.0 ms, TLS 12.3 ms",
        "     0.0 ms   sent",
        "    90.0 ms   HTTP 200",
        "              server: x",
        '   100.0 ms   reasoning "Hm.\\n"',
        '   110.0 ms   text      "Hello"',
        `   120.5 ms   text      "${" world".repeat(50).slice(0, 59)}…" (300 characters)`,
        "   121.0 ms   finished  stop",
        "   122.0 ms   usage     9 input tokens, 3 output tokens, 1 of them reasoning",
        "   123.0 ms   end",
        "",
        "It works: 3 chunks, 309 characters; the first after 100.0 ms, then one every 10.3 ms"
      ].join("\n")
    )
  })

  it("a JSON document", () => {
    const { json } = shown(request, events)
    assert.deepStrictEqual(json, {
      ok: true,
      requests: [
        {
          method: "POST",
          url: "https://llm.test/v1/chat/completions",
          proxy: null,
          headers: Object.fromEntries(request.headers),
          body: { model: "m", stream: true },
          response: { status: 200, headers: { server: "x" } }
        }
      ],
      connection: { dns_ms: 2, tcp_ms: 1, tls_ms: 12.3 },
      events: [
        { at_ms: 0, type: "sent" },
        { at_ms: 90, type: "response", status: 200 },
        { at_ms: 100, type: "reasoning", text: "Hm.\n" },
        { at_ms: 110, type: "text", text: "Hello" },
        { at_ms: 120.5, type: "text", text: " world".repeat(50) },
        { at_ms: 121, type: "finished", reason: "stop" },
        {
          at_ms: 122,
          type: "usage",
          input_tokens: 9,
          output_tokens: 3,
          cached_input_tokens: null,
          reasoning_tokens: 1
        },
        { at_ms: 123, type: "ended" }
      ],
      ttft_ms: 100,
      end_to_end_ms: 123,
      text: `Hello${" world".repeat(50)}`,
      reasoning: "Hm.\n",
      tool: "",
      usage: { input_tokens: 9, output_tokens: 3, cached_input_tokens: null, reasoning_tokens: 1 },
      finish_reason: "stop",
      tokenizer: null,
      error: null
    })
  })

  it("how far the tokenizer is off from the server's", () => {
    const report = ProbeReport.make(plain)
    assert.deepStrictEqual(report.tokenizer("llama", "this server has no /tokenize"), [
      "",
      "Tokenizer not checked: this server has no /tokenize."
    ])
    assert.isNull(JSON.parse(report.json()).tokenizer)
    const lines = report.tokenizer("llama", [
      { name: "English", tokenizer: 50, server: 49 },
      { name: "Chinese", tokenizer: 54, server: 65 }
    ])
    assert.deepStrictEqual(lines.slice(0, 4), [
      "",
      "Tokens by the tokenizer llama, and by the server's /tokenize:",
      "  English     50     49  +2.0 %",
      "  Chinese     54     65  −16.9 %"
    ])
    assert.include(lines[4] ?? "", "--tokenizer")
    assert.deepStrictEqual(JSON.parse(report.json()).tokenizer, {
      name: "llama",
      texts: [
        { text: "english", tokenizer_tokens: 50, server_tokens: 49, relative_difference: 1 / 49 },
        { text: "chinese", tokenizer_tokens: 54, server_tokens: 65, relative_difference: -11 / 65 }
      ]
    })
    const same = ProbeReport.make(plain).tokenizer("m", [{ name: "code", tokenizer: 67, server: 67 }])
    assert.deepStrictEqual(same.slice(2), ["  code     67     67  ±0.0 %", "It counts as the model does."])
  })

  it("an answer without content is said to be one, and shown as it came", () => {
    const report = ProbeReport.make(plain)
    report.request(request)
    for (const event of [
      { _tag: "Sent", at: ms(0), connection: null },
      { _tag: "Finished", at: ms(5), reason: "stop" },
      { _tag: "Usage", at: ms(5), inputTokens: 9, outputTokens: 0, cachedInputTokens: null, reasoningTokens: null },
      { _tag: "Ended", at: ms(5) }
    ] as const) {
      report.event(event)
    }
    report.body("data: {}\n\n".repeat(20))
    const lines = report.over(null)
    assert.include(lines[1], "No content came (finish reason stop, 0 output tokens)")
    assert.notInclude(lines.join("\n"), "It works")
    assert.deepStrictEqual(lines.slice(2, 4), ["What came:", "  data: {}"])
    assert.strictEqual(lines.at(-1), "  … and 8 more lines")
    assert.isTrue(JSON.parse(report.json()).body.startsWith("data: {}"))
  })

  it("an answer in one piece has no first token", () => {
    const { json, text } = shown(request, [
      { _tag: "Sent", at: ms(0), connection: null },
      { _tag: "Whole", at: ms(50), text: "Hello" },
      { _tag: "Ended", at: ms(51) }
    ])
    assert.include(text, "over a connection that was open already")
    assert.include(text, 'whole     "Hello" (this API does not stream)')
    assert.include(text, "It works: 5 characters in one piece after 50.0 ms")
    assert.isNull(json.ttft_ms)
    assert.strictEqual(json.text, "Hello")
  })

  it("a request that is sent again, and a proxy", () => {
    const report = ProbeReport.make(plain)
    report.request(request)
    const again = report.request({ ...request, proxy: "http://proxy:3128", body: "x".repeat(5_000) }).join("\n")
    assert.include(again, "asks again")
    assert.include(again, "through the proxy http://proxy:3128")
    assert.include(again, "… (5000 characters)")
    assert.isBelow(again.length, 1_500)
    const sent = report.event({ _tag: "Sent", at: ms(7), connection: { dns: 0, tcp: 1e6, tls: 0 } })
    assert.include(sent.join("\n"), "connected through the proxy: DNS 0.0 ms, TCP 1.0 ms")
    assert.lengthOf(JSON.parse(report.json()).requests, 2)
  })

  it("control characters of a server do nothing", () => {
    const report = ProbeReport.make(plain)
    report.request(request)
    report.response(200, [["x", "a\u001B[2Jb"]], ms(1))
    const lines = [
      ...report.event({ _tag: "ResponseStarted", at: ms(1), status: 200, rateLimit: null }),
      ...report.event({ _tag: "Content", kind: "text", at: [ms(2)], text: ["\u001B[2J\u009B"] }),
      ...report.over(LlmError.fromReason(new LlmError.Protocol({ description: "\u001B[2J" })))
    ].join("\n")
    // eslint-disable-next-line no-control-regex
    assert.notMatch(lines, /[\u0000-\u0009\u000B-\u001F\u007F-\u009F]/)
  })

  it.each([
    [new LlmError.Connect({ description: "x", code: "ECONNREFUSED" }), "running"],
    [new LlmError.Connect({ description: "x", code: "ENOTFOUND" }), "host name"],
    [new LlmError.Connect({ description: "x", code: "ECONNRESET" }), "port"],
    [new LlmError.ConnectionLost({ description: "x", code: "ECONNRESET" }), "port"],
    [new LlmError.TooLarge({ description: "x" }), "address"],
    [new LlmError.Timeout({ phase: "connect", limitSeconds: 1 }), "firewall"],
    [new LlmError.Timeout({ phase: "headers", limitSeconds: 1 }), "--idle-timeout"],
    [new LlmError.Timeout({ phase: "idle", limitSeconds: 1 }), "--idle-timeout"],
    [new LlmError.Timeout({ phase: "total", limitSeconds: 1 }), "--request-timeout"],
    [new LlmError.HttpStatus({ status: 401, body: "", retryAfterSeconds: null }), "key"],
    [new LlmError.HttpStatus({ status: 404, body: "", retryAfterSeconds: null }), "--model"],
    [new LlmError.HttpStatus({ status: 422, body: "", retryAfterSeconds: null }), "--additional-sampling-params"],
    [new LlmError.HttpStatus({ status: 503, body: "", retryAfterSeconds: null }), "logs"],
    [new LlmError.RateLimited({ status: 429, body: "", retryAfterSeconds: 7 }), "7 s"],
    [new LlmError.Truncated({ description: "x" }), "broke off"],
    [new LlmError.Protocol({ description: "x" }), "--llm-api"]
  ])("advice for $_tag", (reason, word) => {
    const { json, text } = shown(request, [], LlmError.fromReason(reason))
    assert.include(text, `It failed: ${reason.message}`)
    assert.include(text, "Nothing was sent.")
    assert.include(text, word)
    assert.include(json.error.advice, word)
    assert.isFalse(json.ok)
    assert.strictEqual(json.error.error_code, reason.errorCode)
  })

  it("no advice where the message has it", () => {
    const refused = new LlmError.Connect({ description: "the proxy …", code: "PROXY_407" })
    assert.isNull(ProbeReport.advice(LlmError.fromReason(refused)))
    const tls = new LlmError.Tls({ description: "x", code: "CERT_HAS_EXPIRED" })
    assert.isNull(ProbeReport.advice(LlmError.fromReason(tls)))
  })
})
