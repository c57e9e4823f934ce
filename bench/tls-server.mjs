// A server that speaks HTTP/2 and HTTP/1.1 over TLS, for the part `http2` of the bench: the same chat completions to both.
//
//   PORT=8443 CERTIFICATE=cert.pem KEY=key.pem node bench/tls-server.mjs
import { readFileSync } from "node:fs"
import { createSecureServer } from "node:http2"
import { performance } from "node:perf_hooks"

const { PORT: port, CERTIFICATE: certificate, KEY: key } = process.env

const event = (delta, finish) =>
  `data: ${JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1_764_000_000,
    model: "sim",
    choices: [{ index: 0, delta, finish_reason: finish }]
  })}\n\n`

const token = event({ content: " word" }, null)
const ending = (tokens) => {
  const usage = { prompt_tokens: 1, completion_tokens: tokens, total_tokens: tokens + 1 }
  return `${event({}, "length")}data: ${JSON.stringify({ object: "chat.completion.chunk", choices: [], usage })}\n\ndata: [DONE]\n\n`
}

/** Sends each token when it is due, counted from when the request was read. */
const answer = (response, { model, max_tokens, max_completion_tokens }) => {
  const settings = new Map(model.split(";").map((setting) => setting.split("=")))
  const tokens = max_completion_tokens ?? max_tokens
  const start = performance.now()
  let sent = 0
  response.writeHead(200, { "content-type": "text/event-stream" })
  const next = () => {
    if (response.destroyed) return
    response.write(token)
    sent++
    if (sent === tokens) response.end(ending(tokens))
    else wait()
  }
  const wait = () => {
    const due = start + Number(settings.get("ttft")) + sent * Number(settings.get("itl"))
    setTimeout(next, Math.max(0, due - performance.now()))
  }
  wait()
}

const server = createSecureServer(
  {
    allowHTTP1: true,
    cert: readFileSync(certificate),
    key: readFileSync(key),
    settings: { maxConcurrentStreams: 1_000 }
  },
  (request, response) => {
    const chunks = []
    request.on("data", (chunk) => chunks.push(chunk))
    request.on("end", () => {
      if (request.method === "POST") answer(response, JSON.parse(Buffer.concat(chunks).toString("utf8")))
      else response.writeHead(200).end()
    })
  }
)
server.listen(Number(port), "127.0.0.1", () => process.stdout.write("listening\n"))
