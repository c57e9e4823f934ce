// Loaded into every measured process ahead of its own code (`node --import`), the same on both sides. It hears the
// diagnostics channels of undici and of llmperf's own transport, two or three times a request and never per token, and writes
// what the process has used to the file named in BENCH_REPORT when the process ends. `ProcessReport.ts` describes that file.
//
// Only requests to BENCH_ORIGIN count. The run begins when the first of them is made and ends when answer number
// BENCH_REQUESTS is over. Every BENCH_SAMPLE_EVERY answers the resident memory is noted.
import * as DiagnosticsChannel from "node:diagnostics_channel"
import { readFileSync, writeFileSync } from "node:fs"
import { isMainThread } from "node:worker_threads"

const { BENCH_REPORT: file, BENCH_ORIGIN: origin, BENCH_REQUESTS: requests, BENCH_SAMPLE_EVERY: every } = process.env

const now = () => {
  const { user, system } = process.cpuUsage()
  return { wallSeconds: performance.now() / 1e3, cpuSeconds: (user + system) / 1e6 }
}

/** The most resident memory since the program began; where /proc is missing, what its starter had counts too. */
const peakResidentBytes = () => {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1_024
  } catch {
    return process.resourceUsage().maxRSS * 1_024
  }
}

const on = (channel, listener) =>
  DiagnosticsChannel.subscribe(channel, ({ request }) => {
    if (String(request.origin) === origin) listener()
  })

const onOwn = (channel, listener) =>
  DiagnosticsChannel.subscribe(channel, (message) => {
    if (message.origin === origin) listener(message)
  })

const measure = (file) => {
  const expected = Number(requests)
  const sampleEvery = Number(every)
  let begin = null
  let end = null
  let answers = 0
  let failures = 0
  const samples = []

  const onRequest = () => {
    begin ??= now()
  }
  const onAnswer = () => {
    answers++
    if (answers % sampleEvery === 0) samples.push({ answers, residentBytes: process.memoryUsage.rss() })
    if (answers === expected) end = now()
  }
  const onFailure = () => {
    failures++
  }
  on("undici:request:create", onRequest)
  on("undici:request:trailers", onAnswer)
  on("undici:request:error", onFailure)
  onOwn("llmperf:request:start", onRequest)
  onOwn("llmperf:request:end", ({ isComplete }) => (isComplete ? onAnswer() : onFailure()))
  process.once("exit", () => {
    const peak = peakResidentBytes()
    writeFileSync(
      file,
      JSON.stringify({ begin, end, exit: now(), answers, failures, peakResidentBytes: peak, samples })
    )
  })
}

// The options of a process are handed down to its threads.
if (isMainThread && file !== undefined) measure(file)
