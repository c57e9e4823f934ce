import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { chartNames } from "../../src/output/ChartName.ts"
import * as Report from "../../src/output/Report.ts"
import * as ReportData from "../../src/output/ReportData.ts"
import { failure, record } from "../metrics/records.ts"
import { inked, pixelsOf } from "./pngPixels.ts"
import { folder, html, read, requests, summary, writeRun } from "./reportRuns.ts"

const SCRIPTS = /(<script[^>]*>|<style>)[\s\S]*?(<\/script>|<\/style>)/g

const withoutScripts = (page: string): string => page.replaceAll(SCRIPTS, "$1$2")

/** The tags of a page without the values of their attributes. A text that is not escaped would add to them. */
const tagsOf = (page: string): ReadonlyArray<string> =>
  [...withoutScripts(page).matchAll(/<[/a-z!][^>]*>/gi)].map(([tag]) => tag.replaceAll(/"[^"]*"/g, '""'))

const dataOf = (page: string): unknown =>
  JSON.parse(/<script type="application\/json" id="data">([\s\S]*?)<\/script>/.exec(page)?.[1] ?? "null")

/** A run in which every text that a server or a user decides is this one. */
const runOf = (parent: string, name: string, text: string): string =>
  writeRun(
    parent,
    name,
    [record(), failure(text, text, text)],
    summary({
      model: text,
      [text]: text,
      verdict: text,
      verdict_reasons: [{ what: text, verdict: text, advice: text }],
      results_errors: [{ reason: text, code: text, count: 1, example: text }]
    })
  )

const pieces = [
  "<",
  ">",
  "&",
  '"',
  "'",
  "</script>",
  "<script>",
  "<!--",
  "-->",
  "</style>",
  "\\",
  "\u2028",
  " ",
  "onload=",
  "a"
]

describe("Report", () => {
  it.effect(
    "escapes whatever stands in the files: no text makes a tag or an attribute, and the data stays what it was",
    () =>
      Effect.gen(function* () {
        const parent = yield* folder
        const plain = tagsOf(yield* html(yield* read(runOf(parent, "plain", "text"))))
        assert.isAbove(plain.length, 100)
        let count = 0
        const check = (text: string) =>
          Effect.gen(function* () {
            const data = yield* read(runOf(parent, `run${count++}`, text))
            const page = yield* html(data)
            assert.deepStrictEqual(tagsOf(page), plain)
            assert.deepStrictEqual(
              dataOf(page),
              JSON.parse(JSON.stringify({ runs: data.runs.map(({ charts }) => charts) }))
            )
          })
        const texts = fc
          .array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 12 })
          .map((all) => `t${all.join("")}`)
        yield* Effect.promise(() =>
          fc.assert(
            fc.asyncProperty(texts, (text) => Effect.runPromise(check(text))),
            { numRuns: 15 }
          )
        )
      }).pipe(Effect.scoped)
  )

  it.effect("asks nobody for anything, and lets no script run but its own", () =>
    Effect.gen(function* () {
      const page = yield* html(yield* read(writeRun(yield* folder, "a", requests(100))))
      assert.notMatch(withoutScripts(page), /\s(src|srcset|action)=|href="(?!#)|url\(|@import/i)
      assert.match(page, /default-src 'none'; script-src 'sha256-[A-Za-z0-9+/]{43}='; style-src 'unsafe-inline'/)
      assert.lengthOf([...page.matchAll(/<script/g)], 2)
    }).pipe(Effect.scoped)
  )

  it.effect("stays below 2 MB, and shows a sample of more requests than 10,000", () =>
    Effect.gen(function* () {
      const parent = yield* folder
      const some = yield* html(yield* read(writeRun(parent, "some", requests(10_000))))
      assert.isBelow(Buffer.byteLength(some), 2_000_000)
      assert.include(some, "Each point is a request that succeeded.")
      const rows = requests(15_000)
      const many = yield* read(writeRun(parent, "many", rows))
      const page = yield* html(many)
      assert.isBelow(Buffer.byteLength(page), 2_000_000)
      assert.include(page, "A sample of 10,000 of 14,400 requests, spread over the whole run.")
      const isFast = (first: number | null): boolean => first !== null && first < 0.225
      const fast = rows.filter(({ ttft_s }) => isFast(ttft_s)).length / 14_400
      const shown = (many.runs[0]?.charts.points.first ?? []).filter(isFast).length / ReportData.MOST_POINTS
      assert.isBelow(Math.abs(shown - fast), 0.02)
    }).pipe(Effect.scoped)
  )

  it.effect("says what the verdict is and why, what the client adds, and what was configured", () =>
    Effect.gen(function* () {
      const parent = yield* folder
      const page = withoutScripts(yield* html(yield* read(writeRun(parent, "a", requests(100)))))
      assert.include(page, "</span> DEGRADED</span>")
      assert.include(page, "event-loop delay: 34 ms (limit 12 ms), at 2 – 4 s")
      assert.include(page, "Use more workers.")
      assert.include(page, "Shaded: the client had a part in it.")
      assert.include(page, "the client adds 400 µs (p50), 2 ms (p99) to TTFT")
      assert.include(page, '<th scope="row">run_id</th><td>night</td>')
      assert.include(page, '<th scope="row">results_ttft_s_quantiles_p50</th><td>0.2</td>')
      assert.include(page, "2025-11-24 16:00 UTC")

      const failing = { verdict: "VALID", verdict_reasons: [], results_num_requests_started: 100 }
      const failed = summary({ ...failing, results_num_failed_requests: 70, results_num_completed_requests: 30 })
      const judged = yield* html(yield* read(writeRun(parent, "e", requests(100), failed)))
      assert.match(judged, /class="badge DEGRADED">.*client: VALID · 70\.0 % of the requests failed</)
      assert.notInclude(judged, 'class="badge VALID"')
      const dropped = {
        check: "dropped_requests",
        verdict: "INVALID",
        what: "x",
        value: 0.5,
        unit: "share",
        limit: 0.1
      }
      const full = { verdict: "INVALID", verdict_reasons: [dropped], results_num_dropped_requests: 120 }
      const late = yield* html(yield* read(writeRun(parent, "f", requests(100), summary(full))))
      assert.include(
        late,
        "The server did not keep up with the schedule (--max-in-flight reached; 120 requests dropped)."
      )
      assert.notInclude(late, "not the server, was")
      const empty = { verdict: null, results_num_completed_requests: 20, results_num_requests_without_content: 20 }
      const nothing = yield* html(yield* read(writeRun(parent, "g", requests(100), summary(empty))))
      assert.include(nothing, "None of the 20 answers had content, so there is no TTFT to judge.")

      const factsOf = (text: string) => [...text.matchAll(/<li>([^<]*)<\/li>/g)].map(([, fact]) => fact).slice(0, 8)
      const asked = {
        mean_input_tokens: 550,
        stddev_input_tokens: 150,
        mean_output_tokens: 60,
        stddev_output_tokens: 0
      }
      const open = { request_rate: "8 requests/s", arrival: "poisson", network_server: "https://llm.example:8443" }
      const head = yield* html(yield* read(writeRun(parent, "c", requests(100), summary({ ...asked, ...open }))))
      assert.deepStrictEqual(factsOf(head).slice(1, 4), [
        "https://llm.example:8443",
        "open loop, 8 requests/s, poisson arrivals",
        "550 ± 150 tokens in, 60 out"
      ])
      const part = { llm_api: "simulated", analysis_from_s: 2, analysis_to_s: 4, analysis_skip_first: 0 }
      const cut = yield* html(yield* read(writeRun(parent, "d", requests(100), summary(part))))
      assert.deepStrictEqual(factsOf(cut).slice(1, 4), [
        "a simulated server",
        "open loop",
        "a part of the run: from 2 s to 4 s"
      ])

      const bare = withoutScripts(yield* html(yield* read(writeRun(parent, "b", requests(100), { model: "m" }))))
      assert.include(bare, "NO VERDICT")
      assert.include(bare, "it was not calibrated")
      assert.notInclude(bare, "Shaded")
    }).pipe(Effect.scoped)
  )

  it.effect(
    "draws each chart as an image that stands alone, and says which charts there are when one has no data",
    () =>
      Effect.gen(function* () {
        const parent = yield* folder
        const data = yield* read(writeRun(parent, "a", requests(300)))
        for (const chart of chartNames) {
          const image = yield* Report.svg(data, { chart, theme: "dark", width: 800 })
          assert.match(image, /^<svg width="800" height="\d+" xmlns="http:\/\/www\.w3\.org\/2000\/svg"/)
          assert.match(image, /<\/svg>\s*$/)
          assert.isAbove([...image.matchAll(/<path/g)].length, 5, chart)
          assert.notMatch(image, /NaN|undefined|Infinity/)
        }
        const closed = yield* read(writeRun(parent, "b", [record()], { model: "m", num_concurrent_requests: 1 }))
        const error = yield* Effect.flip(Report.svg(closed, { chart: "schedule", theme: "light", width: 800 }))
        assert.match(error.message, /no chart schedule: these results have no data for it; there are ttft-histogram, /)
        assert.notInclude(error.message, "errors")
      }).pipe(Effect.scoped)
  )

  it.effect("draws each chart as PNG too, with its title, in the colours of the theme", () =>
    Effect.gen(function* () {
      const data = yield* read(writeRun(yield* folder, "a", requests(300)))
      for (const chart of chartNames) {
        const svg = yield* Report.svg(data, { chart, theme: "light", width: 800 })
        const image = pixelsOf(yield* Report.png(data, { chart, theme: "light", width: 800, scale: 1 }))
        const height = /^<svg width="800" height="(\d+)"/.exec(svg)?.[1]
        assert.deepStrictEqual([image.width, String(image.height)], [800, height])
        const title = inked({ ...image, height: 30 })
        // Letters 15 pixels high, 12 from the left and a padding of 5
        assert.closeTo(title.left, 18, 2, chart)
        assert.isAbove(title.right, 60, chart)
        assert.isAbove(title.count, 200, chart)
      }
      const dark = pixelsOf(yield* Report.png(data, { chart: "rate", theme: "dark", width: 800, scale: 1 }))
      assert.strictEqual(dark.at(0, 0), "#161b22")
      const large = yield* Effect.flip(Report.png(data, { chart: "rate", theme: "dark", width: 1e9, scale: 1 }))
      assert.strictEqual(large._tag, "ImageSizeError")
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.effect("escapes texts in an image", () =>
    Effect.gen(function* () {
      // Names are drawn in a legend, which there is for two of them
      const rows = [record(), failure("<b>&", "<script>", "x"), failure(503, "HttpStatus", "x")]
      const data = yield* read(writeRun(yield* folder, "a", rows))
      const image = yield* Report.svg(data, { chart: "errors", theme: "light", width: 800 })
      assert.include(image, "&lt;script&gt; &lt;b&gt;&amp;")
      assert.notInclude(image, "<script")
    }).pipe(Effect.scoped)
  )
})
