import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, lstatSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { file, folder, llmperf } from "./invocation.ts"

const trace = (name: string) => fileURLToPath(new URL(`../fixtures/trace/${name}`, import.meta.url))
const shipped = fileURLToPath(new URL("../../schedules/", import.meta.url))

const run = (...args: ReadonlyArray<string>) => llmperf(["schedule", ...args])

/** What is written to standard output when all goes well and nothing is said. */
const written = (...args: ReadonlyArray<string>) =>
  Effect.map(run(...args), ({ exitCode, stderr, stdout, unreported }) => {
    assert.deepStrictEqual({ exitCode, stderr, unreported }, { exitCode: 0, stderr: "", unreported: "" })
    return stdout
  })

/** What is said of wrong use. */
const refused = (args: ReadonlyArray<string>, code = 2) =>
  Effect.map(run(...args), ({ exitCode, stderr, stdout, unreported }) => {
    assert.deepStrictEqual([exitCode, stdout.slice(0, 200), unreported], [code, "", ""])
    assert.notMatch(stderr, /\n\s+at |\[object|undefined/)
    return stderr
  })

describe("schedule inspect", () => {
  it.effect("shows what a trace holds", () =>
    Effect.gen(function* () {
      const text = yield* written("inspect", trace("bailian.jsonl"))
      assert.match(text, /\nformat +Bailian \(Qwen\) trace \(bailian\), JSON lines\n/)
      assert.match(text, /\nrequests +12 in 20\.0 s\n/)
      assert.match(text, /\nsessions +6, with 12 of the requests\n/)
      assert.match(text, /\nprefix blocks +72 of 16 tokens, 43 different, 40\.3 % seen before\n/)
      assert.match(text, /\nprefix cache +without limit it would find \d\d\.\d % of the input tokens\n/)
      assert.match(text, /\nrequests per second\n/)
    })
  )

  it.effect("says what was left out, and that rows were not in order", () =>
    Effect.gen(function* () {
      assert.match(
        yield* written("inspect", trace("burstgpt.csv")),
        /\nleft out +2 of 12 rows are left out: failed requests \(0 response tokens\)\n/
      )
      const unsorted = yield* file("f.csv", "scheduled_offset_s,input_tokens,output_tokens\n1,9,9\n0,9,9\n")
      assert.match(yield* written("inspect", unsorted), /\nrows +2, not in the order of time\n/)
    }).pipe(Effect.scoped)
  )

  it.effect("gives the numbers as JSON, after the changes that are asked for", () =>
    Effect.gen(function* () {
      const json = JSON.parse(
        yield* written("inspect", trace("mooncake.jsonl"), "--json", "--limit", "5", "--speed", "3")
      )
      assert.strictEqual(json.format, "mooncake")
      assert.strictEqual(json.rows, 12)
      assert.strictEqual(json.requests, 5)
      assert.strictEqual(json.duration_s, 1)
      assert.strictEqual(json.input_tokens.total, 1300 + 700 + 1536 + 1100 + 400)
      assert.deepStrictEqual(json.prefix, {
        block_tokens: 512,
        blocks: 12,
        distinct_blocks: 9,
        blocks_seen_before: 3,
        cached_input_tokens: 512 * 3
      })
      assert.strictEqual(json.rate_over_time.per_s.length, 60)
      assert.isNull(json.sessions)
    })
  )

  it.effect("tells of everything that is wrong with a file", () =>
    Effect.gen(function* () {
      const path = yield* file("bad.csv", "scheduled_offset_s,input_tokens,output_tokens\n-1,9,9\n0,x,9\n")
      assert.strictEqual(
        yield* refused(["inspect", path]),
        `${path}: 2 problems\n` +
          '  line 2, scheduled_offset_s: got "-1", expected a number of seconds, 0 or more\n' +
          '  line 3, input_tokens: got "x", expected a whole number of tokens, 1 or more\n'
      )
      assert.match(
        yield* refused(["inspect", "/nowhere.csv"]),
        /^\/nowhere\.csv: cannot be read: there is no such file\n$/
      )
    }).pipe(Effect.scoped)
  )

  it.effect("reads any table when it is told which column holds what", () =>
    Effect.gen(function* () {
      assert.match(
        yield* refused(["inspect", trace("own-log.csv")]),
        /--map offset=COLUMN,input=COLUMN,output=COLUMN\n$/
      )
      const text = yield* written(
        "inspect",
        trace("own-log.csv"),
        "--map",
        "offset=ts:ms,input=prompt_len,output=gen_len,session=user"
      )
      assert.match(text, /\nformat +columns given by --map \(mapped\), CSV\n/)
      assert.match(text, /\nsessions +4, with 12/)
      assert.match(yield* refused(["inspect", trace("own-log.csv"), "--map", "a=b"]), /--map.*offset=ts:ms/)
    })
  )
})

describe("schedule convert", () => {
  it.effect("keeps all digits of a trace", () =>
    Effect.gen(function* () {
      const lines = (yield* written("convert", trace("azure-2023.csv"))).split("\n")
      assert.strictEqual(lines.length, 14)
      assert.deepStrictEqual(lines.slice(0, 4), [
        "scheduled_offset_s,input_tokens,output_tokens",
        "0,812,14",
        "0.0000001,1401,9",
        "0.0065433,77,211"
      ])
      assert.strictEqual(lines[12], "50406.1265433,433,250")
    })
  )

  it.effect("says on standard error what it leaves out", () =>
    Effect.gen(function* () {
      const { exitCode, stderr, stdout } = yield* run("convert", trace("burstgpt.csv"))
      assert.strictEqual(exitCode, 0)
      assert.strictEqual(stderr, "2 of 12 rows are left out: failed requests (0 response tokens)\n")
      assert.strictEqual(stdout.split("\n")[0], "scheduled_offset_s,input_tokens,output_tokens,session")
      assert.strictEqual(stdout.split("\n").length, 12)
    })
  )

  it.effect("what is converted twice is the same", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "once.csv")
      for (const name of ["mooncake.jsonl", "bailian.jsonl", "azure-2025.csv.gz"]) {
        assert.strictEqual(yield* written("convert", trace(name), "-o", path), "")
        assert.strictEqual(yield* written("convert", path), readFileSync(path, "utf8"))
      }
    }).pipe(Effect.scoped)
  )

  it.effect("makes changes, whatever the order of the flags", () =>
    Effect.gen(function* () {
      const path = yield* file(
        "s.csv",
        "scheduled_offset_s,input_tokens,output_tokens\n0,100,10\n60,200,20\n60.5,300,30\n61,400,40\n90,500,50\n"
      )
      assert.strictEqual(
        yield* written(
          "convert",
          "--scale-output=0.5",
          "--loop=2",
          "--speed",
          "2",
          "--to",
          "1m30s",
          "--from",
          "1m",
          path
        ),
        "scheduled_offset_s,input_tokens,output_tokens\n0,200,10\n0.25,300,15\n0.5,400,20\n0.75,200,10\n1,300,15\n1.25,400,20\n"
      )
      assert.strictEqual(
        yield* written("convert", path, "--max-rate", "1", "--scale-input", "2", "--limit", "2"),
        "scheduled_offset_s,input_tokens,output_tokens\n0,200,10\n60,400,20\n"
      )
      assert.strictEqual((yield* written("convert", path, "--loop", "30m")).split("\n").length, 2 + 5 * 16)
    }).pipe(Effect.scoped)
  )

  it.effect("replaces a file as a whole, also its own source, and leaves nothing beside it", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const schedule = join(path, "s.csv")
      writeFileSync(schedule, "output_tokens,scheduled_offset_s,input_tokens\n5,0,9\n")
      yield* written("convert", schedule, "--output", schedule)
      assert.strictEqual(readFileSync(schedule, "utf8"), "scheduled_offset_s,input_tokens,output_tokens\n0,9,5\n")
      assert.deepStrictEqual(readdirSync(path), ["s.csv"])
    }).pipe(Effect.scoped)
  )

  it.effect("leaves the target as it was when anything is wrong", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const schedule = join(path, "s.csv")
      writeFileSync(schedule, "as it was")
      yield* refused(["convert", schedule, "-o", schedule])
      assert.strictEqual(readFileSync(schedule, "utf8"), "as it was")
      assert.match(yield* refused(["convert", trace("mooncake.jsonl"), "-o", path], 3), /^Cannot write .*folder/)
      const nowhere = join(path, "none", "s.csv")
      assert.strictEqual(
        yield* refused(["convert", trace("mooncake.jsonl"), "-o", nowhere], 3),
        `Cannot write ${nowhere}: its folder does not exist\n`
      )
      assert.deepStrictEqual(readdirSync(path), ["s.csv"])
    }).pipe(Effect.scoped)
  )

  it.effect("writes to what is no file where it is", () =>
    Effect.gen(function* () {
      const link = join(yield* folder, "link")
      symlinkSync("/dev/null", link)
      yield* written("convert", trace("mooncake.jsonl"), "-o", link)
      assert.isTrue(lstatSync(link).isSymbolicLink())
    }).pipe(Effect.scoped)
  )

  it.effect.runIf(existsSync("/dev/full"))("says when the disk is full", () =>
    Effect.gen(function* () {
      const link = join(yield* folder, "link")
      symlinkSync("/dev/full", link)
      assert.match(
        yield* refused(["convert", trace("mooncake.jsonl"), "-o", link], 3),
        /: no space is left on the disk\n$/
      )
    }).pipe(Effect.scoped)
  )

  it.effect.each([
    [["--from", "1h"], /No row is due at 3600 s or later/],
    [["--loop", "1000d"], /20000000 are the most/],
    [["--speed", "0"], /--speed.*a number above 0/],
    [["--loop", "0"], /--loop/],
    [["--limit", "1.5"], /--limit/],
    [["--max-rate", "0"], /--max-rate/],
    [["--to", "0"], /--to/]
  ] as const)("refuses %j", ([flags, told]) =>
    Effect.gen(function* () {
      assert.match(yield* refused(["convert", trace("azure-2025.csv.gz"), ...flags]), told)
    })
  )
})

