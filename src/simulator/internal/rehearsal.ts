import * as Effect from "effect/Effect"
import { request } from "node:http"
import * as Words from "../Words.ts"

/** Requests at a time, and how often: enough for the path of a request to be compiled, in a fraction of a second. */
const REQUESTS = 8
const ROUNDS = 4

/** A prompt of a usual length, other words each time, as tokenizers remember. */
const PROMPT_WORDS = 500

const promptOf = (seed: number): string => {
  let state = seed
  return Array.from({ length: PROMPT_WORDS }, () => {
    state = (state * 16_807) % 2_147_483_647
    return Words.pick(state / 2_147_483_647)
  }).join(" ")
}

const ask = (url: string, seed: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const body = JSON.stringify({
      model: "rehearsal;ttft=0;itl=1",
      messages: [{ role: "user", content: promptOf(seed) }],
      max_tokens: 4,
      stream: true,
      stream_options: { include_usage: true }
    })
    const asked = request(`${url}/v1/chat/completions`, { method: "POST" }, (response) => {
      response.resume()
      response.once("close", () => resume(Effect.void))
    })
    asked.once("error", () => resume(Effect.void))
    asked.end(body)
    return Effect.sync(() => asked.destroy())
  })

/** Asks a server that nobody else asks, so that the first requests of another in this thread do not find cold code. */
export const rehearse = (url: string): Effect.Effect<void> =>
  Effect.forEach(
    Array.from({ length: ROUNDS }, (_, round) => round),
    (round) =>
      Effect.forEach(
        Array.from({ length: REQUESTS }, (_, i) => 1 + i + round * REQUESTS),
        (seed) => ask(url, seed),
        { concurrency: "unbounded", discard: true }
      ),
    { discard: true }
  )
