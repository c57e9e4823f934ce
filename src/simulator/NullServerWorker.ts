/**
 * The script of the process that `NullServer.start` starts: it answers, writes down when it did what, and ends when its
 * standard input does. Not for import.
 *
 * It needs no packages, so that it is there at once.
 *
 * @since 0.2.0
 */
import { writeSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { performance } from "node:perf_hooks"
import { burst, head, piece } from "./internal/nullAnswer.ts"
import { NullLog } from "./internal/nullLog.ts"
import { parse } from "./internal/nullRequest.ts"
import { Wheel } from "./internal/nullWheel.ts"

interface Answer {
  readonly socket: Socket
  readonly request: number
  readonly log: NullLog
  readonly itlNanos: number
  readonly tokens: number
  dueNanos: number
  sent: number
}

const now = (): number => Number(process.hrtime.bigint())

/** A loop that took work up again so soon has not waited for anything. */
const idleNanos = 100_000

const wheel = new Wheel<Answer>(now())
const sockets = new Set<Socket>()
let log = new NullLog()
let ready: Array<Answer> = []
let timer: NodeJS.Timeout | undefined
let isTurning = false

// Since when the loop may not have looked at its sockets: the begin of this turn, and of the one before when they follow
// each other without a pause.
let workingSince = 0
let workedSince = 0
let turnEndedAt = 0

const endTurn = (): void => {
  workedSince = workingSince
  workingSince = 0
  turnEndedAt = now()
}

const beginTurn = (at: number): void => {
  if (workingSince !== 0) return
  workingSince = at
  if (at - turnEndedAt > idleNanos) workedSince = at
  setImmediate(endTurn)
}

const write = (answer: Answer, tokens: number): void => {
  const { log, request, sent, socket } = answer
  const bytes = piece(sent, sent + tokens, answer.tokens)
  answer.sent = sent + tokens
  const before = now()
  socket.write(bytes)
  log.write(request, tokens, before, now())
}

const nothing = Buffer.alloc(0)

const next = (answer: Answer): void => {
  if (answer.sent >= answer.tokens || answer.socket.destroyed) return
  if (answer.itlNanos === 0) {
    ready.push(answer)
    return turnSoon()
  }
  answer.dueNanos += answer.itlNanos
  wheel.add(answer)
  wakeSoon()
}

const send = (answer: Answer): void => {
  if (answer.socket.destroyed) return
  write(answer, answer.itlNanos === 0 ? Math.min(burst, answer.tokens - answer.sent) : 1)
  if (answer.socket.writableLength === 0) next(answer)
  // The kernel did not take all: called once it has.
  else answer.socket.write(nothing, () => next(answer))
}

const wake = (): void => {
  timer = undefined
  const at = now()
  beginTurn(at)
  wheel.advance(at, send)
  if (wheel.size > 0) wakeSoon()
}

const wakeSoon = (): void => {
  timer ??= setTimeout(wake, 1)
}

const turn = (): void => {
  isTurning = false
  beginTurn(now())
  const answers = ready
  ready = []
  for (const answer of answers) send(answer)
}

const turnSoon = (): void => {
  if (isTurning) return
  isTurning = true
  setImmediate(turn)
}

let usage = process.cpuUsage()
let utilization = performance.eventLoopUtilization()

/** Everything since it was last asked for. Answers that are still being sent go on in the log that is given away. */
const takeLog = (): Buffer => {
  const cpu = process.cpuUsage(usage)
  const busyShare = performance.eventLoopUtilization(utilization).utilization
  usage = process.cpuUsage()
  utilization = performance.eventLoopUtilization()
  const taken = log.encode({ cpuSeconds: (cpu.user + cpu.system) / 1e6, busyShare })
  log = new NullLog()
  return taken
}

const reply = (socket: Socket, status: string, body: Buffer): void => {
  socket.write(`HTTP/1.1 ${status}\r\ncontent-type: application/octet-stream\r\ncontent-length: ${body.length}\r\n\r\n`)
  socket.write(body)
}

/** `/pace/<ttft>/<itl>/…`, both in nanoseconds. */
const pace = /^\/pace\/(\d+)\/(\d+)\//

const answer = (socket: Socket, path: string, id: string, tokens: number, at: number): void => {
  const [, ttft, itl] = pace.exec(path) ?? []
  if (ttft === undefined || itl === undefined) {
    return path === "/stamps" ? reply(socket, "200 OK", takeLog()) : reply(socket, "404 Not Found", nothing)
  }
  const request = log.request(id, at, at - Math.min(workingSince, workedSince))
  const answer: Answer = {
    socket,
    request,
    log,
    itlNanos: Number(itl),
    tokens,
    dueNanos: at + Number(ttft),
    sent: 0
  }
  socket.write(head)
  if (ttft === "0") return send(answer)
  wheel.add(answer)
  wakeSoon()
}

const server = createServer({ noDelay: true }, (socket) => {
  let rest: Buffer | undefined
  sockets.add(socket)
  socket.on("close", () => sockets.delete(socket))
  socket.on("error", () => socket.destroy())
  socket.on("data", (bytes) => {
    const at = now()
    beginTurn(at)
    let left = rest === undefined ? bytes : Buffer.concat([rest, bytes])
    for (let request = parse(left); request !== null; request = left.length === 0 ? null : parse(left)) {
      answer(socket, request.path, request.id, request.tokens, at)
      left = left.subarray(request.end)
    }
    rest = left.length === 0 ? undefined : left
  })
})

const end = (): void => {
  clearTimeout(timer)
  ready = []
  server.close()
  for (const socket of sockets) socket.destroy()
}

process.stdin.resume()
process.stdin.once("end", end)
process.stdin.once("error", end)
process.once("SIGTERM", () => {
  process.stdin.destroy()
  end()
})
server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  if (typeof address === "object" && address !== null) writeSync(1, `${address.port}\n`)
})
