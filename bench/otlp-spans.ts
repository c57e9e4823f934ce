/**
 * `node bench/otlp-spans.ts [requests per second] [seconds]`: what a span costs the thread that sends requests, and what the
 * thread of the spans takes of the machine. The collector is another process, which reads and answers.
 *
 * `add` is timed call by call by the wall clock, less what reading the clock takes, while requests end at the given rate; then by the CPU
 * of its thread in a loop, with handing them over in it. On a busy machine the second is the one to believe.
 */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"
import { type RequestRecord } from "../src/domain/RequestRecord.ts"
import * as Ndjson from "../src/output/Ndjson.ts"
import * as OtlpCollector from "../src/output/OtlpCollector.ts"
import * as OtlpSpans from "../src/output/OtlpSpans.ts"

const rate = Number(process.argv[2] ?? 500)
const seconds = Number(process.argv[3] ?? 20)

const collectorScript = `
  import { createServer } from "node:http"
  const server = createServer((request, response) => {
    request.resume().on("end", () => response.setHeader("content-type", "application/json").end("{}"))
  })
  server.listen(0, "127.0.0.1", () => print(server.address().port))
`

/** A row like that of a request of 150 tokens. */
const recordOf = (id: number): RequestRecord => ({
  error_code: null,
  error_msg: "",
  inter_token_latency_s: 0.0200125 + id / 1e9,
  sum_inter_token_latency_s: 2.98186,
  mean_inter_token_latency_s: 0.0200125,
  ttft_s: 0.101437 + id / 1e9,
  end_to_end_latency_s: 3.0833,
  start_time: 1_795_532_221.2100708 + id / 1e3,
  end_time: 1_795_532_224.2933708 + id / 1e3,
  request_output_throughput_token_per_s: 48.6,
  number_total_tokens: 700,
  number_output_tokens: 150,
  number_input_tokens: 550,
  request_id: id,
  x_request_id: `20261124T145657Z-hkfpt2-${id}`,
  error_reason: null,
  status: 200,
  finish_reason: "length",
  target_input_tokens: 550,
  target_output_tokens: 150,
  intended_offset_s: id / 1e3,
  sent_offset_s: id / 1e3 + 0.001,
  end_offset_s: id / 1e3 + 3.0843,
  dispatch_lag_s: 0.001,
  scheduled_ttft_s: 0.102437,
  scheduled_end_to_end_latency_s: 3.0843,
  time_to_first_answer_s: 0.101437,
  dns_s: null,
  connect_s: null,
  tls_s: null,
  number_chunks: 150,
  tokens_per_chunk: 1,
  max_inter_chunk_latency_s: 0.0231,
  token_source: "server",
  tokenizer_output_tokens: 150,
  first_chunk_tokens: null,
  hidden_reasoning_tokens: null,
  usage_input_tokens: 561,
  usage_output_tokens: 150,
  usage_cached_input_tokens: null,
  usage_reasoning_tokens: null,
  retry_after_s: null,
  rate_limit: null,
  sampled: true
})

const quantile = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN

const now = (): number => Number(process.hrtime.bigint())

const print = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

const tell = (what: string, nanos: ReadonlyArray<number>): void => {
  const sorted = nanos.toSorted((a, b) => a - b)
  const mean = nanos.reduce((sum, value) => sum + value, 0) / nanos.length
  const micros = [mean, quantile(sorted, 0.5), quantile(sorted, 0.99), sorted.at(-1) ?? Number.NaN].map((value) =>
    (value / 1e3).toFixed(2)
  )
  print(`${what}: µs per request: mean ${micros[0]}, p50 ${micros[1]}, p99 ${micros[2]}, most ${micros[3]}`)
}

/** What reading the clock twice takes. */
const clockNanos = (): number => {
  const taken = Array.from({ length: 10_000 }, () => {
    const from = now()
    return now() - from
  })
  return quantile(
    taken.toSorted((a, b) => a - b),
    0.5
  )
}

const program = Effect.scoped(
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, ["--input-type=module", "--eval", collectorScript])),
      (process) => Effect.sync(() => process.kill())
    )
    const port = yield* Effect.callback<string>((resume) => {
      createInterface(child.stdout).once("line", (line) => resume(Effect.succeed(line)))
    })
    const collector = yield* OtlpCollector.fromConfig(`http://127.0.0.1:${port}`, "traces")
    const cpuBefore = process.cpuUsage()
    const threadBefore = process.threadCpuUsage()
    const spans = yield* OtlpSpans.make({
      collector,
      runId: "20261124T145657Z-hkfpt2",
      agent: null,
      version: "0",
      llmApi: "openai",
      model: "meta-llama/Llama-3.1-8B-Instruct",
      endpoint: "chat",
      origin: "http://127.0.0.1:8000",
      samplingParams: {},
      capacity: Number.POSITIVE_INFINITY,
      finishSeconds: 60
    })
    const startCpu = process.cpuUsage(cpuBefore)
    const idle = clockNanos()
    const line = Ndjson.line()

    const cpu = process.cpuUsage()
    const thread = process.threadCpuUsage()
    const paced: Array<number> = []
    const lines: Array<number> = []
    const until = performance.now() + seconds * 1_000
    const begun = performance.now()
    while (performance.now() < until) {
      const due = Math.floor(((performance.now() - begun) / 1_000) * rate) - paced.length
      const records = Array.from({ length: Math.max(0, due) }, (_, i) => recordOf(paced.length + i + 1))
      for (const record of records) {
        const from = now()
        spans.add(record)
        const between = now()
        line(record)
        lines.push(now() - between - idle)
        paced.push(between - from - idle)
      }
      yield* Effect.sleep(2)
    }
    const { system, user } = process.cpuUsage(cpu)
    const own = process.threadCpuUsage(thread)
    const count = paced.length
    tell(`${rate} a second for ${seconds} s, by the clock`, paced)
    tell("to compare, its line of records.ndjson", lines)
    const others = user + system - own.user - own.system
    print(
      `CPU of the other threads: ${(others / count).toFixed(1)} µs per request; to start them: ${((startCpu.user + startCpu.system) / 1e3).toFixed(0)} ms, ${((process.threadCpuUsage(threadBefore).user - own.user) / 1e3).toFixed(0)} ms of them here`
    )

    const burst = 100_000
    const records = Array.from({ length: burst }, (_, i) => recordOf(count + i + 1))
    const loop = process.threadCpuUsage()
    for (const record of records) spans.add(record)
    const inLoop = process.threadCpuUsage(loop)
    print(`${burst} in a loop: ${((inLoop.user + inLoop.system) / burst).toFixed(2)} µs of CPU per request`)
    print(JSON.stringify(yield* spans.finish(null)))
  })
)

await Effect.runPromise(program)
