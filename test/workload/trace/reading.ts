import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import { fileURLToPath } from "node:url"
import type { Schedule } from "../../../src/domain/Schedule.ts"
import * as ScheduleFile from "../../../src/workload/ScheduleFile.ts"

export const fixture = (name: string): string => fileURLToPath(new URL(`../../fixtures/trace/${name}`, import.meta.url))

/** A file system with one file, which comes in pieces of so many bytes. */
const layerOf = (content: string | Uint8Array, chunkBytes: number) =>
  FileSystem.layerNoop({
    stream: () => {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content
      const pieces: Array<Uint8Array> = []
      for (let at = 0; at < bytes.length; at += chunkBytes) pieces.push(bytes.subarray(at, at + chunkBytes))
      return Stream.fromIterable(pieces)
    }
  })

/** Loads a text as if it were a file. */
export const loadText = (
  content: string | Uint8Array,
  options?: ScheduleFile.ReadOptions,
  chunkBytes = 64 * 1_024
): Effect.Effect<ScheduleFile.Loaded, ScheduleFile.ScheduleError> =>
  ScheduleFile.load("file", options).pipe(Effect.provide(layerOf(content, chunkBytes)))

export const loadFixture = (
  name: string,
  options?: ScheduleFile.ReadOptions
): Effect.Effect<ScheduleFile.Loaded, ScheduleFile.ScheduleError> =>
  ScheduleFile.load(fixture(name), options).pipe(Effect.provide(NodeFileSystem.layer))

/** A schedule as rows, to compare and to look at. */
export const rowsOf = (schedule: Schedule) =>
  Array.from({ length: schedule.length }, (_, i) => ({
    id: schedule.id[i],
    offset: schedule.offsetSeconds[i],
    input: schedule.inputTokens[i],
    output: schedule.outputTokens[i],
    session: schedule.session?.[i] ?? null,
    blocks:
      schedule.prefix === null
        ? null
        : [...schedule.prefix.ids.subarray(schedule.prefix.start[i], schedule.prefix.start[i + 1])]
  }))

export const offsetsOf = (schedule: Schedule): ReadonlyArray<number> => [...schedule.offsetSeconds]
