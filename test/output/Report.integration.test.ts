import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Browser, type BrowserContextOptions, type Page } from "playwright-core"
import { chartNames } from "../../src/output/ChartName.ts"
import * as Report from "../../src/output/Report.ts"
import { failure } from "../metrics/records.ts"
import { startBrowser } from "./browser.ts"
import { html, read, requests, summary, writeRun } from "./reportRuns.ts"

const EVIL =
  '</script><script>document.title="broken"</script><img src=http://127.0.0.1:9/x onerror=document.title="broken">'

let browser: Browser
let folder: string
let two: string
let one: Awaited<ReturnType<typeof open>>

const write = async (name: string, paths: ReadonlyArray<string>): Promise<string> => {
  const file = join(folder, name)
  writeFileSync(file, await Effect.runPromise(Effect.flatMap(read(...paths), html)))
  return `file://${file}`
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "llmperf-browser-"))
  const rows = [...requests(400), failure(EVIL, EVIL, EVIL, { request_id: 401, end_offset_s: 15 })]
  const a = writeRun(folder, "a", rows, summary({ model: EVIL, [EVIL]: EVIL }))
  const b = writeRun(folder, "b", requests(300, 2))
  browser = await startBrowser()
  two = await write("two.html", [a, b])
  one = await open(await write("one.html", [a]))
}, 60_000)

