/** `HttpStatus` as error codes are written: `http_status`. */
const snake = (reason: string): string => reason.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase()

/**
 * A kind of failure in words: the reason as summaries, records and metrics spell it, then the code where that says more, as in
 * `HttpStatus 401` or `Timeout timeout_idle`.
 */
export const errorKind = (reason: string, code: number | string | null): string => {
  const name = snake(reason)
  return code === null || code === "" || code === reason || code === name || code === `${name}_error`
    ? reason
    : `${reason} ${code}`
}
