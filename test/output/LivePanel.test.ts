import { assert, describe, it } from "@effect/vitest"
import * as CliOutput from "effect/cli/CliOutput"
import * as fc from "fast-check"
import * as LivePanel from "../../src/output/LivePanel.ts"
import { frame, snapshot } from "./liveFrames.ts"

const render = (shown: LivePanel.Frame, look: Partial<LivePanel.Look> = {}) =>
  LivePanel.render(shown, { columns: 120, rows: 30, color: false, unicode: true, ...look })

const openLoop = frame({
  places: null,
  senders: { count: 3, name: "workers" },
  verdict: "DEGRADED",
  rate: { asked: 8.123, sent: 7.94 },
  snapshot: snapshot({ failed: 3, late: 12, queued: 4, dropped: 2 })
})

describe("LivePanel.render", () => {
  it("a closed loop on a wide terminal", () => {
    assert.deepStrictEqual(render(frame()), [
      "",
      "  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━───────────────────────────────  51 %    1:04 elapsed    1:01 left",
      "  requests      510 of 1000     16 of 16 in flight    0 failed    7.94 req/s",
      "  tokens/s      812      peak 1300     ▃▄▄▅▅▆▇▇██▃▄▄▅▅▆▇▇██▃▄▄▅▅▆▇▇██▃▄▄▅▅▆▇▇██▃▄▄▅▅▆▇▇██▃▄▄▅▅▆▇▇██",
      "  TTFT          p50  102 ms    p99  235 ms    79 in the last 10 s",
      "  chunk gap     p50 15.2 ms    p99  1.23 s    12.3k in the last 10 s",
      "  dispatch lag  p50 0.31 ms    p99 4.20 ms    79 in the last 10 s"
    ])
  })

  it("80 columns: two seconds share a character", () => {
    assert.deepStrictEqual(render(frame(), { columns: 80 }), [
      "",
      "  ━━━━━━━━━━━━━━━━━━━━━─────────────────────  51 %    1:04 elapsed    1:01 left",
      "  requests      510 of 1000     16 of 16 in flight    0 failed    7.94 req/s",
      "  tokens/s      812      peak 1300     ▃▅▆▇█▃▅▆▇█▃▅▆▇█▃▅▆▇█▃▅▆▇█▃▅▆▇█",
      "  TTFT          p50  102 ms    p99  235 ms    79 in the last 10 s",
      "  chunk gap     p50 15.2 ms    p99  1.23 s    12.3k in the last 10 s",
      "  dispatch lag  p50 0.31 ms    p99 4.20 ms    79 in the last 10 s"
    ])
  })

  it("40 columns: smaller labels, and only what matters", () => {
    assert.deepStrictEqual(render(frame(), { columns: 40 }), [
      "",
      " ━━━━━━━╸───────  51 %  1:04  1:01 left",
      " requests  510/1000  0 failed",
      " in flight 16 of 16  7.94 req/s",
      " tok/s     812    ▃▅▇▆▄▆█▄▅▇▅▅▇▆▄▆█▄▅▇█",
      " TTFT      p50  102 ms  p99  235 ms",
      " gap       p50 15.2 ms  p99  1.23 s",
      " lag       p50 0.31 ms  p99 4.20 ms"
    ])
  })

  it("shows how much of the prompts was cached, where that is more than 1 %", () => {
    const lines = (cachedTokens: number, columns = 100) =>
      render({ ...frame(), snapshot: snapshot({ cacheableTokens: 10_000, cachedTokens }) }, { columns })
    assert.notInclude(lines(100).join("\n"), "cached")
    assert.include(
      lines(9_830),
      "  TTFT          p50  102 ms    p99  235 ms    79 in the last 10 s    98 % of input cached"
    )
    assert.include(lines(9_830, 80), "  TTFT          p50  102 ms    p99  235 ms    98 % of input cached")
  })

  it("an open loop, with what went wrong", () => {
    assert.deepStrictEqual(render(openLoop, { columns: 100 }), [
      "",
      "  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╸──────────────────────────────  51 %    1:04 elapsed    1:01 left",
      "  requests      515 of 1000      16 in flight    3 failed    3 workers",
      "  tokens/s      812      peak 1300     ▃▄▄▅▅▆▇▇██▃▄▄▅▅▆▇▇██▃▄▄▅▅▆▇▇██▃▄▄▅▅▆▇▇██▃▄▄▅▅▆▇▇██▃▄▄▅▅▆▇▇██",
      "  TTFT          p50  102 ms    p99  235 ms    79 in the last 10 s",
      "  chunk gap     p50 15.2 ms    p99  1.23 s    12.3k in the last 10 s",
      "  dispatch lag  p50 0.31 ms    p99 4.20 ms    79 in the last 10 s",
      "  rate          7.94 of 8.12 req/s sent    2 dropped    12 late    4 queued",
      "  verdict       degraded so far"
    ])
  })

  it("an open loop at 40 columns, in ASCII", () => {
    assert.deepStrictEqual(render(openLoop, { columns: 40, unicode: false }), [
      "",
      " #######--------  51 %  1:04  1:01 left",
      " requests  515/1000  3 failed",
      " in flight 16  3 workers",
      " tok/s     812    -+#*=*@=+#++#*=*@=+#@",
      " TTFT      p50  102 ms  p99  235 ms",
      " gap       p50 15.2 ms  p99  1.23 s",
      " lag       p50 0.31 ms  p99 4.20 ms",
      " rate      7.94/8.12 req/s  2 dropped",
      " verdict   degraded so far"
    ])
  })

  it("few rows keep the most important", () => {
    const all = render(openLoop)
    const labels = (rows: number) =>
      render(openLoop, { rows })
        .slice(2)
        .map((line) => line.slice(2, 12).trim())
    assert.deepStrictEqual(labels(7), ["requests", "tokens/s", "TTFT", "verdict"])
    assert.deepStrictEqual(labels(4), ["requests"])
    assert.deepStrictEqual(render(openLoop, { rows: 3 }), all.slice(0, 2))
    assert.deepStrictEqual(render(openLoop, { rows: 10 }).length, 9)
    assert.deepStrictEqual(render(openLoop, { rows: 11 }), all)
  })

  it("before the start, and before there is anything to say", () => {
    assert.deepStrictEqual(render(frame({ snapshot: snapshot({ isRunning: false }) })), ["", "  getting ready"])
    const atFirst = snapshot({ elapsedSeconds: 0.2, completed: 0, recentTtft: null, recentGap: null, recentLag: null })
    assert.deepStrictEqual(
      render(
        frame({
          snapshot: atFirst,
          tokensPerSecond: 0,
          tokensEachSecond: [],
          endedPerSecond: 0,
          secondsLeft: null,
          places: null,
          total: null
        })
      ),
      [
        "",
        "  0:00 elapsed",
        "  requests      0 done     16 in flight    0 failed    0.00 req/s",
        "  tokens/s      0",
        "  TTFT          –",
        "  chunk gap     –",
        "  dispatch lag  –"
      ]
    )
  })

  it("requests that are not counted yet hold no place", () => {
    assert.include(render(frame({ snapshot: snapshot({ inFlight: 19 }) })).join(), "16 of 16 in flight")
  })

  it("says who was lost, and why where there is room for it", () => {
    const lost = [{ name: "worker 2 of 3", problem: "power cut" }]
    const shown = (columns: number) =>
      render(frame({ senders: { count: 3, name: "workers" }, snapshot: snapshot({ lost }) }), { columns }).join("\n")
    assert.include(shown(100), "2 of 3 workers")
    assert.match(shown(100), /lost +worker 2 of 3 +power cut/)
    assert.include(shown(30), "worker 2 of 3")
    assert.notInclude(shown(30), "power cut")
  })

  it("names the time it describes when the clock has made a leap", () => {
    assert.include(render(frame({ snapshot: snapshot({ recentSeconds: 42 }) })).join(), "79 in the last 42 s")
  })

  it("colours say what is wrong, and a width counts without them", () => {
    const colored = render(openLoop, { color: true })
    const text = colored.join("\n")
    assert.include(text, "\u001B[31m3 failed\u001B[39m")
    assert.include(text, "\u001B[31m2 dropped\u001B[39m")
    assert.include(text, "\u001B[33m12 late\u001B[39m")
    assert.include(text, "\u001B[33mdegraded so far\u001B[39m")
    assert.include(render(frame({ verdict: "VALID" }), { color: true }).join(), "\u001B[32mvalid so far")
    assert.include(render(frame({ verdict: "INVALID" }), { color: true }).join(), "\u001B[31minvalid so far")
    // eslint-disable-next-line no-control-regex
    assert.deepStrictEqual(text.replaceAll(/\u001B\[\d+m/g, ""), render(openLoop).join("\n"))
    assert.notInclude(render(openLoop).join(), "\u001B")
  })

  it("the bar is full exactly when all is done", () => {
    const bar = (completed: number) => render(frame({ snapshot: snapshot({ completed }) }), { unicode: false })[1] ?? ""
    assert.match(bar(999), /^ {2}#+- {2}99 %/)
    assert.match(bar(1000), /^ {2}#+ 100 %/)
    assert.match(bar(0), /^ {2}-+ {3}0 %/)
  })

  it("never reaches the last column, and never the last row, whatever is shown", () => {
    const count = fc.oneof(fc.nat({ max: 50 }), fc.nat({ max: 2_000_000_000 }))
    const seconds = fc.double({ min: 0, max: 1e6, noNaN: true })
    const recent = fc.option(fc.record({ count, p50: seconds, p99: seconds }))
    const shown: fc.Arbitrary<LivePanel.Frame> = fc.record({
      snapshot: fc.record({
        isRunning: fc.boolean(),
        elapsedSeconds: seconds,
        started: count,
        inFlight: count,
        completed: count,
        failed: count,
        cancelled: count,
        late: count,
        queued: count,
        dropped: count,
        chunks: count,
        completedTokens: count,
        completedChunks: count,
        cacheableTokens: count,
        cachedTokens: count,
        lost: fc.array(fc.record({ name: fc.constant("agent1:7070"), problem: fc.constant("power cut ".repeat(20)) })),
        recentSeconds: seconds,
        recentTtft: recent,
        recentGap: recent,
        recentDelay: recent,
        recentLag: recent
      }),
      total: fc.option(count),
      tokensPerSecond: seconds,
      tokensEachSecond: fc.array(seconds, { maxLength: 60 }),
      endedPerSecond: seconds,
      rate: fc.option(fc.record({ asked: seconds, sent: seconds })),
      secondsLeft: fc.option(seconds),
      places: fc.option(count),
      senders: fc.record({
        count: fc.integer({ min: 1, max: 1000 }),
        name: fc.constantFrom("workers", "agents")
      }),
      verdict: fc.constantFrom("VALID" as const, "DEGRADED" as const, "INVALID" as const, null)
    })
    fc.assert(
      fc.property(
        shown,
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 40 }),
        fc.boolean(),
        fc.boolean(),
        (some, columns, rows, color, unicode) => {
          const lines = LivePanel.render(some, { columns, rows, color, unicode })
          assert.strictEqual(lines[0], "")
          assert.isAtMost(lines.length, Math.max(2, rows - 1))
          for (const line of lines) {
            assert.isBelow(CliOutput.displayWidth(line), columns)
            assert.notMatch(line, /[\r\n]/)
            if (!unicode) assert.match(line, /^[\u0000-\u007F]*$/)
          }
        }
      ),
      { numRuns: 300 }
    )
  })
})

/**
 * A terminal of so many rows that knows what the panel uses. Its lines are those of the screen and all that have been scrolled
 * out of it.
 */
const makeTerminal = (rows = 24) => {
  const lines: Array<string> = []
  let top = 0
  let row = 0
  let column = 0
  let saved: readonly [row: number, column: number] = [0, 0]
  const goTo = (next: number): void => {
    row = Math.min(top + rows - 1, Math.max(top, next))
  }
  const write = (text: string): void => {
    // eslint-disable-next-line no-control-regex
    for (const [piece] of text.matchAll(/\u001B[78]|\u001B\[\??\d*[A-Za-z]|\r|\n|[^\u001B\r\n]+/g)) {
      const line = (lines[row] ?? "").padEnd(column)
      if (piece === "\r") column = 0
      else if (piece === "\n") top = Math.max(top, ++row - rows + 1)
      else if (piece === "\u001B7") saved = [row - top, column]
      else if (piece === "\u001B8") {
        goTo(top + saved[0])
        column = saved[1]
      } else if (piece === "\u001B[K") lines[row] = line.slice(0, column)
      else if (piece === "\u001B[J") lines.splice(row, lines.length, line.slice(0, column))
      else if (piece === "\u001B[C") column++
      else if (piece.startsWith("\u001B[?7")) continue
      else if (piece === "\u001B[B") goTo(row + 1)
      else if (piece.startsWith("\u001B[")) goTo(row - Number(piece.slice(2, -1)))
      else {
        lines[row] = line.slice(0, column) + piece + line.slice(column + piece.length)
        column += piece.length
      }
    }
  }
  return { write, screen: () => lines.map((line) => line.trimEnd()), cursor: () => [row, column] }
}

describe("LivePanel.draw", () => {
  it("draws over what it drew before, with more lines or fewer, and comes back to the first", () => {
    const { cursor, screen, write } = makeTerminal()
    write("$ llmperf\r\n")
    write(LivePanel.draw(["", "one line", "another line"]))
    assert.deepStrictEqual(screen(), ["$ llmperf", "", "one line", "another line"])
    assert.deepStrictEqual(cursor(), [1, 0])
    write(LivePanel.draw(["", "one"]))
    assert.deepStrictEqual(screen(), ["$ llmperf", "", "one"])
    write(LivePanel.draw(["", "one", "two", "three"]))
    assert.deepStrictEqual(screen(), ["$ llmperf", "", "one", "two", "three"])
    write(`${LivePanel.erase}The end\r\n`)
    assert.deepStrictEqual(screen().slice(0, 2), ["$ llmperf", "The end"])
    assert.strictEqual(screen().slice(2).join(""), "")
  })

  it("what others write has a line of its own, and the panel goes on below it", () => {
    const { screen, write } = makeTerminal()
    write(LivePanel.draw(["", "one", "two"]))
    write("^C")
    write(`${LivePanel.erase}Stopping\r\n`)
    write(LivePanel.draw(["", "one", "two"]))
    assert.deepStrictEqual(screen(), ["Stopping", "", "one", "two"])
    write("(node) Warning\r\n")
    write(LivePanel.draw(["", "one", "two"]))
    assert.deepStrictEqual(screen(), ["Stopping", "(node) Warning", "", "one", "two"])
  })

  it("leaves no old lines where the terminal has fewer rows than was known", () => {
    const { screen, write } = makeTerminal(4)
    for (const number of [1, 2, 3, 4]) write(`before ${number}\r\n`)
    write(LivePanel.draw(["", "one", "two", "three", "four", "five", "six"]))
    write(LivePanel.draw(["", "one", "two"]))
    const all = screen().filter((line) => line !== "")
    assert.deepStrictEqual(all, ["before 1", "before 2", "before 3", "before 4", "one", "two"])
    write(`${LivePanel.erase}The end\r\n`)
    assert.strictEqual(
      screen().findLast((line) => line !== ""),
      "The end"
    )
  })
})
