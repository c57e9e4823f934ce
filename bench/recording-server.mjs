// A server of chat completions that keeps what it was asked, for the part `fleet-set` of the bench.
//
//   PORT=8088 node bench/recording-server.mjs
//
// The name of the model says how it answers: "sim;ttft=50;itl=10;per=4" (milliseconds, tokens sent at once). GET /_record gives a
// line of JSON for each request that has ended since it was asked last: `rid` its x-request-id, `sha256` of its body, `bytes` of
// it, `asked` the tokens it wanted, `received` when its body was there in epoch seconds, `sent` the tokens that were sent.
import { createHash } from "node:crypto"
import { createServer } from "node:http"
import { performance } from "node:perf_hooks"

const { PORT: port } = process.env

let record = []

const event = (delta, finish) =>
  `data: ${JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1_764_000_000,
    model: "sim",
    choices: [{ index: 0, delta, finish_reason: finish }]
  })}\n\n`

const events = new Map()
const words = (count) => {
  const known = events.get(count)
  if (known !== undefined) return known
  const made = event({ content: " word".repeat(count) }, null)
  events.set(count, made)
  return made
}

const ending = (tokens) => {
  const usage = { prompt_tokens: 1, completion_tokens: tokens, total_tokens: tokens + 1 }
  return `${event({}, "length")}data: ${JSON.stringify({ object: "chat.completion.chunk", choices: [], usage })}\n\ndata: [DONE]\n\n`
}

/** Sends some tokens whenever they are due, counted from when the request was read. */
const answer = (response, settings, seen) => {
  const start = performance.now()
  const per = Number(settings.get("per") ?? 1)
  const itl = Number(settings.get("itl") ?? 0)
  const ttft = Number(settings.get("ttft") ?? 0)
  response.writeHead(200, { "content-type": "text/event-stream" })
  const next = () => {
    if (response.destroyed) return
    const count = Math.min(per, seen.asked - seen.sent)
    response.write(words(count))
    seen.sent += count
    if (seen.sent === seen.asked) response.end(ending(seen.sent))
    else wait()
  }
  const wait = () => setTimeout(next, Math.max(0, start + ttft + seen.sent * itl - performance.now()))
  wait()
}

const onRequest = (request, response, body) => {
  const received = (performance.timeOrigin + performance.now()) / 1e3
  const { model, max_tokens, max_completion_tokens } = JSON.parse(body.toString("utf8"))
  const seen = {
    rid: request.headers["x-request-id"] ?? "",
    sha256: createHash("sha256").update(body).digest("hex"),
    bytes: body.length,
    asked: max_completion_tokens ?? max_tokens,
    received,
    sent: 0
  }
  response.once("close", () => record.push(seen))
  answer(response, new Map(model.split(";").map((setting) => setting.split("="))), seen)
}

const server = createServer({ keepAliveTimeout: 0, noDelay: true }, (request, response) => {
  const chunks = []
  request.on("data", (chunk) => chunks.push(chunk))
  request.on("end", () => {
    if (request.method === "POST") onRequest(request, response, Buffer.concat(chunks))
    else if (request.url === "/_record") {
      response.end(record.map((seen) => `${JSON.stringify(seen)}\n`).join(""))
      record = []
    } else response.end()
  })
})
server.listen(Number(port), "127.0.0.1")
