/**
 * Values by name, as they stand in a result file or in a record.
 *
 * @since 0.2.0
 */

/**
 * @category models
 * @since 0.2.0
 */
export interface Fields {
  readonly [key: string]: unknown
}
