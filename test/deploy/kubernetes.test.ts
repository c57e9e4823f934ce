import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { StatefulSet } from "kubernetes-models/apps/v1/StatefulSet"
import { Job } from "kubernetes-models/batch/v1/Job"
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy"
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget"
import { Role } from "kubernetes-models/rbac.authorization.k8s.io/v1/Role"
import { RoleBinding } from "kubernetes-models/rbac.authorization.k8s.io/v1/RoleBinding"
import { type IContainer } from "kubernetes-models/v1/Container"
import { Pod } from "kubernetes-models/v1/Pod"
import { Service } from "kubernetes-models/v1/Service"
import { ServiceAccount } from "kubernetes-models/v1/ServiceAccount"
import { basename } from "node:path"
import * as ClusterAddress from "../../src/fleet/ClusterAddress.ts"
import { last, stages } from "./dockerfile.ts"
import { type ApiObject, problemsOf } from "./kubernetesApi.ts"
import { build, objectsIn } from "./kubernetesFiles.ts"
import { only, podOf, toldTo, typed } from "./kubernetesPods.ts"
import { textOf } from "./repository.ts"

const BASE = "deploy/kubernetes/base"
const EXAMPLE = "deploy/kubernetes/overlays/example"

const namesOf = (objects: ReadonlyArray<ApiObject>, kind: string): ReadonlyArray<string> =>
  objects.flatMap((object) => (object.kind === kind ? [object.metadata.name] : []))

type Texts = { readonly [name: string]: string }

const selects = (selector: { readonly matchLabels?: Texts } | undefined, labels: Texts): boolean => {
  const wanted = Object.entries(selector?.matchLabels ?? {})
  return wanted.length > 0 && wanted.every(([name, value]) => labels[name] === value)
}

/** What a container is told, in a cluster that is made up. */
const told = (container: IContainer) =>
  toldTo(container, { "metadata.namespace": "some-namespace", "status.podIP": "10.1.2.3" })

const projectOf = (folder: string) => {
  const { kustomization, objects, patches, secrets } = build(folder)
  const agents = only(typed(objects, StatefulSet.is), "sets of agents")
  const job = only(typed(objects, Job.is), "jobs")
  const agent = podOf(agents.spec?.template)
  const coordinator = podOf(job.spec?.template)
  return { kustomization, objects, patches, secrets, agents, job, agent, coordinator, pods: [agent, coordinator] }
}

