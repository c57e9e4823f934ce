import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Fault from "../Fault.ts"
import * as Latency from "../Latency.ts"

/** What a model name asks for: `sim;ttft=100;itl=20;n=64;per=4;fault=reset:10;crlf`. */
export interface Behaviour {
  readonly ttft?: Latency.Latency
  readonly itl?: Latency.Latency
  readonly outputTokens?: number
  readonly tokensPerChunk?: number
  readonly faults: ReadonlyArray<Fault.Fault>
}

const decodeLatency = Schema.decodeUnknownResult(Latency.LatencyFromMillisString)
const decodeFault = Schema.decodeUnknownResult(Fault.FaultFromString)

const known = "ttft=MS, itl=MS, n=TOKENS, per=TOKENS, fault=FAULT, reason=TOKENS, or a fault without a number"

const read = (model: string): Behaviour | string => {
  const faults: Array<Fault.Fault> = []
  const found: { ttft?: Latency.Latency; itl?: Latency.Latency; outputTokens?: number; tokensPerChunk?: number } = {}
  for (const part of model.split(";").slice(1)) {
    const equals = part.indexOf("=")
    const key = equals < 0 ? part : part.slice(0, equals)
    const value = equals < 0 ? "" : part.slice(equals + 1)
    if (key === "ttft" || key === "itl") {
      const latency = decodeLatency(value)
      if (Result.isFailure(latency)) return `${key}: ${latency.failure.message}`
      found[key] = latency.success
    } else if (key === "n" || key === "per") {
      if (!/^[1-9]\d{0,8}$/.test(value)) return `${key}: "${value}" is not a whole number from 1`
      found[key === "n" ? "outputTokens" : "tokensPerChunk"] = Number(value)
    } else {
      const text = key === "fault" ? value : key === "reason" ? `reasoning:${value}` : part
      if (key !== "fault" && key !== "reason" && equals >= 0) return `Unknown setting "${key}". Known: ${known}`
      const fault = decodeFault(text)
      if (Result.isFailure(fault)) return fault.failure.message
      faults.push(fault.success)
    }
  }
  return { ...found, faults }
}

/** Names differ from test to test, hardly from request to request. */
const rememberedLimit = 1000

/** A parser that remembers names it has seen. It gives the behaviour, or what is wrong with the name. */
export const makeParser = (): ((model: string) => Behaviour | string) => {
  const remembered = new Map<string, Behaviour | string>()
  return (model) => {
    let behaviour = remembered.get(model)
    if (behaviour === undefined) {
      behaviour = read(model)
      if (remembered.size >= rememberedLimit) remembered.clear()
      remembered.set(model, behaviour)
    }
    return behaviour
  }
}