describe("schedule generate", () => {
  it.effect("constant arrivals for a duration", () =>
    Effect.gen(function* () {
      const text = yield* written(
        "generate",
        "--request-rate=4",
        "--arrival=constant",
        "--duration=2s",
        "--stddev-input-tokens=0",
        "--stddev-output-tokens=0"
      )
      const rows = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75].map((offset) => `${offset},550,150\n`)
      assert.strictEqual(text, `scheduled_offset_s,input_tokens,output_tokens\n${rows.join("")}`)
    })
  )

  it.effect("the same seed gives the same file, another seed another", () =>
    Effect.gen(function* () {
      const args = ["generate", "--stages", "1@10s,20@2s", "--arrival", "gamma", "--burstiness", "0.5"]
      const text = yield* written(...args)
      assert.strictEqual(yield* written(...args), text)
      assert.notStrictEqual(yield* written(...args, "--seed", "2"), text)
      const path = join(yield* folder, "g.csv.gz")
      writeFileSync(path, gzipSync(text))
      assert.strictEqual(yield* written("convert", path), text)
    }).pipe(Effect.scoped)
  )

  it.effect("bursts, ramps and conversations", () =>
    Effect.gen(function* () {
      const bursts = yield* written("generate", "--request-rate=2", "--arrival=burst", "--burst-size=3", "--limit=6")
      assert.match(bursts, /\n(0,\d+,\d+\n){3}(1\.5,\d+,\d+\n){3}$/)
      const ramp = yield* written("generate", "--ramp", "0:4:10s", "--arrival", "constant", "--duration", "10s")
      assert.strictEqual(ramp.split("\n").length, 2 + 20)
      const talk = yield* written(
        "generate",
        "--request-rate",
        "1",
        "--limit",
        "3",
        "--turns",
        "4",
        "--think-time",
        "5s"
      )
      assert.match(talk, /^scheduled_offset_s,input_tokens,output_tokens,session,prefix_blocks_64\n/)
      assert.strictEqual(talk.split("\n").length, 2 + 12)
    })
  )

  it.effect.each([
    [[], /Give one of --request-rate, --ramp and --stages/],
    [["--request-rate", "1", "--ramp", "1:2:3s"], /Give one of/],
    [["--request-rate", "1"], /give --duration or --limit/],
    [["--ramp", "1:2:3s"], /give --duration or --limit/],
    [["--request-rate", "1", "--limit", "20000001"], /too many/],
    [["--request-rate", "1", "--limit", "10000001", "--turns", "2"], /too many/],
    [["--request-rate", "0", "--limit", "1"], /--request-rate.*above 0/],
    [["--stages", "1@", "--limit", "1"], /--stages.*RATE@DURATION/],
    [["--stages", "0@5s"], /--stages/],
    [["--request-rate", "1", "--limit", "1", "--arrival", "gamma"], /--burstiness goes with --arrival gamma/],
    [["--request-rate", "1", "--limit", "1", "--burst-size", "2"], /--burst-size goes with --arrival burst/],
    [["--request-rate", "0.001", "--duration", "1ms"], /No request arrives in that time/],
    [
      ["--request-rate", "1", "--limit", "1", "--mean-input-tokens", "5", "--stddev-input-tokens", "0"],
      /smallest possible value is \d+/
    ]
  ] as const)("refuses %j", ([flags, told]) =>
    Effect.gen(function* () {
      assert.match(yield* refused(["generate", ...flags]), told)
    })
  )
})

