import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type Command } from "effect/cli"
import { type ModelServerOptions } from "../../simulator/ModelServer.ts"
import { PromptTokens } from "../../simulator/PromptTokens.ts"
import * as Corpus from "../../workload/Corpus.ts"
import * as Tokenizer from "../../workload/Tokenizer.ts"
import { type simulator } from "../flags.ts"

/** Prompts are counted by this tokenizer, as those who send them do. It has seen their words before the first comes. */
export const countingBy = (tokenizer: string) =>
  Layer.effect(
    PromptTokens,
    Effect.map(Tokenizer.Tokenizer, ({ count }) => {
      for (const text of [Corpus.text, Corpus.text.toLowerCase()]) count(text)
      return count
    })
  ).pipe(Layer.provide(Tokenizer.layer(tokenizer)))

type Input = Command.Command.Config.Infer<ReturnType<typeof simulator>>

/** The simulator flags as options of the model server. */
export const modelOptions = (input: Input, seed: number): ModelServerOptions => ({
  prefillTokensPerSecond: input.prefillRate,
  decodeStepSeconds: input.decodeStep,
  decodeStepSecondsPerSequence: input.decodeStepPerSequence,
  maxBatch: input.maxBatch,
  kvTokens: input.kvTokens,
  ttft: Option.getOrNull(input.ttft),
  itl: Option.getOrNull(input.itl),
  tokensPerChunk: input.tokensPerChunk,
  defaultOutputTokens: 128,
  seed,
  faults: input.fault,
  wrongRate: input.wrongRate,
  silentRate: input.silentRate
})
