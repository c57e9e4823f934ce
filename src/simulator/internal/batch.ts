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
  /** A text that is written in place of words: the text of each token. */
  readonly pieces?: ReadonlyArray<string> | undefined
  /** Its chunks are asked for when it ends, not as they become ready. */
  readonly quiet?: boolean
  /** When each chunk of a quiet request with a schedule of its own is ready. */
  moments?: Float64Array
  state: "new" | "queued" | "running" | "ended"
  arrivedNanos: number
  admittedNanos: number
  generated: number
  sent: number
  outbox: Array<Chunk>
  /** Called when the outbox has something or the job ended; for a quiet one only when it ended. */
  wake: (() => void) | undefined
}

/** One pass of the model: whole prompts of new sequences and one more token of each running sequence. */
interface Step extends Due {
  readonly startNanos: number
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
  /** `arrived` is now or a little before; the request takes its place as of then if one is free. */
  readonly submit: (job: Job, arrived: number) => void
  readonly cancel: (job: Job, now: number) => void
  /** The next moment at which anyone must be told of something, or a moment before it. */
  readonly nextDue: () => number | undefined
  /** Lets up to `limit` things happen that are due by `now`; returns the jobs to wake. */
  readonly advance: (now: number, limit: number) => ReadonlyArray<Job>
  /** Lets happen what was due before `now` and nobody had to be told of; returns the jobs to wake. */
  readonly catchUp: (now: number) => ReadonlyArray<Job>
}

/** Clocks round to the nanosecond and timers cannot be set closer than this. */
const toleranceNanos = 1000

const nextTokens = (job: Job): number => Math.min(job.tokensPerChunk, job.outputTokens - job.generated)

/** `job.dueNanos` is that of the first chunk. Adds up as the chunks would one by one. */
const momentsOf = (job: Job, schedule: OwnSchedule): Float64Array => {
  const moments = new Float64Array(Math.ceil(job.outputTokens / job.tokensPerChunk))
  let at = job.dueNanos
  for (let i = 0; i < moments.length; i++) {
    if (i > 0) {
      const tokens = Math.min(job.tokensPerChunk, job.outputTokens - i * job.tokensPerChunk)
      for (let n = 0; n < tokens; n++) at += schedule.gap() * 1e9
    }
    moments[i] = at
  }
  return moments
}

const isStep = (item: Job | Step): item is Step => "members" in item

