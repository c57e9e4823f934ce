/**
 * What may be shown of texts that hold secrets, or may hold one by mistake.
 *
 * @since 0.2.0
 */

/** Headers and query parameters that carry secrets are known by their names. Counts of tokens are none. */
const secretName = /auth|token(?!s)|secret|key|cookie|credential|passw|signature|^sig$/i

/**
 * Whether a header or a query parameter of this name carries a secret.
 *
 * @category predicates
 * @since 0.2.0
 */
export const isSecretName = (name: string): boolean => secretName.test(name)

/** `localhost:8000`, `//10.0.0.1/v1`, `llm.example.com/v1`, also with a scheme that is not http. */
const likeAnAddress =
  /^(?:[a-z][a-z0-9+.-]*:)?(?:\/\/)?(?:localhost|[\d.]+|\[[\da-f:]+\]|(?:[a-z\d-]{1,40}\.)+[a-z]{2,12})(?::\d*)?(?:\/[^?#]*)?(?=$|[?#])/i

/**
 * What was given as an address and is none, as far as it may be shown: a key may have been put in its place.
 *
 * @category rendering
 * @since 0.2.0
 */
export const shownAddress = (text: string): string =>
  likeAnAddress.exec(text.trim())?.[0] ??
  `a text of ${text.trim().length} characters, not shown because it may be a secret`

/** More of a value does not help to find what is wrong with it. */
const MOST_SHOWN = 200

/**
 * A value that was given and cannot be used, for an error message: the beginning of one that is long, without the user and password of
 * an address in it, and without its query parameters that carry secrets.
 *
 * @category rendering
 * @since 0.2.0
 */
export const shownValue = (text: string): string => {
  const shown = text
    .replaceAll(/(\/\/)[^\s/?#]*@/g, "$1***@")
    .replaceAll(/([?&])([^=&?\s]+)=[^&\s]*/g, (whole, before: string, name: string) =>
      isSecretName(name) ? `${before}${name}=***` : whole
    )
  return shown.length <= MOST_SHOWN ? shown : `${shown.slice(0, MOST_SHOWN)}… (${text.length} characters)`
}