describe("the schedules that come with the program", () => {
  const names = readdirSync(shipped).filter((name) => name.endsWith(".csv"))

  it("are these, and the README of the folder tells of each", () => {
    assert.deepStrictEqual(names.toSorted(), [
      "bursty_schedule.csv",
      "diurnal_hour.csv",
      "example_schedule.csv",
      "spike.csv",
      "think_time.csv"
    ])
    const readme = readFileSync(join(shipped, "README.md"), "utf8")
    for (const name of names) assert.isTrue(readme.includes(`[${name}](${name})`), name)
  })

  const commands = [
    ...readFileSync(join(shipped, "README.md"), "utf8")
      .replaceAll("\\\n", " ")
      .matchAll(/^llmperf schedule (generate .*)$/gm)
  ].map(([, command = ""]) => command.trim().split(/\s+/))

  it("are made by four commands", () => assert.strictEqual(commands.length, 4))

  it.effect.each(commands)("are what the command says: %s …", (command) =>
    Effect.gen(function* () {
      const at = command.indexOf("-o")
      const name = command[at + 1] ?? ""
      const text = yield* written(...command.toSpliced(at, 2))
      assert.strictEqual(text, readFileSync(join(shipped, name), "utf8"))
    })
  )

  it.effect("bursty_schedule.csv: 100 rows, about 150 s, 550 tokens in and 150 out", () =>
    Effect.gen(function* () {
      const json = JSON.parse(yield* written("inspect", join(shipped, "bursty_schedule.csv"), "--json"))
      assert.strictEqual(json.requests, 100)
      assert.closeTo(json.duration_s, 150, 2)
      assert.closeTo(json.input_tokens.mean, 550, 5)
      assert.closeTo(json.output_tokens.mean, 150, 2)
      assert.isAbove(json.gap_cv, 1.5)
    })
  )
})
