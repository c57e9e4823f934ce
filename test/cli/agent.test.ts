import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmodSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import packageJson from "../../package.json" with { type: "json" }
import { PROTOCOL } from "../../src/engine/LoadAgent.ts"
import * as AgentAddress from "../../src/fleet/AgentAddress.ts"
import * as Redacted from "effect/Redacted"
import * as Agents from "../fleet/agents.ts"
import * as Certificates from "../fleet/certificates.ts"
import { folder, llmperf } from "./invocation.ts"

const ca = Certificates.authority("our CA")
const own = ca.issue()

/** Files of a token and of TLS, and the flags that name them. */
const flags = Effect.gen(function* () {
  const path = yield* Certificates.files({
    token: `${Redacted.value(Agents.token)}\n`,
    cert: own.cert,
    key: own.key,
    ca: ca.cert,
    expired: ca.issue(Certificates.expired).cert
  })
  return {
    path,
    token: `--token-file=${path("token")}`,
    tls: [`--tls-cert=${path("cert")}`, `--tls-key=${path("key")}`, `--tls-ca=${path("ca")}`]
  }
})

const refused = Effect.fnUntraced(function* (args: ReadonlyArray<string>, told: RegExp, exitCode = 2) {
  const outcome = yield* llmperf(args)
  assert.match(outcome.stderr, told)
  assert.notMatch(outcome.stderr, /\n\s+at |\[object|undefined/)
  assert.strictEqual(outcome.stdout, "")
  assert.strictEqual(outcome.unreported, "")
  assert.strictEqual(outcome.exitCode, exitCode)
})

describe("llmperf agent", () => {
  it.live("is refused without a token that can be used", () =>
    Effect.gen(function* () {
      const { path, token } = yield* flags
      yield* refused(["agent"], /--token-file/)
      yield* refused(
        ["agent", "--token-file=/does/not/exist"],
        /--token-file \/does\/not\/exist: there is no such file/
      )
      chmodSync(path("token"), 0o644)
      yield* refused(["agent", token], /every user of this machine can read it\. It is a secret: chmod 600/)
    })
  )

  it.live.each(["nowhere:", "::1:7070", "127.0.0.1:65536", "http://127.0.0.1:7070"])(
    "is refused with an address that is none: %s",
    (address) =>
      Effect.gen(function* () {
        const { token } = yield* flags
        yield* refused(["agent", token, `--listen=${address}`], /--listen: ".*an address of this machine, such as 127/)
      })
  )

  it.live("is refused with half of what TLS needs, or with what cannot be used for it", () =>
    Effect.gen(function* () {
      const { path, tls, token } = yield* flags
      const [cert = "", key = "", trusted = ""] = tls
      yield* refused(["agent", token, cert], /TLS needs .*: without --tls-key and --tls-ca there is none/)
      yield* refused(["agent", token, cert, key], /TLS needs .*: without --tls-ca there is none/)
      yield* refused(["agent", token, `--tls-cert=${path("expired")}`, key, trusted], /the certificate has expired/)
      yield* refused(["agent", token, ...tls, "--insecure-listen"], /--insecure-listen has no meaning/)
    })
  )

  it.live("listens for other machines only with TLS", () =>
    Effect.gen(function* () {
      const { token } = yield* flags
      yield* refused(["agent", token, "--listen=0.0.0.0:0"], /without TLS, everybody on the way.*--insecure-listen/)
      yield* refused(["agent", token, "--listen=[::]:0"], /without TLS/)
    })
  )

  it.live("says when its port is taken", () =>
    Effect.gen(function* () {
      const { token } = yield* flags
      const address = AgentAddress.format(yield* Agents.serve())
      yield* refused(["agent", token, `--listen=${address}`], /that port is in use\. .*choose another port/)
    })
  )

  it.live("says before it begins when it cannot keep rows", () =>
    Effect.gen(function* () {
      const { token } = yield* flags
      const file = join(yield* folder, "file")
      writeFileSync(file, "mine")
      yield* refused(
        ["agent", token, "--listen=127.0.0.1:0", `--data-dir=${file}`],
        /--data-dir .*Choose another folder/,
        3
      )
    })
  )
})

describe("llmperf fleet status", () => {
  const { version } = packageJson

  it.live("shows agents, and ends with 1 when one of them cannot be used", () =>
    Effect.gen(function* () {
      const { token } = yield* flags
      const free = AgentAddress.format(yield* Agents.serve({ profile: { version } }))
      const busy = AgentAddress.format(yield* Agents.serve({ profile: { version, session: "s-7" } }))
      const all = yield* llmperf(["fleet", "status", token, `--agents=${free},${busy}`])
      assert.strictEqual(all.stderr, "")
      assert.strictEqual(all.exitCode, 0)
      const [header = "", ...rows] = all.stdout.trimEnd().split("\n")
      assert.match(
        header,
        /^ +version +cores +memory +load +open files +requests\/s +tokens\/s +clock +round trip +state$/
      )
      assert.strictEqual(rows.length, 2)
      assert.match(rows[0] ?? "", new RegExp(`^${free} +${version} +8 +16\\.0 GB +25\\.0 % +1024 +– +– .* ms +free$`))
      assert.match(rows[1] ?? "", /works for s-7$/)

      const some = yield* llmperf(["fleet", "status", token, `--agents=${free},127.0.0.1:9`])
      assert.strictEqual(some.exitCode, 1)
      assert.match(some.stdout, /\n127\.0\.0\.1:9 .*cannot be used\n$/)
      assert.match(some.stderr, /^127\.0\.0\.1:9: nobody listens there\. [^\n]+\n$/)
    })
  )

  it.live("gives JSON", () =>
    Effect.gen(function* () {
      const { tls, token } = yield* flags
      const credentials = Agents.credentials(ca.issue(), ca.cert)
      const good = AgentAddress.format(yield* Agents.serve({ profile: { version }, credentials }))
      const other = AgentAddress.format(yield* Agents.serve({ profile: { version: "0.0.1" }, credentials }))
      const outcome = yield* llmperf(["fleet", "status", token, ...tls, `--agents=${good},${other}`, "--json"])
      assert.strictEqual(outcome.exitCode, 1)
      const { agents } = JSON.parse(outcome.stdout)
      assert.deepInclude(agents[0], {
        agent: good,
        problem: null,
        version,
        protocol: PROTOCOL,
        host: "node-1",
        pid: 101,
        cores: 8,
        memory_bytes: 16e9,
        load: 0.25,
        open_files: 1_024,
        limits: null,
        session: null
      })
      assert.isAbove(agents[0].round_trip_s, 0)
      assert.strictEqual(agents[0].clock_error_s, agents[0].round_trip_s / 2)
      // Both are this process
      assert.isBelow(Math.abs(agents[0].clock_offset_s), agents[0].clock_error_s)
      assert.deepStrictEqual(agents[1], {
        agent: other,
        problem: `it is llmperf 0.0.1 (protocol ${PROTOCOL}), this is ${version} (protocol ${PROTOCOL}). Install the same version on both.`
      })
    })
  )

  it.live("is refused without agents, without a token, and with addresses that are none", () =>
    Effect.gen(function* () {
      const { token } = yield* flags
      yield* refused(["fleet", "status", token], /--agents/)
      yield* refused(["fleet", "status", "--agents=127.0.0.1:9"], /--token-file must be given/)
      yield* refused(["fleet", "status", token, "--agents=127.0.0.1:9,"], /addresses of agents with commas/)
    })
  )

  it.live("warns of those who may listen in", () =>
    Effect.gen(function* () {
      const { token } = yield* flags
      const outcome = yield* llmperf(["fleet", "status", token, "--agents=nowhere.invalid"])
      assert.match(
        outcome.stderr,
        /^WARNING: no TLS: everybody between here and nowhere\.invalid:7070 can read the token/
      )
      assert.match(outcome.stderr, /\nnowhere\.invalid:7070: there is no such host/)
      assert.strictEqual(outcome.exitCode, 1)
    })
  )
})