describe.each([BASE, EXAMPLE])("%s", (folder) => {
  const { agent, agents, coordinator, job, objects, pods } = projectOf(folder)

  it("is what the Kubernetes API takes", () => {
    for (const object of objects) {
      assert.deepStrictEqual(problemsOf(object), [], `${object.kind} ${object.metadata.name}`)
    }
  })

  it("selects agents as agents, and nothing else", () => {
    const selectors = [
      agents.spec?.selector,
      ...typed(objects, PodDisruptionBudget.is).map(({ spec }) => spec?.selector),
      ...typed(objects, Service.is).map(({ spec }) => ({ matchLabels: spec?.selector ?? {} })),
      ...(agent.spec.topologySpreadConstraints ?? []).map(({ labelSelector }) => labelSelector)
    ]
    assert.lengthOf(selectors, 4)
    for (const selector of selectors) {
      assert.isTrue(selects(selector, agent.labels))
      assert.isFalse(selects(selector, coordinator.labels))
    }
    for (const term of agent.spec.affinity?.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []) {
      assert.isTrue(selects(term.podAffinityTerm.labelSelector, coordinator.labels))
    }
  })

  it("gives agents names by a service that has no address of its own", () => {
    const service = only(typed(objects, Service.is), "services")
    assert.strictEqual(service.metadata?.name, agents.spec?.serviceName)
    assert.strictEqual(service.spec?.clusterIP, "None")
    assert.strictEqual(only(service.spec?.ports ?? [], "ports").targetPort, "agent")
  })

  it("means by a port the one of the agents", () => {
    const port = only(agent.container.ports ?? [], "ports")
    assert.strictEqual(port.name, "agent")
    assert.include(told(agent.container).args, `--listen=0.0.0.0:${port.containerPort}`)
    assert.include(told(agent.container).args, `--advertise=10.1.2.3:${port.containerPort}`)
    const { livenessProbe, readinessProbe, startupProbe } = agent.container
    for (const probe of [livenessProbe, readinessProbe, startupProbe]) {
      assert.strictEqual(probe?.tcpSocket?.port, port.name)
    }
  })

  it("has agents found in the list of pods of its own namespace", () => {
    const flag = told(agent.container).args.find((arg) => arg.startsWith("--cluster="))
    const { LLMPERF_CLUSTER: cluster = "" } = told(coordinator.container).variables
    assert.strictEqual(flag, `--cluster=${cluster}`)
    const address = Result.getOrThrow(ClusterAddress.parse(cluster))
    assert.strictEqual(address._tag, "Pods")
    if (address._tag !== "Pods") return
    assert.strictEqual(address.namespace, "some-namespace")
    const [name = "", value = ""] = address.labels.split("=")
    assert.strictEqual(agent.labels[name], value)
    assert.notStrictEqual(coordinator.labels[name], value)
    assert.strictEqual(address.port, agent.container.ports?.[0]?.containerPort)
  })

  it("waits for as many agents as there are", () => {
    assert.strictEqual(told(coordinator.container).variables["LLMPERF_EXPECT_AGENTS"], String(agents.spec?.replicas))
  })

  it("lets the coordinator list pods, and nobody do anything else", () => {
    const accounts = namesOf(objects, "ServiceAccount")
    for (const { spec } of pods) assert.include(accounts, spec.serviceAccountName)
    assert.notStrictEqual(agent.spec.serviceAccountName, coordinator.spec.serviceAccountName)
    const role = only(typed(objects, Role.is), "roles")
    assert.deepStrictEqual(role.rules, [{ apiGroups: [""], resources: ["pods"], verbs: ["get", "list"] }])
    const binding = only(typed(objects, RoleBinding.is), "bindings")
    assert.strictEqual(binding.roleRef.name, role.metadata?.name)
    assert.deepStrictEqual(
      binding.subjects?.map(({ kind, name }) => [kind, name]),
      [["ServiceAccount", coordinator.spec.serviceAccountName ?? ""]]
    )
    // The token of an account is only where it is needed
    for (const { automountServiceAccountToken } of typed(objects, ServiceAccount.is)) {
      assert.isFalse(automountServiceAccountToken)
    }
    assert.isFalse(agent.spec.automountServiceAccountToken)
    assert.isTrue(coordinator.spec.automountServiceAccountToken)
  })

  it('fits the pod security standard "restricted", and writes only where a volume is', () => {
    const user = Number(last(stages().at(-1) ?? [], "USER")[0]?.split(":")[0])
    for (const { container, spec } of pods) {
      assert.deepInclude(spec.securityContext, {
        runAsNonRoot: true,
        runAsUser: user,
        seccompProfile: { type: "RuntimeDefault" }
      })
      assert.deepStrictEqual(container.securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] }
      })
      const volumes = new Map((spec.volumes ?? []).map((volume) => [volume.name, volume]))
      for (const { mountPath, name, readOnly } of container.volumeMounts ?? []) {
        const volume = volumes.get(name)
        assert.isDefined(volume, name)
        assert.strictEqual(readOnly === true, volume?.secret !== undefined, name)
        if (readOnly !== true) assert.oneOf(mountPath, ["/data", "/tmp"])
        // llmperf takes no token that everybody can read
        if (volume?.secret !== undefined) assert.strictEqual(volume.secret.defaultMode, 0o440)
        if (volume?.emptyDir !== undefined) assert.isDefined(volume.emptyDir.sizeLimit)
      }
      assert.lengthOf(container.volumeMounts ?? [], volumes.size)
    }
  })

  it("asks for whole processors, and for as much as it may use", () => {
    for (const { container } of pods) {
      const { limits, requests } = container.resources ?? {}
      assert.deepStrictEqual(requests, limits)
      assert.sameMembers(Object.keys(limits ?? {}), ["cpu", "memory"])
      assert.match(String(limits?.["cpu"]), /^[1-9]\d*$/)
    }
  })

  it("never runs a load test twice, and never moves an agent by itself", () => {
    assert.strictEqual(job.spec?.backoffLimit, 0)
    assert.strictEqual(coordinator.spec.restartPolicy, "Never")
    assert.strictEqual(only(typed(objects, PodDisruptionBudget.is), "budgets").spec?.maxUnavailable, 0)
  })

  it("lets only the coordinator speak to agents", () => {
    const policies = typed(objects, NetworkPolicy.is).flatMap(({ spec }) => (spec === undefined ? [] : [spec]))
    assert.lengthOf(policies, 2)
    for (const { podSelector, policyTypes } of policies) {
      assert.isTrue(pods.some(({ labels }) => selects(podSelector, labels)))
      assert.deepStrictEqual(policyTypes, ["Ingress", "Egress"])
    }
    const ofAgents = only(
      policies.filter(({ podSelector }) => selects(podSelector, agent.labels)),
      "policies"
    )
    const { from = [], ports = [] } = only(ofAgents.ingress ?? [], "ways in")
    assert.isTrue(selects(only(from, "callers").podSelector, coordinator.labels))
    assert.strictEqual(only(ports, "ports").port, "agent")
    const ofCoordinator = only(
      policies.filter(({ podSelector }) => selects(podSelector, coordinator.labels)),
      "policies"
    )
    assert.deepStrictEqual(ofCoordinator.ingress, [])
    assert.isTrue(
      ofCoordinator.egress?.some(
        ({ ports, to }) => ports?.some(({ port }) => port === "agent") && selects(to?.[0]?.podSelector, agent.labels)
      )
    )
  })
})

