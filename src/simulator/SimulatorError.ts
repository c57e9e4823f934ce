/**
 * Why a simulated server could not be started: one error, `SimulatorError`, whose tagged `reason` says what happened.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Another program listens on that port.
 *
 * @category reasons
 * @since 0.1.0
 */
export class PortInUse extends Schema.TaggedError<PortInUse>("llmperf/simulator/SimulatorError/PortInUse")(
  "PortInUse",
  {
    host: Schema.String,
    port: Schema.Int
  }
) {
  override get message(): string {
    return `Port ${this.port} on ${this.host} is in use: choose another, or 0 for any free port`
  }
}

/**
 * The simulated server answers anybody, so it listens on a loopback address unless it is told to go beyond.
 *
 * @category reasons
 * @since 0.1.0
 */
export class HostNotLoopback extends Schema.TaggedError<HostNotLoopback>(
  "llmperf/simulator/SimulatorError/HostNotLoopback"
)("HostNotLoopback", { host: Schema.String }) {
  override get message(): string {
    return `The simulated server listens on loopback addresses only (127.0.0.1, ::1, localhost), not on ${this.host}`
  }
}

/**
 * The system did not let the server listen. `code` is the system's code, such as EACCES.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ListenFailed extends Schema.TaggedError<ListenFailed>("llmperf/simulator/SimulatorError/ListenFailed")(
  "ListenFailed",
  { host: Schema.String, port: Schema.Int, code: Schema.NullOr(Schema.String), description: Schema.String }
) {
  override get message(): string {
    return `Cannot listen on ${this.host} port ${this.port}: ${this.description}`
  }
}

/**
 * The thread of the server did not start, or ended before it listened.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ThreadFailed extends Schema.TaggedError<ThreadFailed>("llmperf/simulator/SimulatorError/ThreadFailed")(
  "ThreadFailed",
  { description: Schema.String }
) {
  override get message(): string {
    return `The thread of the simulated server failed: ${this.description}`
  }
}

/**
 * All reasons.
 *
 * @category reasons
 * @since 0.1.0
 */
export const Reason = Schema.Union([PortInUse, HostNotLoopback, ListenFailed, ThreadFailed])

/**
 * @category reasons
 * @since 0.1.0
 */
export type Reason = typeof Reason.Type

/**
 * The simulated server could not be started. Catch it by its reason with
 * `Effect.catchReason("SimulatorError", "PortInUse", …)`.
 *
 * @category errors
 * @since 0.1.0
 */
export class SimulatorError extends Schema.TaggedError<SimulatorError>("llmperf/simulator/SimulatorError")(
  "SimulatorError",
  { reason: Reason }
) {
  override get message(): string {
    return this.reason.message
  }
}
