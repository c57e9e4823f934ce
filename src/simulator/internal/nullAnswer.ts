/** The parts of an answer as they go over the wire: HTTP/1.1 chunks with one event of OpenAI's streaming chat each. */

const headText =
  "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"

/** Text that a tokenizer takes for one token. */
const word = " word"

const event = (choices: string, usage = ""): string =>
  `data: {"id":"chatcmpl-null","object":"chat.completion.chunk","created":0,"model":"null","choices":[${choices}]${usage}}\n\n`

const choice = (delta: string, finish: string): string =>
  `{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${finish}}`

const chunked = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`

const token = chunked(event(choice(`{"content":"${word}"}`, "null")))
const opening = chunked(event(choice('{"role":"assistant","content":""}', "null")))

const usage = (tokens: number): string =>
  `,"usage":{"prompt_tokens":0,"completion_tokens":${tokens},"total_tokens":${tokens}}`

const closing = (tokens: number): string =>
  `${chunked(event(choice("{}", '"length"')))}${chunked(event("", usage(tokens)))}${chunked("data: [DONE]\n\n")}0\r\n\r\n`

/** What goes before an answer; servers send it as soon as they have taken a request on. */
export const head = Buffer.from(headText)

const first = Buffer.from(opening + token)
const middle = Buffer.from(token)

/** How many tokens an answer that is not paced has in a piece. */
export const burst = 16
const bursts = Buffer.from(token.repeat(burst))

const closings = new Map<number, string>()

const closingOf = (tokens: number): string => {
  let text = closings.get(tokens)
  if (text === undefined) {
    // So that answers of all lengths do not fill the memory
    if (closings.size >= 4_096) closings.clear()
    closings.set(tokens, (text = closing(tokens)))
  }
  return text
}

/** The bytes of the tokens from `from` until before `to`, with what goes before the first and after the last of `total`. */
export const piece = (from: number, to: number, total: number): Buffer | string => {
  if (to === total) return (from === 0 ? opening : "") + token.repeat(to - from) + closingOf(total)
  if (from === 0) return to === 1 ? first : opening + token.repeat(to)
  return to - from === 1 ? middle : to - from === burst ? bursts : token.repeat(to - from)
}
