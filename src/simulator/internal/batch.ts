import { type Due, make as makeHeap } from "./dueHeap.ts"

/**
 * The state of the server: who waits, who is in the batch, what is due next. No effects and no clock: the moments come
 * from outside, and everything that follows from a moment is computed from the moment it was due, not from when the
 * computer got round to it, so lateness never adds up.
 */

export interface Limits {
  readonly prefillTokensPerSecond: number
  readonly decodeStepSeconds: number
  readonly decodeStepSecondsPerSequence: number
  readonly maxBatch: number
  readonly kvTokens: number
}

/** Tokens that are ready to be sent. */
export interface Chunk {
  readonly firstToken: number
  readonly tokens: number
  readonly text: string
  readonly dueNanos: number
}

/** Seconds until the first chunk, and from one token to the next. */
export interface OwnSchedule {
  readonly first: () => number
  readonly gap: () => number
}

export interface Job extends Due {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly tokensPerChunk: number
  readonly kvTokens: number
  /** `undefined`: the steps of the batch decide. */
  readonly schedule: OwnSchedule | undefined
  readonly word: () => string
  state: "new" | "queued" | "running" | "ended"
  arrivedNanos: number
  admittedNanos: number
  generated: number
  sent: number
  outbox: Array<Chunk>
  /** Called when the outbox has something or the job ended. */
  wake: (() => void) | undefined
}

/** One pass of the model: whole prompts of new sequences and one more token of each running sequence. */
interface Step extends Due {
  readonly members: ReadonlyArray<Job>
}

export interface Counts {
  queued: number
  inFlight: number
  peakInFlight: number
  batch: number
  peakBatch: number
  kvTokens: number
  completed: number
  cancelled: number
  tokens: number
  maxLateNanos: number
}

export interface Batch {
  readonly counts: Counts
  /** `arrived` is `now` or a little before; the request takes its place as of then if one is free. */
  readonly submit: (job: Job, arrived: number, now: number) => void
  readonly cancel: (job: Job, now: number) => void
  /** The next moment at which something happens. */
  readonly nextDue: () => number | undefined
  /** Lets up to `limit` things happen that are due by `now`; returns the jobs whose outbox grew. */
  readonly advance: (now: number, limit: number) => ReadonlyArray<Job>
}

/** Clocks round to the nanosecond and timers cannot be set closer than this. */
const toleranceNanos = 1000

const isStep = (item: Job | Step): item is Step => "members" in item

