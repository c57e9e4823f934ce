import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as RpcTest from "effect/rpc/RpcTest"
import * as TestClock from "effect/testing/TestClock"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { LoadAgentRpcs } from "../../src/engine/LoadAgent.ts"
import * as LoadAgentHandlers from "../../src/engine/LoadAgentHandlers.ts"
import { Provider } from "../../src/provider/Provider.ts"
import * as Transport from "../../src/provider/Transport.ts"
import * as Fleets from "./fleets.ts"
import * as Runs from "./runs.ts"
import * as Scripted from "./scriptedProvider.ts"

const spec = (session: string) => Fleets.spec(session, { agent: "agent:7070", keepsRows: true })

/** An agent of this process that keeps its rows in `folder`. */
const agentIn = Effect.fnUntraced(function* (folder: string) {
  const { provider } = yield* Scripted.make(Runs.usual)
  const services = Layer.mergeAll(Layer.succeed(Provider, provider), Fleets.counting(undefined), Transport.layer({}))
  const handlers = yield* Layer.build(
    LoadAgentHandlers.layer({ services: () => services, about: Effect.succeed(Fleets.profile), folder })
  )
  return yield* Effect.provideContext(RpcTest.makeClient(LoadAgentRpcs), handlers)
})

type Client = Effect.Success<ReturnType<typeof agentIn>>

/** A whole session of two requests, whose rows nobody collects. */
const playThrough = Effect.fnUntraced(function* (client: Client, session: string) {
  yield* client.Prepare(spec(session))
  yield* client.Lease({ session, number: 1, plans: Scripted.plans(2), last: true, places: null, reportAt: 0 })
  const monotonicNanos = yield* client.Clock({ session })
  const running = yield* Effect.forkChild(Stream.runDrain(client.Run({ session, monotonicNanos, epochSeconds: 0 })))
  for (let step = 0; step < 1_000 && running.pollUnsafe() === undefined; step++) {
    yield* TestClock.adjust(25)
    yield* Runs.pause
  }
})

const MARKER = "llmperf-session.json"

const decodeMarker = Schema.decodeSync(
  Schema.fromJsonString(
    Schema.Struct({
      format: Schema.String,
      version: Schema.Int,
      session: Schema.String,
      folder: Schema.String,
      made_at: Schema.Finite,
      owner: Schema.Struct({
        host: Schema.String,
        boot: Schema.NullOr(Schema.String),
        namespace: Schema.NullOr(Schema.String),
        pid: Schema.Int,
        started: Schema.NullOr(Schema.String)
      })
    })
  )
)

const recordsIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder).filter((name) => existsSync(join(folder, name, "records.ndjson")))

