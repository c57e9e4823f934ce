import { assert, describe, it } from "@effect/vitest"
import * as GoogleError from "../../../src/provider/internal/googleError.ts"
import { transcript } from "../wire/decoding.ts"

const read = (name: string) => transcript(name).toString("utf8")

describe("googleError", () => {
  it("says that a token has expired and what to do", () => {
    const given = GoogleError.errorWithToken("given")(read("vertex-expired.json"))
    assert.deepInclude(given, { code: 401, type: "UNAUTHENTICATED" })
    assert.match(
      given?.description ?? "",
      /^The access token has expired: .*`gcloud auth print-access-token`.*GCLOUD_ACCESS_TOKEN/
    )
    assert.include(given?.description, "The server said: Request had invalid authentication credentials.")
    const own = GoogleError.errorWithToken("application-default")(read("vertex-expired.json"))
    assert.match(own?.description ?? "", /^The access token has expired: .*`gcloud auth application-default login`/)
  })

  it("tells a token that is not valid from one that is known to have expired", () => {
    const wrong = GoogleError.errorWithToken("given")(read("vertex-wrong-token.json"))
    assert.match(wrong?.description ?? "", /^The access token is not valid or has expired: .*print-access-token/)
    const bare = JSON.stringify({
      error: { code: 401, message: "Request had invalid authentication credentials.", status: "UNAUTHENTICATED" }
    })
    assert.match(GoogleError.errorWithToken("given")(bare)?.description ?? "", /^The access token is not valid or has/)
  })

  it("leaves all other errors as they are", () => {
    const errorOf = GoogleError.errorWithToken("given")
    assert.match(errorOf(read("vertex-quota.json"))?.description ?? "", /^Resource exhausted\./)
    const disabled = JSON.stringify({
      error: { code: 401, message: "The service account is disabled.", status: "UNAUTHENTICATED" }
    })
    assert.strictEqual(errorOf(disabled)?.description, "The service account is disabled.")
    // The words alone make no expired token.
    const quoted = JSON.stringify({
      error: { code: 400, message: "ACCESS_TOKEN_EXPIRED is no field", status: "INVALID_ARGUMENT" }
    })
    assert.strictEqual(errorOf(quoted)?.description, "ACCESS_TOKEN_EXPIRED is no field")
    for (const body of ["", "busy", "<html>", "{}", "[]"]) assert.isUndefined(errorOf(body))
    assert.strictEqual(
      GoogleError.errorOf(read("gemini-wrong-key.json"))?.description,
      "API key not valid. Please pass a valid API key."
    )
  })
})
