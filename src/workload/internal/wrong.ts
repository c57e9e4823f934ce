/** Errors of prompts, from the thread that builds them to the one that asked. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { PromptError } from "../Prompt.ts"
import { TokenizerError } from "../Tokenizer.ts"

const Codec = Schema.toCodecJson(PromptError)

/** An error as it goes over. */
export type Wrong = typeof Codec.Encoded

export const encode = Schema.encodeSync(Codec)

const decode = Schema.decodeEffect(Codec)

/** The answer to another question. */
export const unexpected = (tokenizer: string): Effect.Effect<never, TokenizerError> =>
  Effect.fail(new TokenizerError({ tokenizer, description: "its thread gave an answer that was not asked for" }))

/** Fails with the error that came over. */
export const failWith = (tokenizer: string, wrong: Wrong): Effect.Effect<never, PromptError | TokenizerError> =>
  Effect.matchEffect(decode(wrong), { onSuccess: Effect.fail, onFailure: () => unexpected(tokenizer) })

/** Whatever a tokenizer throws becomes a failure. */
export const attempt =
  (tokenizer: string) =>
  <A>(make: () => A): Effect.Effect<A, TokenizerError> =>
    Effect.try({ try: make, catch: (error) => new TokenizerError({ tokenizer, description: String(error) }) })
