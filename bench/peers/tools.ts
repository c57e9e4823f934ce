import { aiperf } from "./aiperf.ts"
import { guidellm } from "./guidellm.ts"
import { oha } from "./oha.ts"
import { type Peer } from "./Peer.ts"
import { vllmBench } from "./vllmBench.ts"

/** All tools but ours, in the order in which they are run. */
export const tools: ReadonlyArray<Peer> = [aiperf, guidellm, vllmBench, oha]

/**
 * How each is installed into its folder: a requirement for pip in an environment of its own, or a crate. `python` is the
 * interpreter that makes the environment.
 */
export const installs: { readonly [name: string]: { readonly pip: string } | { readonly crate: string } } = {
  aiperf: { pip: "aiperf==0.13.0" },
  guidellm: { pip: "guidellm==0.8.1" },
  "vllm bench": { pip: "vllm==0.33.0" },
  oha: { crate: "oha@1.16.0" }
}

/** Tools that are left out, and why. */
export const leftOut: { readonly [name: string]: string } = {
  "ray-project/llmperf":
    "it is in no registry (the package of that name is another program), needs Python below 3.11, and keeps a Ray process for every request in flight: 200 here"
}
