import type * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import { type BenchError } from "../internal/BenchError.ts"
import { type Command } from "../internal/ProcessTree.ts"
import { type Pace } from "../internal/Server.ts"

/** What every tool is asked for: requests of one length, so many at a time or as a Poisson process. */
export interface Work {
  readonly requests: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly pace: Pace
  readonly load:
    | { readonly kind: "closed"; readonly concurrency: number }
    | { readonly kind: "open"; readonly perSecond: number }
}

/**
 * Where a tool runs: the address of the server, without a path; the name of the model; the folder that holds the tool; one
 * with `tokenizer.json`; and an empty one for what it writes.
 */
export interface Place {
  readonly origin: string
  readonly model: string
  readonly home: string
  readonly tokenizer: string
  readonly folder: string
}

export interface Quantiles {
  readonly p50: number
  readonly p99: number
}

/**
 * What a tool says of its own run, in ms; `null` where it says nothing. Gaps are those between chunks, all together, or the
 * mean of each request.
 */
export interface Claims {
  readonly completed: number | null
  readonly ttftMs: Quantiles | null
  readonly gapMs: (Quantiles & { readonly of: "chunks" | "requests" }) | null
}

/** A tool, and how it is told to do such work. `command` is `null` for work that it cannot do. */
export interface Peer {
  readonly name: string
  readonly language: "TypeScript" | "Python" | "Rust"
  readonly version: string
  /** What must be there for it to be run, from its own folder or absolute. */
  readonly program: string
  readonly help: ReadonlyArray<string>
  readonly command: (work: Work, place: Place) => Pick<Command, "args" | "env"> | null
  readonly claims: (
    stdout: string,
    place: Place
  ) => Effect.Effect<Claims, BenchError, FileSystem.FileSystem | Path.Path>
}

/** `--name value` for each flag; `true` stands for a flag without a value. */
export const flags = (values: { readonly [name: string]: string | number | true }): ReadonlyArray<string> =>
  Object.entries(values).flatMap(([name, value]) => (value === true ? [`--${name}`] : [`--${name}`, String(value)]))
