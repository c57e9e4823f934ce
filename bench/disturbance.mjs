// Disturbs the process it is loaded into (--import): holds up its event loop, or makes garbage, on and on. Worker threads are left alone.
import { isMainThread } from "node:worker_threads"

const { DISTURB_HOLD_MS, DISTURB_EVERY_MS, DISTURB_GARBAGE_MB } = process.env

if (isMainThread && DISTURB_HOLD_MS !== undefined) {
  setInterval(() => {
    const end = performance.now() + Number(DISTURB_HOLD_MS)
    while (performance.now() < end);
  }, Number(DISTURB_EVERY_MS)).unref()
}

if (isMainThread && DISTURB_GARBAGE_MB !== undefined) {
  // Objects that live through a few collections, and are dropped then: young ones are copied, old ones are marked
  const kept = Array.from({ length: 40 })
  let turn = 0
  setInterval(() => {
    const objects = Math.round((Number(DISTURB_GARBAGE_MB) * 1e6) / 40 / 64)
    kept[turn++ % kept.length] = Array.from({ length: objects }, (_, index) => ({ index, turn, next: null }))
  }, Number(DISTURB_EVERY_MS)).unref()
}
