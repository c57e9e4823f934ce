import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type Command } from "effect/cli"
import * as HttpFront from "../../simulator/HttpFront.ts"
import * as ModelServer from "../../simulator/ModelServer.ts"
import { usage } from "../CommandError.ts"
import { type serve } from "../flags.ts"
import { countingBy, modelOptions } from "../internal/simulated.ts"

type Input = Command.Command.Config.Infer<typeof serve>

/** Serves until it is interrupted. */
export const handle = Effect.fn("serve")(
  function* (input: Input) {
    const front = HttpFront.layer({
      host: input.host,
      beyondLoopback: input.insecureListen,
      port: input.port,
      truth: input.truth,
      rehearse: true,
      truthLimit: 2_000_000
    })
    const model = ModelServer.layer(modelOptions(input, input.seed))
    return yield* Effect.gen(function* () {
      const { url } = yield* HttpFront.HttpFront
      yield* Console.error(`Simulated LLM server at ${url}/v1 (Ctrl-C ends it)`)
      return yield* Effect.never
    }).pipe(Effect.provide(Layer.provide(front, Layer.merge(model, countingBy(input.tokenizer)))))
  },
  Effect.catchTags({
    SimulatorError: ({ message, reason }) => {
      const advice = reason._tag === "HostNotLoopback" ? ", unless --insecure-listen is given" : ""
      return Effect.fail(usage(`${message}${advice}`))
    },
    TokenizerError: ({ message }) => Effect.fail(usage(message))
  })
)