export const make = (limits: Limits): Batch => {
  const due = makeHeap<Job | Step>()
  const queue = new Set<Job>()
  const prefilling = new Set<Job>()
  const decoding = new Set<Job>()
  let step: Step | undefined
  let lastStepEnded = -Infinity
  /** Of those in flight: requests that are told of each chunk, and running ones with a schedule of their own. */
  let loud = 0
  let scheduled = 0
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
    if (job.schedule !== undefined) scheduled -= 1
    prefilling.delete(job)
    decoding.delete(job)
  }

  const leave = (job: Job): void => {
    job.state = "ended"
    counts.inFlight -= 1
    if (job.quiet !== true) loud -= 1
  }

  const complete = (job: Job): void => {
    leave(job)
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
        scheduled += 1
        job.dueNanos = job.admittedNanos + job.schedule.first() * 1e9
        if (job.quiet === true) {
          job.moments = momentsOf(job, job.schedule)
          job.dueNanos = job.moments.at(-1) ?? job.dueNanos
        }
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
    step = { dueNanos: start + seconds * 1e9, order: 0, startNanos: start, members: [...prompts, ...decoding] }
    due.push(step)
  }

  /** Adds tokens to a job and, when a chunk is full or the job is done, the chunk to its outbox. */
  const generate = (job: Job, tokens: number, at: number): boolean => {
    job.generated += tokens
    counts.tokens += tokens
    const pending = job.generated - job.sent
    if (pending < job.tokensPerChunk && job.generated < job.outputTokens) return false
    let text = job.pieces?.slice(job.sent, job.generated).join("") ?? ""
    if (job.pieces === undefined) {
      for (let i = 0; i < pending; i++) text += job.sent + i === 0 ? job.word() : " " + job.word()
    }
    job.outbox.push({ firstToken: job.sent, tokens: pending, text, dueNanos: at })
    job.sent = job.generated
    return true
  }

  const endStep = (ended: Step, touched: Set<Job>): void => {
    const at = ended.dueNanos
    for (const job of ended.members) {
      if (job.state !== "running") continue
      const isChunk = generate(job, 1, at)
      const isLast = job.generated >= job.outputTokens
      if (isChunk && (isLast || job.quiet !== true)) touched.add(job)
      if (isLast) {
        complete(job)
      } else {
        prefilling.delete(job)
        decoding.add(job)
      }
    }
    step = undefined
    lastStepEnded = at
    admit(at)
    ensureStep(at)
  }

  /** The chunks of a quiet request with its own schedule that are ready by `at`. */
  const collect = (job: Job, at: number): void => {
    const moments = job.moments ?? new Float64Array()
    for (let i = Math.ceil(job.sent / job.tokensPerChunk); i < moments.length; i++) {
      const moment = moments[i] ?? Infinity
      if (moment > at) return
      generate(job, nextTokens(job), moment)
    }
  }

  const nextChunk = (job: Job, schedule: OwnSchedule, touched: Set<Job>): void => {
    const at = job.dueNanos
    if (job.moments === undefined) generate(job, nextTokens(job), at)
    else collect(job, at)
    touched.add(job)
    if (job.generated >= job.outputTokens) {
      complete(job)
      admit(at)
      ensureStep(at)
      return
    }
    for (let i = nextTokens(job); i > 0; i--) job.dueNanos += schedule.gap() * 1e9
    due.push(job)
  }

  /**
   * No request ends before: those of the step after all that they still lack, a new one after all of it, and steps get
   * shorter only when a request ends or goes away.
   */
  const earliestEnd = (running: Step): number => {
    let members = 0
    let steps = Infinity
    for (const job of running.members) {
      if (job.state !== "running") continue
      members += 1
      steps = Math.min(steps, job.outputTokens - job.generated - 1)
    }
    for (const job of prefilling) {
      if (job.admittedNanos > running.startNanos) steps = Math.min(steps, job.outputTokens)
    }
    if (members === 0 || steps === Infinity) return running.dueNanos
    const stepSeconds = limits.decodeStepSeconds + limits.decodeStepSecondsPerSequence * members
    return running.dueNanos + steps * stepSeconds * 1e9
  }

  const happen = (isDue: (at: number) => boolean, now: number, limit: number): ReadonlyArray<Job> => {
    const touched = new Set<Job>()
    for (let i = 0; i < limit; i++) {
      const next = due.peek()
      if (next === undefined || !isDue(next.dueNanos)) break
      due.pop()
      const late = loud === 0 ? 0 : now - next.dueNanos
      if (isStep(next)) {
        counts.maxLateNanos = Math.max(counts.maxLateNanos, late)
        endStep(next, touched)
      } else if (next.state === "running" && next.schedule !== undefined) {
        counts.maxLateNanos = Math.max(counts.maxLateNanos, late)
        nextChunk(next, next.schedule, touched)
      }
    }
    return [...touched]
  }

  return {
    counts,
    submit: (job, arrived) => {
      job.state = "queued"
      job.arrivedNanos = arrived
      queue.add(job)
      counts.queued += 1
      counts.inFlight += 1
      if (job.quiet !== true) loud += 1
      counts.peakInFlight = Math.max(counts.peakInFlight, counts.inFlight)
      admit(arrived)
      // What it takes to read and to count a prompt is a part of the time that the model takes for it
      ensureStep(Math.max(arrived, lastStepEnded))
    },
    cancel: (job, now) => {
      if (job.state === "queued") {
        queue.delete(job)
        counts.queued -= 1
      } else if (job.state === "running") {
        collect(job, now)
        leaveBatch(job)
      } else {
        return
      }
      leave(job)
      counts.cancelled += 1
      admit(now)
      ensureStep(now)
    },
    nextDue: () => {
      const next = due.peek()
      return next === undefined || loud > 0 || scheduled > 0 || !isStep(next) ? next?.dueNanos : earliestEnd(next)
    },
    advance: (now, limit) => happen((at) => at <= now + toleranceNanos, now, limit),
    catchUp: (now) => (loud > 0 ? [] : happen((at) => at < now, now, Infinity))
  }
}
