import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Scope from "effect/Scope"
import { type ClusterAddress } from "../ClusterAddress.ts"
import { type Directory, type DirectoryError } from "./directory.ts"

/**
 * The directory at an address. What speaks to a database is loaded by those who have one.
 *
 * `onNotice` is told what becomes of it while an agent is announced.
 */
export const openDirectory = (
  address: ClusterAddress,
  onNotice: (notice: string) => Effect.Effect<void> = () => Effect.void
): Effect.Effect<Directory, DirectoryError, Scope.Scope | FileSystem.FileSystem> =>
  address._tag === "Postgres"
    ? Effect.flatMap(
        Effect.promise(() => import("./postgresRunners.ts")),
        ({ make }) => make(address, onNotice)
      )
    : Effect.flatMap(
        Effect.promise(() => import("./podRunners.ts")),
        ({ make }) => make(address)
      )
