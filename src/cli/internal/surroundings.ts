import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type LlmError } from "../../domain/LlmError.ts"
import { type RequestPlan } from "../../domain/RequestPlan.ts"
import { type RunConfig } from "../../domain/RunConfig.ts"
import type * as AbortOnErrors from "../../engine/AbortOnErrors.ts"
import * as Health from "../../engine/Health.ts"
import type * as Run from "../../engine/Run.ts"
import * as WarmUp from "../../engine/WarmUp.ts"
import * as LiveStats from "../../metrics/LiveStats.ts"
import * as Verdict from "../../metrics/Verdict.ts"
import type * as LivePanel from "../../output/LivePanel.ts"
import * as Progress from "../../output/Progress.ts"
import { Provider } from "../../provider/Provider.ts"
import * as Transport from "../../provider/Transport.ts"
import * as TokenCounter from "../../workload/TokenCounter.ts"
import * as Tokenizer from "../../workload/Tokenizer.ts"
import { type LiveRun } from "./liveMetrics.ts"
import * as Network from "./network.ts"
import * as OwnProvider from "./ownProvider.ts"

/** The name of a tokenizer, `undefined` for the one that needs no name. */
export const tokenizerOf = ({ tokenizer }: { readonly tokenizer: string }): string | undefined =>
  tokenizer === Tokenizer.llamaName ? undefined : tokenizer

/** What the flags of every test of an API say alike. */
interface Input {
  readonly model: string
  readonly llmApi: { readonly value: string }
  readonly provider: Option.Option<string>
  readonly grace: number
  readonly requestTimeout: number | null
  readonly additionalSamplingParams: RunConfig["additionalSamplingParams"]
  readonly metadata: ReadonlyArray<ReadonlyArray<readonly [string, string]>>
  readonly samePrompts?: boolean
  readonly warmup: boolean
  readonly warmupRequests: number
  readonly requestIdHeader: string | null
  readonly resultsDir: Option.Option<string>
}

/** The part of its configuration that comes of these. */
export const configOf = (
  input: Input,
  { runId, seed }: Pick<RunConfig, "runId" | "seed">
): Omit<RunConfig, "promptMode" | "countTokens"> => ({
  model: input.model,
  llmApi: OwnProvider.llmApiOf(input),
  graceSeconds: input.grace,
  requestTimeoutSeconds: input.requestTimeout,
  additionalSamplingParams: input.additionalSamplingParams,
  metadata: Object.fromEntries(input.metadata.flat()),
  seed,
  samePrompts: input.samePrompts,
  warmup: input.warmup,
  warmupRequests: input.warmupRequests,
  requestIdHeader: input.requestIdHeader,
  runId,
  resultsDir: Option.getOrNull(input.resultsDir)
})

/** How the API is reached. Nothing is between us and a server that is started for the test. */
export const networkOf = (input: Network.NetworkInput & Pick<Input, "llmApi" | "provider">) =>
  Network.resolve(input, input.llmApi.value === "simulated" && Option.isNone(input.provider))

interface Asking<E, R> {
  readonly provider: Layer.Layer<Provider, E | LlmError | Config.ConfigError, R>
  readonly network: Network.Network
  readonly idleSeconds: number
}

/** What asks an API: the provider and its transport. */
export const asking = <E, R>({ idleSeconds, network, provider }: Asking<E, R>) =>
  Layer.provideMerge(provider, Transport.layer({ ...network.options, idleSeconds }))

/** Everything a test of an API needs: tokenizers, on this thread and on another, the provider and its transport. */
export const layer = <E, R>(options: Asking<E, R> & { readonly tokenizer: string | undefined }) =>
  Layer.mergeAll(
    Tokenizer.layer(options.tokenizer),
    TokenCounter.layerWorker({ tokenizer: options.tokenizer }),
    asking(options)
  )

/** Numbers requests as those sent to warm up. */
export const forWarmUp = (plans: ReadonlyArray<RequestPlan>): ReadonlyArray<RequestPlan> =>
  plans.map((plan): RequestPlan => Object.assign({}, plan, { id: -plan.id }))

/**
 * Shows the progress until the scope closes, here and to `liveRun`, and gives what the run is to be given. `total`: requests there will be;
 * `connections`: how many to open ahead; `requests`: real ones, to warm up with; `senders`: who sends, when it
 * is not this thread.
 */
export const hooks = Effect.fnUntraced(function* (options: {
  readonly config: Pick<RunConfig, "requestTimeoutSeconds" | "warmup">
  readonly total: number
  readonly connections: number
  readonly requests: ReadonlyArray<RequestPlan>
  readonly network: Network.Network
  readonly limits: Verdict.Limits
  readonly abortOnErrors: AbortOnErrors.Policy
  readonly quiet: boolean
  readonly liveRun?: LiveRun | null | undefined
  readonly senders?: LivePanel.Senders | undefined
  readonly places?: number | null | undefined
  readonly timeoutSeconds?: number | null | undefined
  readonly schedule?: Progress.Schedule | null | undefined
}) {
  const { config, connections, limits, network, quiet, requests, senders, total, places, schedule, timeoutSeconds } =
    options
  const liveRun = options.liveRun ?? null
  const { origin } = yield* Provider
  yield* network.check(origin)
  const live = LiveStats.make()
  let sampling: Health.Sampling | null = null
  let ttftSeconds: number | null = null
  let delaySeconds: number | null = null
  const snapshot = (now: number) => {
    const taken = LiveStats.snapshot(live, now)
    ttftSeconds = taken.recentTtft?.p99 ?? null
    delaySeconds = taken.recentDelay?.p99 ?? null
    return taken
  }
  const state = () => {
    const slice = sampling?.latest() ?? null
    return slice === null && delaySeconds === null
      ? null
      : Verdict.current({ slice, ttftSeconds, delaySeconds, limits })
  }
  yield* Effect.forkScoped(Progress.run({ snapshot, state, total, quiet, senders, places, schedule, timeoutSeconds }))
  if (liveRun !== null) yield* Effect.forkScoped(liveRun.feed(snapshot, state))
  const context = yield* Effect.context<Provider | Transport.Transport>()
  const warmUp = WarmUp.run({
    client: config.warmup,
    concurrency: connections,
    requests,
    requestTimeoutSeconds: config.requestTimeoutSeconds
  })
  return {
    live,
    network: network.facts(origin),
    limits,
    abortOnErrors: options.abortOnErrors,
    watch: Effect.tap(Health.make(), (made) =>
      Effect.sync(() => {
        sampling = made
      })
    ),
    warmUp: config.warmup || requests.length > 0 ? Effect.provideContext(warmUp, context) : undefined
  } satisfies Run.Options
})
