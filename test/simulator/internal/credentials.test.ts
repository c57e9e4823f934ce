import { assert, describe, it } from "@effect/vitest"
import { standing } from "../../../src/simulator/internal/credentials.ts"

const none = new URLSearchParams()

describe("credentials", () => {
  it("takes any key, and none", () => {
    assert.strictEqual(standing({}, none), "good")
    assert.strictEqual(standing({ authorization: "Bearer sk-1", "x-api-key": "" }, none), "good")
    assert.strictEqual(standing({ authorization: "Bearer wrongly", "x-api-key": "not wrong" }, none), "good")
    assert.strictEqual(standing({ authorization: "AWS4-HMAC-SHA256 Credential=wrong" }, none), "good")
  })

  it.each(["wrong", "expired"] as const)("knows the key %s wherever it is", (key) => {
    assert.strictEqual(standing({ authorization: `Bearer ${key}` }, none), key)
    assert.strictEqual(standing({ authorization: `bearer  ${key}` }, none), key)
    for (const name of ["x-api-key", "api-key", "x-goog-api-key"]) {
      assert.strictEqual(standing({ authorization: "Bearer good", [name]: key }, none), key)
    }
    assert.strictEqual(standing({}, new URLSearchParams({ key })), key)
  })
})