describe(EXAMPLE, () => {
  const { agent, coordinator, kustomization, objects, patches, pods, secrets } = projectOf(EXAMPLE)

  it("makes every secret that is used, with the files that are named", () => {
    const used = new Set<string>()
    for (const { container, spec } of pods) {
      for (const { secretRef } of container.envFrom ?? []) used.add(secretRef?.name ?? "")
      const { args, variables } = told(container)
      for (const { mountPath, name } of container.volumeMounts ?? []) {
        const secretName = spec.volumes?.find((volume) => volume.name === name)?.secret?.secretName
        if (secretName === undefined) continue
        used.add(secretName)
        const keys = [...(secrets.find((secret) => secret.name === secretName)?.keys.keys() ?? [])]
        const named = [...args, ...Object.values(variables)].filter((text) => text.includes(`${mountPath}/`))
        assert.isAbove(named.length, 0, mountPath)
        for (const text of named) assert.include(keys, basename(text), text)
      }
    }
    assert.sameMembers(
      [...used],
      secrets.map(({ name }) => name)
    )
  })

  it("keeps those files from git, and tells how they are made", () => {
    assert.include(textOf("deploy/.gitignore").split("\n"), "/kubernetes/overlays/*/secrets")
    const readme = textOf("deploy/README.md")
    for (const file of secrets.flatMap(({ envs, keys }) => [...keys.values(), ...envs])) {
      assert.match(file, new RegExp(`^${EXAMPLE}/secrets/`))
      assert.include(readme, basename(file))
    }
  })

  it("changes what there is", () => {
    const base = projectOf(BASE)
    for (const { kind, metadata } of patches) assert.include(namesOf(base.objects, kind), metadata.name)
    for (const { name } of kustomization.replicas ?? []) assert.include(namesOf(base.objects, "StatefulSet"), name)
    for (const { name } of kustomization.images ?? []) {
      for (const { container } of base.pods) assert.strictEqual(container.image, name)
    }
    assert.isTrue(
      problemsOf(
        only(
          base.objects.filter(({ kind }) => kind === "Service"),
          "services"
        )
      ).length === 0
    )
    assert.include(namesOf(objects, "Namespace"), kustomization.namespace)
  })

  it("keeps the results on a volume that stays", () => {
    const claims = (coordinator.spec.volumes ?? []).flatMap(
      ({ persistentVolumeClaim: claim }) => claim?.claimName ?? []
    )
    assert.deepStrictEqual(claims, namesOf(objects, "PersistentVolumeClaim"))
    assert.match(told(coordinator.container).variables["LLMPERF_RESULTS_DIR"] ?? "", /^\/data\//)
    assert.match(told(agent.container).args.join(" "), /--data-dir=\/data\//)
  })
})

describe(`${EXAMPLE}/results-reader.yaml`, () => {
  it("is a pod with the image and the volume of the others, that ends by itself", () => {
    const { kustomization, objects, pods } = projectOf(EXAMPLE)
    const [reader] = objectsIn(`${EXAMPLE}/results-reader.yaml`)
    assert.deepStrictEqual(reader === undefined ? ["nothing"] : problemsOf(reader), [])
    const { spec } = only(typed([reader], Pod.is), "pods")
    const { newName, newTag } = only(kustomization.images ?? [], "images")
    const container = only(spec?.containers ?? [], "containers")
    assert.strictEqual(container.image, `${newName}:${newTag}`)
    assert.deepStrictEqual(container.securityContext, pods[0]?.container.securityContext)
    assert.deepStrictEqual(spec?.securityContext, pods[0]?.spec.securityContext)
    const claims = (spec?.volumes ?? []).map(({ persistentVolumeClaim: claim }) => claim?.claimName)
    assert.deepStrictEqual(claims, [...namesOf(objects, "PersistentVolumeClaim")])
    assert.isAbove(spec?.activeDeadlineSeconds ?? 0, 0)
  })
})

describe("problemsOf", () => {
  const service = { apiVersion: "v1", kind: "Service", metadata: { name: "a" }, spec: { ports: [{ port: 1 }] } }

  it("finds what is not in the API", () => {
    assert.deepStrictEqual(problemsOf(service), [])
    const misspelled = { ...service, spec: { ports: [{ port: 1, targetPrt: "agent" }] } }
    assert.deepStrictEqual(problemsOf(misspelled), ["/spec/ports/0/targetPrt is not known"])
    const mistaken = { ...service, spec: { selector: { llmperf: 1 } } }
    assert.deepStrictEqual(problemsOf(mistaken), ["data/spec/selector/llmperf must be string"])
    assert.deepStrictEqual(problemsOf({ ...service, apiVersion: "v2" }), ["v2 Service is not known"])
  })
})
