import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Sink from "effect/Sink"
import * as TestClock from "effect/testing/TestClock"
import { type Ended } from "../../src/metrics/Ended.ts"
import * as Output from "../../src/output/Output.ts"
import { OutputError } from "../../src/output/OutputError.ts"
import * as Runs from "./runs.ts"
import * as Scripted from "./scriptedProvider.ts"

const full = new OutputError({ path: "somewhere", problem: "it is full", advice: "Make room." })

const idsOf = (batches: ReadonlyArray<Ended>): ReadonlyArray<number> =>
  batches.flatMap((ended) => (ended._tag === "Here" ? ended.requests.map(({ record }) => record.request_id) : []))

/** An output that keeps the numbers of all requests. */
const keeping = () => {
  const ids: Array<number> = []
  return { ids, output: Output.make("keeping", { add: (ended) => ids.push(...idsOf([ended])) }) }
}

/** An output whose sink does something for every batch. */
const doing = (
  each: (ended: Ended) => Effect.Effect<void, OutputError>,
  open: Effect.Effect<void, OutputError> = Effect.void
): Output.Output => ({
  name: "doing",
  open: () =>
    Effect.as(open, {
      sink: Sink.forEach(each),
      files: [],
      fields: () => Effect.succeed({})
    } satisfies Output.OpenOutput)
})

const sorted = (ids: ReadonlyArray<number>) => ids.toSorted((a, b) => a - b)

describe("the outputs of a run", () => {
  it.effect("are each given every request once, and add to the summary in their order", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const [first, second] = [keeping(), keeping()]
        let told: Output.RunInfo | null = null
        const fields = Output.make("fields", {
          fields: ({ openLoop, summary }) =>
            Effect.succeed({ mine: { requests: summary.num_requests_started, open: openLoop } })
        })
        const opened: Output.Output = {
          ...first.output,
          open: (info) => {
            told = info
            return first.output.open(info)
          }
        }
        const { result } = yield* Runs.complete({
          config: { maxNumCompletedRequests: 23, resultsDir: folder },
          run: { outputs: [opened, fields, second.output] }
        })
        assert.deepStrictEqual(told, { runId: "run1", planned: 23, openLoop: false, directory: folder })
        assert.deepStrictEqual(sorted(first.ids), Runs.ids(23))
        assert.deepStrictEqual(second.ids, first.ids)
        const summary = yield* Runs.readSummary(folder, "org-demo-7b_60_8_summary.json")
        assert.deepInclude(summary, { mine_requests: 23, mine_open: false })
        assert.strictEqual(result.document.get("mine_requests"), 23)
      })
    )
  )

  it.effect("are told of nothing before its row is in the file", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        let compared = 0
        const compare = doing((ended) =>
          Effect.gen(function* () {
            const written = new Set(Runs.column(yield* Runs.readRecords(folder, "records.ndjson"), "request_id"))
            for (const id of idsOf([ended])) {
              assert.isTrue(written.has(id))
              compared++
            }
          }).pipe(Effect.provide(Runs.services), Effect.orDie)
        )
        yield* Runs.complete({
          config: { maxNumCompletedRequests: 23, resultsDir: folder },
          run: { outputs: [compare] }
        })
        assert.strictEqual(compared, 23)
      })
    )
  )

  it.effect("get the rest when the run is interrupted, also what another one takes its time for", () =>
    Effect.gen(function* () {
      const kept = keeping()
      const goOn = yield* Deferred.make<void>()
      const slow = doing(() => Deferred.await(goOn))
      const { fiber, log } = yield* Runs.start({
        config: { maxNumCompletedRequests: 100 },
        run: { outputs: [slow, kept.output] }
      })
      yield* TestClock.adjust(700)
      assert.deepStrictEqual(kept.ids, [])
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
      yield* Deferred.succeed(goOn, undefined)
      yield* Fiber.await(interrupting)
      assert.isAbove(log.opened.length, 4)
      assert.deepStrictEqual(
        sorted(kept.ids),
        log.opened.map(({ id }) => id)
      )
    }).pipe(Runs.withoutFiles)
  )

  it.effect("stop the run when one fails; the others get all that ended", () =>
    Effect.gen(function* () {
      const [before, after] = [keeping(), keeping()]
      const { fiber, log } = yield* Runs.start({
        config: { maxNumCompletedRequests: 1_000 },
        script: Runs.tenSeconds,
        run: { outputs: [before.output, doing(() => Effect.fail(full)), after.output] }
      })
      yield* TestClock.adjust(10_000)
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(error, full)
      assert.isBelow(log.opened.length, 13)
      assert.deepStrictEqual(
        sorted(before.ids),
        log.opened.map(({ id }) => id)
      )
      assert.deepStrictEqual(after.ids, before.ids)
    }).pipe(Runs.withoutFiles)
  )

  it.effect("fail the run before anything is sent when one cannot be opened", () =>
    Effect.gen(function* () {
      const { fiber, log } = yield* Runs.start({ run: { outputs: [doing(() => Effect.void, Effect.fail(full))] } })
      assert.strictEqual(yield* Effect.flip(Fiber.join(fiber)), full)
      assert.deepStrictEqual(log.opened, [])
    }).pipe(Runs.withoutFiles)
  )

  it.effect("may have enough before the end", () =>
    Effect.gen(function* () {
      const kept = keeping()
      const one: Output.Output = {
        name: "the first batch",
        open: () =>
          Effect.succeed({
            sink: Sink.mapEnd(Sink.take<Ended>(1), () => [undefined] as const),
            files: [],
            fields: () => Effect.succeed({})
          })
      }
      const { result } = yield* Runs.complete({
        config: { maxNumCompletedRequests: 40 },
        script: (plan) => [Scripted.wait(plan.id), ...Runs.usual(plan)],
        run: { outputs: [one, kept.output] }
      })
      assert.strictEqual(result.summary.num_completed_requests, 40)
      assert.deepStrictEqual(sorted(kept.ids), Runs.ids(40))
    }).pipe(Runs.withoutFiles)
  )
})
