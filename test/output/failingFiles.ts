import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { type PlatformError, systemError, type SystemErrorTag } from "effect/PlatformError"

/** The failure that Node reports with this code. */
export const systemFailure = (code: string, tag: SystemErrorTag = "Unknown"): PlatformError =>
  systemError({
    module: "FileSystem",
    method: "test",
    _tag: tag,
    cause: Object.assign(new Error(code), { code })
  })

/** The file system at hand, where `change` has replaced some of its operations. */
export const layerChanged = (
  change: (fs: FileSystem.FileSystem) => Partial<FileSystem.FileSystem>
): Layer.Layer<FileSystem.FileSystem, never, FileSystem.FileSystem> =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => ({ ...fs, ...change(fs) }))
  )
