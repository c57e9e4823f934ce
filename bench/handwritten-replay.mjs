// The yardstick of replays: a bare timer for every row of a schedule, set a second or two ahead, and undici. It checks
// nothing, makes no prompts, and writes no files.
//
//   BASE=http://127.0.0.1:8089 MODEL='sim;ttft=100;itl=10' SCHEDULE=schedule.csv node bench/handwritten-replay.mjs
//
// It prints, in columns by row, when each request was written to its socket and when its first token came, in seconds after
// the start, and how many chunks of text its answer had.
import { readFileSync } from "node:fs"
import { performance } from "node:perf_hooks"
import { Agent } from "undici"

const { BASE: origin = "http://127.0.0.1:8089", MODEL: model = "sim", SCHEDULE: file = "schedule.csv" } = process.env

const lines = readFileSync(file, "utf8").trimEnd().split("\n").slice(1)
const rows = lines.map((line) => line.split(",").map(Number))
const bodies = new Map()
const bodyOf = (inputTokens, outputTokens) => {
  const key = `${inputTokens},${outputTokens}`
  let body = bodies.get(key)
  if (body === undefined) {
    const messages = [{ role: "user", content: "word ".repeat(inputTokens) }]
    body = Buffer.from(
      JSON.stringify({
        model,
        messages,
        stream: true,
        stream_options: { include_usage: true },
        max_tokens: outputTokens
      })
    )
    bodies.set(key, body)
  }
  return body
}

const agent = new Agent({ connections: null, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 })
const sent = new Float64Array(rows.length).fill(NaN)
const firstToken = new Float64Array(rows.length).fill(NaN)
const chunks = new Uint32Array(rows.length)
let failures = 0
let left = rows.length
let finish
const finished = new Promise((resolve) => (finish = resolve))
const over = () => {
  if (--left === 0) finish()
}

const send = (row) => {
  const utf8 = new TextDecoder()
  let pending = ""
  const [, inputTokens, outputTokens] = rows[row]
  const options = {
    origin,
    path: "/v1/chat/completions",
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: "Bearer none",
      "x-request-id": `handwritten-${row + 1}`
    },
    body: bodyOf(inputTokens, outputTokens)
  }
  agent.dispatch(options, {
    onRequestStart: () => {
      sent[row] = performance.now()
    },
    onResponseStart: () => {},
    onResponseData: (_controller, bytes) => {
      const at = performance.now()
      const events = (pending + utf8.decode(bytes, { stream: true })).split("\n\n")
      pending = events.pop()
      for (const event of events) {
        const data = event.slice("data: ".length)
        if (data !== "[DONE]" && JSON.parse(data).choices[0]?.delta?.content) {
          if (chunks[row]++ === 0) firstToken[row] = at
        }
      }
    },
    onResponseEnd: over,
    onResponseError: () => {
      failures++
      over()
    }
  })
}

const cpuBefore = process.cpuUsage()
const begin = performance.now()
let next = 0
const setTimers = () => {
  const until = performance.now() + 2_000
  for (; next < rows.length; next++) {
    const due = begin + rows[next][0] * 1e3
    if (due > until) break
    setTimeout(send, Math.ceil(due - performance.now()), next)
  }
  if (next < rows.length) setTimeout(setTimers, 1_000)
}
setTimers()
await finished
const wallSeconds = (performance.now() - begin) / 1e3
const cpu = process.cpuUsage(cpuBefore)
await agent.close()

const offsets = (times) => Array.from(times, (at) => (Number.isNaN(at) ? null : (at - begin) / 1e3))
process.stdout.write(
  JSON.stringify({
    start_epoch_s: (performance.timeOrigin + begin) / 1e3,
    wall_s: wallSeconds,
    cpu_s: (cpu.user + cpu.system) / 1e6,
    failures,
    sent_offset_s: offsets(sent),
    first_token_offset_s: offsets(firstToken),
    chunks: Array.from(chunks)
  })
)