describe("the folder in which an agent keeps rows", { timeout: 60_000 }, () => {
  it.effect("keeps everything that is not a session of an agent, however much there is", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const outside = join(folder, "outside")
        const data = join(folder, "data")
        mkdirSync(outside)
        writeFileSync(join(outside, "records.ndjson"), "not yours\n")
        mkdirSync(data)
        for (let index = 0; index < 20; index++) {
          writeFileSync(join(data, `thesis-${index}.txt`), "years of work")
          mkdirSync(join(data, `photos-${index}`))
          writeFileSync(join(data, `photos-${index}`, "records.ndjson"), "{}\n")
        }
        symlinkSync(outside, join(data, "link"))
        const before = readdirSync(data)
        const client = yield* agentIn(data)
        for (let number = 0; number < 12; number++) yield* playThrough(client, `run-${number}`)
        assert.deepStrictEqual(
          before.filter((name) => !existsSync(join(data, name))),
          []
        )
        assert.strictEqual(readFileSync(join(outside, "records.ndjson"), "utf8"), "not yours\n")
        // Of its own it keeps the newest
        const own = recordsIn(data).filter((name) => name.startsWith("run-"))
        assert.lengthOf(own, 8)
        assert.isTrue(own.some((name) => name.startsWith("run-11-")))
        assert.isFalse(own.some((name) => name.startsWith("run-0-")))
      }).pipe(Effect.scoped)
    )
  )

  it.effect.skipIf(!existsSync("/proc/self/stat"))(
    "deletes what processes have left that ended, and nothing that another one may still need",
    () =>
      Runs.inFolder((folder) =>
        Effect.gen(function* () {
          const client = yield* agentIn(folder)
          yield* playThrough(client, "model")
          const [model = ""] = recordsIn(folder)
          const marker = decodeMarker(readFileSync(join(folder, model, MARKER), "utf8"))
          /** A session that some other process has left long ago. */
          const leave = (
            name: string,
            owner: Partial<typeof marker.owner>,
            change: { readonly version?: number } = {}
          ) => {
            mkdirSync(join(folder, name))
            writeFileSync(join(folder, name, "records.ndjson"), "{}\n")
            const all = { ...marker, made_at: -1, folder: name, ...change, owner: { ...marker.owner, ...owner } }
            writeFileSync(join(folder, name, MARKER), JSON.stringify(all))
          }
          const startedOf = (pid: number) =>
            readFileSync(`/proc/${pid}/stat`, "utf8")
              .replace(/^.*\) /s, "")
              .split(" ")[19] ?? ""
          const running = spawn("sleep", ["60"])
          const killed = spawn("sleep", ["60"])
          const live = { pid: running.pid ?? 0, started: startedOf(running.pid ?? 0) }
          const dead = { pid: killed.pid ?? 0, started: startedOf(killed.pid ?? 0) }
          killed.kill("SIGKILL")
          yield* Effect.promise(() => once(killed, "exit"))

          leave("of-a-dead-process", dead)
          leave("of-a-number-used-again", { ...live, started: "1" })
          leave("of-a-live-process", live)
          leave("of-another-machine", { ...dead, host: "elsewhere" })
          leave("of-another-start-of-a-machine", { ...dead, boot: "00000000-0000-0000-0000-000000000000" })
          leave("of-another-container", { ...dead, namespace: "pid:[1]" })
          leave("of-who-knows", { ...dead, boot: null })
          leave("of-a-later-version", dead, { version: 2 })
          leave("with-notes", dead)
          writeFileSync(join(folder, "with-notes", "notes.txt"), "mine")
          mkdirSync(join(folder, "with-notes", "more"))
          leave("source", dead)
          cpSync(join(folder, "source"), join(folder, "backup"), { recursive: true })
          symlinkSync(join(folder, "backup"), join(folder, "link"))
          mkdirSync(join(folder, "with-a-linked-marker"))
          copyFileSync(join(folder, "source", MARKER), join(folder, "a-file"))
          symlinkSync(join(folder, "a-file"), join(folder, "with-a-linked-marker", MARKER))
          mkdirSync(join(folder, "with-a-pipe"))
          execFileSync("mkfifo", [join(folder, "with-a-pipe", MARKER)])
          leave("with-linked-rows", dead)
          rmSync(join(folder, "with-linked-rows", "records.ndjson"))
          symlinkSync(join(folder, "a-file"), join(folder, "with-linked-rows", "records.ndjson"))

          for (let number = 0; number < 9; number++) yield* playThrough(client, `run-${number}`)
          running.kill("SIGKILL")
          const left = readdirSync(folder).filter((name) => !name.startsWith("run-"))
          assert.deepStrictEqual(left.toSorted(), [
            "a-file",
            "backup",
            "link",
            "of-a-later-version",
            "of-a-live-process",
            "of-another-container",
            "of-another-machine",
            "of-another-start-of-a-machine",
            "of-who-knows",
            "with-a-linked-marker",
            "with-a-pipe",
            "with-linked-rows",
            "with-notes"
          ])
          assert.deepStrictEqual(readdirSync(join(folder, "with-notes")).toSorted(), ["more", "notes.txt"])
          assert.deepStrictEqual(readdirSync(join(folder, "backup")).toSorted(), [MARKER, "records.ndjson"])
        }).pipe(Effect.scoped)
      )
  )

  it.effect("is shared by agents that do not touch each other's rows", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const [one, other] = [yield* agentIn(folder), yield* agentIn(folder)]
        // The agents of a run have the same session
        yield* playThrough(one, "shared")
        yield* playThrough(other, "shared")
        const both = recordsIn(folder)
        assert.lengthOf(both, 2)
        for (let number = 0; number < 10; number++) yield* playThrough(other, `run-${number}`)
        const [kept, ...others] = recordsIn(folder).filter((name) => name.startsWith("shared-"))
        assert.lengthOf(others, 0)
        assert.strictEqual(readFileSync(join(folder, kept ?? "", "records.ndjson"), "utf8").split("\n").length, 3)
        yield* other.Release({ session: "run-9" })
        yield* one.Release({ session: "shared" })
        const left = recordsIn(folder)
        assert.lengthOf(left, 7)
        assert.isTrue(left.every((name) => name.startsWith("run-") && !name.startsWith("run-9-")))
      }).pipe(Effect.scoped)
    )
  )

  it.effect("leaves nothing of a session that could not be made ready", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const client = yield* agentIn(folder)
        const elsewhere = { ...spec("elsewhere"), job: { ...Fleets.job, origin: "http://127.0.0.1:1" } }
        yield* Effect.flip(client.Prepare(elsewhere))
        const half = { ...spec("half"), chunkTimes: true, logsSent: true }
        yield* Effect.forkChild(client.Prepare(half)).pipe(Effect.flatMap(Fiber.interrupt))
        assert.deepStrictEqual(readdirSync(folder), [])
      }).pipe(Effect.scoped)
    )
  )

  it.effect("is not left by a session whose name is a path", () =>
    Runs.inFolder((folder) =>
      Effect.gen(function* () {
        const data = join(folder, "data")
        const client = yield* agentIn(data)
        const names = [
          "../x",
          "..",
          ".",
          "",
          "/tmp/x",
          "a/b",
          "a\\b",
          "x\0y",
          "x\n",
          "~",
          "C:x",
          "ä",
          "x".repeat(201),
          "..\u2215x"
        ]
        const made = yield* Arbitrary.sampleEffect(Arbitrary.schema(Schema.String), { count: 200, seed: 1 })
        for (const name of [...names, ...made, ...made.map((text) => `../${text}`)]) {
          if (/^[A-Za-z0-9_.-]{1,200}$/.test(name) && !/^\.+$/.test(name)) continue
          const error = yield* Effect.flip(client.Prepare(spec(name)))
          assert.include(error.message, "a session has a name of letters")
          yield* client.Release({ session: name })
        }
        assert.deepStrictEqual(readdirSync(folder), [])
        yield* client.Prepare(spec("..x"))
        assert.lengthOf(readdirSync(data), 1)
      }).pipe(Effect.scoped)
    )
  )
})
