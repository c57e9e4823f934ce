// The yardstick: what a client costs that does nothing but stream chat completions through undici and note when each token
// came. It checks nothing, counts no tokens by itself and writes no files.
//
//   BASE=http://127.0.0.1:8089 MODEL='sim;ttft=100;itl=20' N=2000 C=200 OSL=100 WORDS=550 node bench/handwritten.mjs
import { performance } from "node:perf_hooks"
import { Agent } from "undici"

const {
  BASE: origin = "http://127.0.0.1:8089",
  MODEL: model = "sim",
  N: requests = "200",
  C: concurrency = "50",
  OSL: outputTokens = "100",
  WORDS: words = "550"
} = process.env

const options = {
  origin,
  path: "/v1/chat/completions",
  method: "POST",
  headers: { "content-type": "application/json", authorization: "Bearer none" },
  body: Buffer.from(
    JSON.stringify({
      model,
      messages: [{ role: "user", content: "word ".repeat(Number(words)) }],
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: Number(outputTokens)
    })
  )
}
const agent = new Agent({ connections: null, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 })

/** Sends one request; resolves to when it was sent and when its tokens came, in ms. */
const send = () =>
  new Promise((resolve, reject) => {
    const utf8 = new TextDecoder()
    const tokens = []
    let sent = 0
    let pending = ""
    agent.dispatch(options, {
      onRequestStart: () => {
        sent = performance.now()
      },
      onResponseStart: () => {},
      onResponseData: (_controller, bytes) => {
        const at = performance.now()
        const events = (pending + utf8.decode(bytes, { stream: true })).split("\n\n")
        pending = events.pop()
        for (const event of events) {
          const data = event.slice("data: ".length)
          if (data !== "[DONE]" && JSON.parse(data).choices[0]?.delta?.content) tokens.push(at)
        }
      },
      onResponseEnd: () => resolve({ sent, tokens }),
      onResponseError: (_controller, error) => reject(error)
    })
  })

const answers = []
let unsent = Number(requests)
const slot = async () => {
  while (unsent-- > 0) answers.push(await send())
}

const cpuBefore = process.cpuUsage()
const begin = performance.now()
await Promise.all(Array.from({ length: Number(concurrency) }, slot))
const seconds = (performance.now() - begin) / 1e3
const cpu = process.cpuUsage(cpuBefore)

const tokens = answers.reduce((sum, answer) => sum + answer.tokens.length, 0)
const ttfts = answers.toSorted((a, b) => a.sent - b.sent).map((answer) => answer.tokens[0] - answer.sent)
const sorted = ttfts.toSorted((a, b) => a - b)
const quantile = (q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]
process.stdout.write(
  JSON.stringify({
    wall_s: seconds,
    requests: answers.length,
    tokens,
    tokens_per_s: tokens / seconds,
    cpu_us_per_token: (cpu.user + cpu.system) / tokens,
    ttft_ms: { p50: quantile(0.5), p90: quantile(0.9), p99: quantile(0.99) },
    ttfts_ms: ttfts
  })
)
await agent.close()
