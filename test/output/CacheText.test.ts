import { assert, describe, it } from "@effect/vitest"
import { SharedPrompts } from "../../src/domain/SharedPrompts.ts"
import * as CacheText from "../../src/output/CacheText.ts"

const cached = (cachedTokens: number, tokens = 10_000, requests = 20) => ({
  num_requests: requests,
  total_tokens: tokens,
  total_cached_tokens: cachedTokens,
  share: tokens === 0 ? null : cachedTokens / tokens
})

describe("remark", () => {
  it("has no word for a share up to 1 %, or one that is not known", () => {
    for (const shared of [null, ...SharedPrompts.literals]) {
      assert.isNull(CacheText.remark(cached(100), shared))
      assert.isNull(CacheText.remark(cached(0, 0, 0), shared))
      assert.isNotNull(CacheText.remark(cached(101), shared))
    }
  })

  it("warns when prompts that nobody should have seen come from a cache", () => {
    const remark = CacheText.remark(cached(9_830), null)
    assert.isTrue(remark?.isWarning)
    assert.match(remark?.text ?? "", /^98\.3 % of the input tokens came from the server's cache \(491\.5 per request\)/)
    assert.match(remark?.text ?? "", /same seed/)
  })

  it("notes what is no more than a chat template", () => {
    const remark = CacheText.remark(cached(20 * 24), null)
    assert.isFalse(remark?.isWarning)
    assert.match(remark?.text ?? "", /chat template/)
  })

  it("takes a few cached tokens for a template only when the server still had to read the prompts", () => {
    // 34 tokens in each prompt, 29 of a template before it: the same command twice, and the first time
    const twice = CacheText.remark(cached(374, 380, 6), null, 34)
    assert.isTrue(twice?.isWarning)
    const once = CacheText.remark(cached(6 * 24, 380, 6), null, 34)
    assert.isFalse(once?.isWarning)
    // A long template before a short prompt is most of what the server counts, and no more than that
    assert.isFalse(CacheText.remark(cached(6 * 60, 6 * 75, 6), null, 15)?.isWarning)
  })

  it("says no more than it knows of a run that does not say why prompts begin alike", () => {
    const remark = CacheText.remark(cached(9_830), undefined)
    assert.isTrue(remark?.isWarning)
    assert.match(remark?.text ?? "", /per request\)\. TTFT and throughput are those of a warm cache\.$/)
  })

  it("reads a summary as it stands in the file, with and without prefix", () => {
    const numbers = { num_requests: 20, total_tokens: 10_000, total_cached_tokens: 9_830, share: 0.983 }
    for (const prefix of ["", "results_"]) {
      const fields = Object.fromEntries(
        Object.entries(numbers).map(([key, value]) => [`${prefix}usage_cached_input_tokens_${key}`, value])
      )
      for (const [shared_prompts, words] of [
        ["llmperf", /--prompt-mode llmperf/],
        [null, /same seed/],
        [undefined, /\)\. TTFT/]
      ] as const) {
        assert.match(CacheText.ofSummary({ ...fields, shared_prompts })?.text ?? "", words)
      }
    }
    assert.isNull(CacheText.ofSummary({}))
  })

  it("does not say that a run had the same seed as if it knew", () => {
    assert.match(CacheText.remark(cached(9_830), null)?.text ?? "", /by a run with the same seed, or/)
  })

  it("warns of what makes a cache warm, and notes what was meant to", () => {
    const warnings = SharedPrompts.literals.filter((shared) => CacheText.remark(cached(5_000), shared)?.isWarning)
    assert.deepStrictEqual(warnings, ["same-prompts", "llmperf", "sampling-params"])
    assert.match(CacheText.remark(cached(5_000), "same-prompts")?.text ?? "", /--same-prompts.*warm cache/)
  })
})
