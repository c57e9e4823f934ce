import { assert, describe, it } from "@effect/vitest"
import { Ajv } from "ajv"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import * as Compose from "./composeFile.ts"
import { textOf } from "./repository.ts"

const compose = Compose.read()
const services = Object.entries(compose.services)
const ours = services.filter(([, { image }]) => image === "llmperf")
const agents = services.filter(([, { command }]) => command?.[0] === "agent")

/** The schema of the Compose specification, which the linter has with it. Its dialect is spelled as no validator knows it. */
const validator = () => {
  const folder = dirname(createRequire(import.meta.url).resolve("dclint/package.json"))
  const schema: object = JSON.parse(readFileSync(join(folder, "schemas/compose.schema.json"), "utf8"))
  return new Ajv({ strict: false, validateFormats: false, validateSchema: false }).compile(schema)
}

describe(Compose.path, () => {
  it("is what the Compose specification has", () => {
    const validate = validator()
    assert.isTrue(validate(Compose.document()), JSON.stringify(validate.errors))
    // And the schema would say it
    assert.isFalse(validate({ services: { a: { image: "a", comand: [] } } }))
  })

  it("has three agents, that are alike but for what they are called", () => {
    assert.lengthOf(agents, 3)
    const alike = agents.map(([name, { environment, volumes, ...same }]) => {
      assert.deepStrictEqual(volumes, [`${name}:/data`])
      assert.strictEqual(environment?.["LLMPERF_ADVERTISE"], `${name}:7070`)
      return { ...same, environment: { ...environment, LLMPERF_ADVERTISE: "" } }
    })
    for (const one of alike) assert.deepStrictEqual(one, alike[0])
    assert.strictEqual(compose.services["coordinator"]?.environment?.["LLMPERF_EXPECT_AGENTS"], String(agents.length))
  })

  it("starts the coordinator only when it is told to, and everything else at once", () => {
    for (const [name, { profiles }] of services)
      assert.deepStrictEqual(profiles, name === "coordinator" ? ["job"] : undefined)
  })

  it("takes every image by a version, or builds it", () => {
    for (const [, { image }] of services) assert.match(image, /^(llmperf|[a-z]+:\d+\.\d+-[a-z]+)$/)
  })

  it("lets our services do no more than they need", () => {
    assert.isAbove(ours.length, agents.length)
    for (const [name, service] of ours) {
      assert.isTrue(service.read_only, name)
      assert.deepStrictEqual(service.cap_drop, ["ALL"], name)
      assert.deepStrictEqual(service.security_opt, ["no-new-privileges:true"], name)
      assert.isUndefined(service.user, name)
      assert.isAtLeast(service.ulimits?.nofile.soft ?? 0, 65_536, name)
    }
  })

  it("opens no port of this machine, and no way out of the network of the fleet", () => {
    for (const [name, { ports }] of services) assert.isUndefined(ports, name)
    assert.isTrue(compose.networks["fleet"]?.internal)
    assert.deepStrictEqual(compose.services["postgres"]?.networks, ["fleet"])
    assert.deepStrictEqual(compose.services["model"]?.networks, ["fleet"])
  })

  it("knows the health of everything that others wait for", () => {
    for (const [name, { depends_on }] of services) {
      for (const [other, { condition }] of Object.entries(depends_on ?? {})) {
        assert.strictEqual(condition, "service_healthy", name)
        assert.isAbove(compose.services[other]?.healthcheck?.test.length ?? 0, 1, other)
      }
    }
  })

  it("names what there is: secrets, networks, volumes", () => {
    for (const [name, { networks, secrets, volumes }] of services) {
      for (const one of networks) assert.property(compose.networks, one, name)
      for (const one of secrets ?? []) assert.property(compose.secrets, one, name)
      for (const one of volumes ?? []) assert.property(compose.volumes, one.split(":")[0] ?? "", name)
    }
    // And mentions only the secrets that a service has
    for (const [name, { command, entrypoint, environment, secrets }] of services) {
      const text = JSON.stringify([command, entrypoint, environment])
      for (const [, secret] of text.matchAll(/\/run\/secrets\/([\w-]+)/g))
        assert.include(secrets ?? [], secret ?? "", name)
    }
  })

  it("keeps secrets in files that git does not see, and the key of the endpoint with the agents", () => {
    const ignored = textOf("deploy/.gitignore").split("\n")
    for (const { file } of Object.values(compose.secrets)) assert.include(ignored, `/${file.split("/")[0]}`)
    const { services: told } = Compose.read({ OPENAI_API_KEY: "a secret of mine" })
    const knowing = Object.entries(told).filter(([, service]) => JSON.stringify(service).includes("a secret of mine"))
    assert.deepStrictEqual(
      knowing.map(([name]) => name),
      agents.map(([name]) => name)
    )
  })

  it("takes an endpoint elsewhere from the environment", () => {
    const { services: told } = Compose.read({
      OPENAI_API_BASE: "https://api.example/v1",
      MODEL: "mine",
      AGENT_CPUS: "1"
    })
    assert.includeMembers(
      [...(told["coordinator"]?.command ?? [])],
      ["--api-base=https://api.example/v1", "--model=mine"]
    )
    for (const [name] of agents) assert.strictEqual(told[name]?.deploy.resources.limits.cpus, "1")
  })

  it("is told of in the README, with its secrets", () => {
    const readme = textOf("deploy/README.md")
    for (const { file } of Object.values(compose.secrets)) assert.include(readme, file)
    for (const [, name] of textOf(Compose.path).matchAll(/\$\{(\w+)/g)) assert.include(readme, name ?? "")
  })
})

describe("interpolate", () => {
  it("does as Compose", () => {
    const of = (text: string) => Compose.interpolate(text, { A: "1", EMPTY: "" })
    assert.strictEqual(of("${A:-2}/${A}"), "1/1")
    assert.strictEqual(of("${B:-http://x:1/v1}-${B}-${EMPTY:-e}"), "http://x:1/v1--e")
    assert.strictEqual(of('"$$(cat $$@)" $${A}'), '"$(cat $@)" ${A}')
  })
})
