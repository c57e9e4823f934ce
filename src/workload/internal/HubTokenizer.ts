/**
 * Loads a tokenizer with `@huggingface/transformers`, from a folder or from the Hugging Face hub. Only this module
 * imports that package, and only a run that asks for such a tokenizer imports this module.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { AutoTokenizer, env, LogLevel } from "@huggingface/transformers"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as UserDirectories from "effect/persistence/UserDirectories"

/** Nothing could be loaded; `description` says what was tried and what to do. */
export class LoadError extends Data.TaggedError("LoadError")<{ readonly description: string }> {}

// `name` or `owner/name`, the only forms of an id on the hub. All else can only be a path.
const HUB_ID = /^[\w-][\w.-]*(\/[\w-][\w.-]*)?$/

const FILES = ["tokenizer.json", "tokenizer_config.json"]

const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message
}

const fromPretrained = (source: string, localOnly: boolean, hint: string) =>
  Effect.tryPromise({
    try: () => AutoTokenizer.from_pretrained(source, { local_files_only: localOnly }),
    catch: (error) => new LoadError({ description: `${reasonOf(error)}. ${hint}` })
  })

const fromFolder = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  for (const file of FILES) {
    const found = yield* fs.exists(path.join(folder, file)).pipe(Effect.orElseSucceed(() => false))
    if (found) continue
    const what = `the folder ${folder} has no ${file}; it needs both ${FILES.join(" and ")}`
    return yield* new LoadError({
      description: file === "tokenizer_config.json" ? `${what} (the second may be just {})` : what
    })
  }
  return yield* fromPretrained(folder, true, `Tried the files ${FILES.join(" and ")} in ${folder}`)
})

const fromHub = Effect.fnUntraced(function* (id: string) {
  const path = yield* Path.Path
  const directories = yield* UserDirectories.UserDirectories
  const cache = yield* Effect.option(directories.cache("llmperf"))
  env.cacheDir = Option.match(cache, {
    onNone: () => null,
    onSome: (directory) => path.join(directory, "tokenizers")
  })
  env.useFSCache = Option.isSome(cache)
  return yield* fromPretrained(
    id,
    false,
    `There is no folder of that name, so ${env.remoteHost}${id} was tried. Check the name and the network, set HF_TOKEN ` +
      `if the model is gated, or give a folder with ${FILES.join(" and ")}`
  )
})

/** Whether a word is the same token at the start of a text and after a space, so that a space in front is one token more. */
const putsSpaceBefore = (encode: (text: string) => ReadonlyArray<number>): boolean => {
  const word = encode("a").length
  return encode("a a").length === 2 * word && encode(" a").length === word + 1
}

/** Loads from the folder `source` when there is one, else from the hub when it can be an id. */
export const load = Effect.fn("HubTokenizer.load")(
  function* (source: string) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    env.logLevel = LogLevel.ERROR

    // A relative path such as `models/mine` has the form of an id, and the package would look for it in its own
    // folder: only absolute paths are safe.
    const folder = path.resolve(source)
    const isFolder = yield* fs.stat(folder).pipe(
      Effect.map((info) => info.type === "Directory"),
      Effect.orElseSucceed(() => false)
    )
    if (!isFolder && !HUB_ID.test(source)) {
      return yield* new LoadError({
        description: `there is no folder ${folder}, and a model id has the form owner/name`
      })
    }
    const tokenizer = yield* isFolder ? fromFolder(folder) : fromHub(source)
    const encode = (text: string): ReadonlyArray<number> => tokenizer.encode(text, { add_special_tokens: false })
    const spaces = putsSpaceBefore(encode)
    return {
      // Where a text goes on with a space, as an answer often does, a model has no other before it
      count: (text: string): number =>
        encode(spaces && text.length > 1 && text.startsWith(" ") ? text.slice(1) : text).length,
      encode,
      decode: (ids: ReadonlyArray<number>): string => (ids.length === 0 ? "" : tokenizer.decode([...ids]))
    }
  },
  Effect.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, UserDirectories.layer))
)