afterAll(async () => {
  await browser?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** A page that must not complain, and must not ask anybody for anything. */
const open = async (url: string, options: BrowserContextOptions = {}) => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  const problems: Array<string> = []
  const page = await context.newPage()
  page.on("console", (message) => problems.push(`${message.type()}: ${message.text()}`))
  page.on("pageerror", (error) => problems.push(error.message))
  await context.route("**", (route) => {
    const asked = route.request().url()
    if (asked === url) return route.continue()
    problems.push(`asks for ${asked}`)
    return route.abort()
  })
  await page.goto(url)
  return { page, problems }
}

const visit = async (
  url: string,
  options: BrowserContextOptions,
  look: (page: Page) => Promise<void>
): Promise<void> => {
  const { page, problems } = await open(url, options)
  try {
    await look(page)
    assert.deepStrictEqual(problems, [])
  } finally {
    await page.context().close()
  }
}

/** Looks at the page of one run, which the tests share: to load it takes longest. */
const look = async (at: (page: Page) => Promise<void>): Promise<void> => {
  await at(one.page)
  assert.deepStrictEqual(one.problems, [])
}

const plots = (page: Page) =>
  page.locator("[data-chart]").evaluateAll((hosts) =>
    hosts.map((host) => {
      const canvas = host.querySelector("canvas")
      // Four bytes for each pixel, the last of which says whether there is anything
      const bytes: Uint8ClampedArray =
        canvas === null
          ? new Uint8ClampedArray()
          : canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
      const pixels = bytes.reduce((sum, value, i) => (i % 4 === 3 && value > 0 ? sum + 1 : sum), 0)
      return {
        id: String(host.getAttribute("data-chart")),
        label: String(host.getAttribute("aria-label")),
        width: Number(host.getBoundingClientRect().width),
        drawn: canvas === null ? Number(host.querySelectorAll("svg path").length) : pixels
      }
    })
  )

describe("the report in a browser", () => {
  // Before anything else has the focus
  it("can be used with the keyboard alone", () =>
    look(async (page) => {
      await page.locator("html").evaluate(({ ownerDocument }) => {
        ownerDocument.addEventListener("focusin", () => {
          const { activeElement: at } = ownerDocument
          const name = String(at.getAttribute("data-chart") ?? (at.id === "" ? at.textContent : at.id))
          ownerDocument.body.setAttribute(
            "data-reached",
            `${ownerDocument.body.getAttribute("data-reached") ?? ""}|${name}`
          )
        })
      })
      for (let i = 0; i < 75; i++) await page.keyboard.press("Tab")
      const reached = ((await page.locator("body").getAttribute("data-reached")) ?? "").split("|").slice(1)
      assert.strictEqual(reached[0], "Skip to the results")
      assert.includeMembers(reached, [...chartNames, "theme", "print"])

      await page.locator('[data-chart="rate"]').focus()
      await page.keyboard.press("ArrowRight")
      await page.keyboard.press("ArrowRight")
      const said = await page.locator("#live").textContent()
      assert.match(said ?? "", /^1 s – 2 s\s+sent [\d.]+ per s\s+succeeded [\d.]+ per s$/)
      assert.isTrue(await page.locator('[data-chart="rate"] .tip').isVisible())
    }))

  it("draws every chart with its data, and has each as a table", () =>
    look(async (page) => {
      const drawn = await plots(page)
      assert.deepStrictEqual(drawn.map(({ id }) => id).toSorted(), chartNames.toSorted())
      for (const { drawn: marks, id, label } of drawn) {
        assert.isAbove(marks, 5, id)
        assert.match(label, /: ./, id)
      }
      for (const summary of await page.locator("[data-table] > summary").all()) await summary.click()
      // A table is filled once it has been opened, which the browser tells a little later
      await page.locator("[data-table]:not(:has(tbody tr))").first().waitFor({ state: "detached" })
      const tables = await page.locator("[data-table]").evaluateAll((all) =>
        all.map((details) => ({
          id: details.getAttribute("data-table"),
          rows: details.querySelectorAll("tbody tr").length,
          cells: details.querySelectorAll("thead th").length,
          text: details.querySelector("tbody tr")?.textContent ?? ""
        }))
      )
      assert.lengthOf(tables, chartNames.length)
      for (const { cells, id, rows, text } of tables) {
        assert.isAbove(rows, 4, id ?? "")
        assert.isAbove(cells, 1, id ?? "")
        assert.match(text, /\d/, id ?? "")
      }
      assert.strictEqual(tables.find(({ id }) => id === "slowest")?.rows, 50)
    }))

  it("shows texts of the files as texts, whatever is in them", () =>
    look(async (page) => {
      assert.strictEqual(await page.locator("h1").textContent(), EVIL)
      assert.strictEqual(await page.title(), `${EVIL} – llmperf`)
      assert.strictEqual(await page.locator("img, script:not([type])").count(), 1)
      const plot = page.locator('[data-chart="errors"]')
      await plot.scrollIntoViewIfNeeded()
      await plot.focus()
      await page.keyboard.press("End")
      assert.include((await page.locator("#live").textContent()) ?? "", EVIL.slice(0, 20))
    }))

  it("zooms all charts over time together, by dragging and by keys, and back", () =>
    look(async (page) => {
      const shown = (id: string) =>
        page
          .locator(`[data-chart="${id}"] svg text`)
          .evaluateAll((texts) => texts.map((text) => text.textContent).join(" "))
      const before = [await shown("rate"), await shown("throughput"), await shown("ttft-histogram")]
      const rate = page.locator('[data-chart="rate"]')
      await rate.evaluate((host) => host.scrollIntoView({ block: "center" }))
      const box = await rate.boundingBox()
      assert.isNotNull(box)
      await page.mouse.move(box.x + box.width * 0.4, box.y + 100)
      await page.mouse.down()
      await page.mouse.move(box.x + box.width * 0.5, box.y + 120, { steps: 4 })
      await page.mouse.up()
      const zoomed = [await shown("rate"), await shown("throughput"), await shown("ttft-histogram")]
      assert.notStrictEqual(zoomed[0], before[0])
      assert.notStrictEqual(zoomed[1], before[1])
      assert.strictEqual(zoomed[2], before[2])
      await rate.focus()
      await page.keyboard.press("0")
      assert.deepStrictEqual([await shown("rate"), await shown("throughput")], before.slice(0, 2))
      await page.keyboard.press("+")
      assert.notStrictEqual(await shown("throughput"), before[1])
    }))

  it("follows the theme of the system and of the button, and prints in light colours, as wide as the paper", () =>
    visit(two, { colorScheme: "dark" }, async (page) => {
      const colors = () =>
        page.locator("body").evaluate((body): ReadonlyArray<string> => {
          const line = body.querySelector('[data-chart="ttft-cdf"] svg path[stroke-width="2"]')
          return [body.ownerDocument.defaultView.getComputedStyle(body).backgroundColor, line.getAttribute("stroke")]
        })
      assert.deepStrictEqual(await colors(), ["rgb(14, 18, 23)", "#56b4e9"])
      await page.getByRole("button", { name: "Light theme" }).click()
      assert.deepStrictEqual(await colors(), ["rgb(245, 246, 248)", "#0072b2"])
      await page.getByRole("button", { name: "Dark theme" }).click()
      assert.deepStrictEqual(await colors(), ["rgb(14, 18, 23)", "#56b4e9"])

      const widths = await page.locator("body").evaluate((body) => {
        const { defaultView: window } = body.ownerDocument
        const stroke = () =>
          body.querySelector('[data-chart="ttft-cdf"] svg path[stroke-width="2"]').getAttribute("stroke")
        window.dispatchEvent(new window.Event("beforeprint"))
        const printed = stroke()
        const drawings = [...body.querySelectorAll("[data-chart] svg, [data-chart] canvas")]
        const inner = [...new Set(drawings.map(({ clientWidth }) => clientWidth))]
        window.dispatchEvent(new window.Event("afterprint"))
        return { stroke: printed, inner, after: stroke() }
      })
      assert.deepStrictEqual(widths, { stroke: "#0072b2", inner: [630], after: "#56b4e9" })
      const pdf = await page.pdf({ format: "A4", printBackground: true })
      assert.strictEqual(pdf.subarray(0, 5).toString(), "%PDF-")
    }))

  it("fits a phone, and keeps to its width with two runs", () =>
    visit(two, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }, async (page) => {
      assert.strictEqual(await page.locator("html").evaluate((html) => html.scrollWidth), 390)
      const drawn = await plots(page)
      assert.includeMembers(
        drawn.map(({ id }) => id),
        ["ttft-histogram", "errors-1", "errors-2", "schedule-2", "slowest-2"]
      )
      for (const { drawn: marks, id, width } of drawn) {
        assert.isAbove(marks, 5, id)
        assert.isTrue(width > 250 && width < 390, `${id}: ${width}`)
      }
    }))

  it("saves a chart as an image, which is well-formed, as are those of plot", () =>
    look(async (page) => {
      const download = page.waitForEvent("download")
      await page.getByRole("button", { name: "Save “Requests per second” as an image" }).click()
      const saved = await download
      assert.strictEqual(saved.suggestedFilename(), "rate.svg")
      const images = [readFileSync(await saved.path(), "utf8")]
      const data = await Effect.runPromise(read(join(folder, "a")))
      for (const chart of chartNames) {
        images.push(await Effect.runPromise(Report.svg(data, { chart, theme: "light", width: 800 })))
      }
      const problems = await page.locator("html").evaluate(({ ownerDocument: { defaultView } }, texts) => {
        const parser = new defaultView.DOMParser()
        return texts.flatMap((text): ReadonlyArray<string> => {
          const error = parser.parseFromString(text, "image/svg+xml").querySelector("parsererror")
          return error === null ? [] : [error.textContent]
        })
      }, images)
      assert.deepStrictEqual(problems, [])
    }))
})