export const make = (limits: Limits): Batch => {
  const due = makeHeap<Job | Step>()
  const queue = new Set<Job>()
  const prefilling = new Set<Job>()
  const decoding = new Set<Job>()
  let step: Step | undefined
  const counts: Counts = {
    queued: 0,
    inFlight: 0,
    peakInFlight: 0,
    batch: 0,
    peakBatch: 0,
    kvTokens: 0,
    completed: 0,
    cancelled: 0,
    tokens: 0,
    maxLateNanos: 0
  }

  const leaveBatch = (job: Job): void => {
    counts.batch -= 1
    counts.kvTokens -= job.kvTokens
    prefilling.delete(job)
    decoding.delete(job)
  }

  const complete = (job: Job): void => {
    job.state = "ended"
    counts.inFlight -= 1
    counts.completed += 1
    leaveBatch(job)
  }

  /** First come, first served: a request that does not fit holds up those behind it. */
  const admit = (at: number): void => {
    for (const job of queue) {
      if (counts.batch >= limits.maxBatch || counts.kvTokens + job.kvTokens > limits.kvTokens) return
      queue.delete(job)
      counts.queued -= 1
      counts.batch += 1
      counts.kvTokens += job.kvTokens
      counts.peakBatch = Math.max(counts.peakBatch, counts.batch)
      job.state = "running"
      job.admittedNanos = Math.max(at, job.arrivedNanos)
      if (job.schedule === undefined) {
        prefilling.add(job)
      } else {
        job.dueNanos = job.admittedNanos + job.schedule.first() * 1e9
        due.push(job)
      }
    }
  }

  /** Begins the next step at `at` if none is under way; a request admitted after that is in the step after it. */
  const ensureStep = (at: number): void => {
    if (step !== undefined) return
    const [firstPrompt] = prefilling
    if (firstPrompt === undefined && decoding.size === 0) return
    const start = decoding.size > 0 || firstPrompt === undefined ? at : Math.max(at, firstPrompt.admittedNanos)
    const prompts = [...prefilling].filter((job) => job.admittedNanos <= start)
    const promptTokens = prompts.reduce((sum, job) => sum + job.inputTokens, 0)
    const seconds =
      promptTokens / limits.prefillTokensPerSecond +
      (decoding.size === 0 ? 0 : limits.decodeStepSeconds + limits.decodeStepSecondsPerSequence * decoding.size)
    step = { dueNanos: start + seconds * 1e9, order: 0, members: [...prompts, ...decoding] }
    due.push(step)
  }

  /** Adds tokens to a job and, when a chunk is full or the job is done, the chunk to its outbox. */
  const generate = (job: Job, tokens: number, at: number): boolean => {
    job.generated += tokens
    counts.tokens += tokens
    const pending = job.generated - job.sent
    if (pending < job.tokensPerChunk && job.generated < job.outputTokens) return false
    let text = ""
    for (let i = 0; i < pending; i++) text += job.sent + i === 0 ? job.word() : " " + job.word()
    job.outbox.push({ firstToken: job.sent, tokens: pending, text, dueNanos: at })
    job.sent = job.generated
    return true
  }

  const endStep = (ended: Step, touched: Set<Job>): void => {
    const at = ended.dueNanos
    for (const job of ended.members) {
      if (job.state !== "running") continue
      if (generate(job, 1, at)) touched.add(job)
      if (job.generated >= job.outputTokens) {
        complete(job)
      } else {
        prefilling.delete(job)
        decoding.add(job)
      }
    }
    step = undefined
    admit(at)
    ensureStep(at)
  }

  const nextChunk = (job: Job, schedule: OwnSchedule, touched: Set<Job>): void => {
    const at = job.dueNanos
    generate(job, Math.min(job.tokensPerChunk, job.outputTokens - job.generated), at)
    touched.add(job)
    if (job.generated >= job.outputTokens) {
      complete(job)
      admit(at)
      ensureStep(at)
      return
    }
    const tokens = Math.min(job.tokensPerChunk, job.outputTokens - job.generated)
    for (let i = 0; i < tokens; i++) job.dueNanos += schedule.gap() * 1e9
    due.push(job)
  }

  return {
    counts,
    submit: (job, arrived, now) => {
      job.state = "queued"
      job.arrivedNanos = arrived
      queue.add(job)
      counts.queued += 1
      counts.inFlight += 1
      counts.peakInFlight = Math.max(counts.peakInFlight, counts.inFlight)
      admit(arrived)
      ensureStep(now)
    },
    cancel: (job, now) => {
      if (job.state === "queued") {
        queue.delete(job)
        counts.queued -= 1
      } else if (job.state === "running") {
        leaveBatch(job)
      } else {
        return
      }
      job.state = "ended"
      counts.inFlight -= 1
      counts.cancelled += 1
      admit(now)
      ensureStep(now)
    },
    nextDue: () => due.peek()?.dueNanos,
    advance: (now, limit) => {
      const touched = new Set<Job>()
      for (let i = 0; i < limit; i++) {
        const next = due.peek()
        if (next === undefined || next.dueNanos > now + toleranceNanos) break
        due.pop()
        if (isStep(next)) {
          counts.maxLateNanos = Math.max(counts.maxLateNanos, now - next.dueNanos)
          endStep(next, touched)
        } else if (next.state === "running" && next.schedule !== undefined) {
          counts.maxLateNanos = Math.max(counts.maxLateNanos, now - next.dueNanos)
          nextChunk(next, next.schedule, touched)
        }
      }
      return [...touched]
    }
  }
}
