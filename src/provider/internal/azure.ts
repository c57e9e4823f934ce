import * as Address from "./address.ts"
import { basePath, type Endpoint, endpointPaths } from "./openAiApi.ts"

/**
 * Hosts that are Azure's own: OpenAI in its clouds, and the newer names of the same resources.
 *
 * https://learn.microsoft.com/azure/ai-services/openai/reference
 */
const ownHost = /\.(openai\.azure\.(com|us|cn)|(cognitiveservices|services\.ai)\.azure\.com)$/

export const isOwnHost = (apiBase: string): boolean => ownHost.test(Address.parse(apiBase)?.hostname ?? "")

/** The version that is asked for when none is given: the latest that is no preview, where there is one. */
const defaultVersions = {
  chat: "2024-10-21",
  completions: "2024-10-21",
  responses: "2025-04-01-preview"
} as const satisfies { readonly [E in Endpoint]: string }

/**
 * Where requests for a deployment go. The base may be the resource (`https://name.openai.azure.com`), the deployment
 * (`…/openai/deployments/name`), the v1 route (`…/openai/v1`), which needs no version, or any of them in full; a version in
 * its query stays. Returns `null` when it is not an http(s) address.
 */
export const target = (
  apiBase: string,
  deployment: string,
  endpoint: Endpoint,
  apiVersion: string | undefined
): Address.Target | null => {
  const address = Address.parse(apiBase)
  if (address === null) return null
  const { origin, search } = address
  const base = basePath(address.path)
  const path = pathOf(base, deployment, endpoint)
  if (base.endsWith("/v1") || new URLSearchParams(search).has("api-version")) {
    return { origin, path: `${path}${search}` }
  }
  const defaultVersion = base.endsWith("/models") ? "2024-05-01-preview" : defaultVersions[endpoint]
  const version = `api-version=${encodeURIComponent(apiVersion ?? defaultVersion)}`
  return { origin, path: `${path}${search === "" ? "?" : `${search}&`}${version}` }
}

const pathOf = (base: string, deployment: string, endpoint: Endpoint): string => {
  // Models of Azure AI Foundry that are not OpenAI's are under /models.
  if (base.endsWith("/v1") || base.endsWith("/models")) return `${base}${endpointPaths[endpoint]}`
  const root = base.replace(/(\/openai)?(\/deployments\/[^/]+)?$/, "")
  // Responses are not asked of a deployment; the model in the body says which one answers.
  if (endpoint === "responses") return `${root}/openai/responses`
  const deployed = /\/deployments\/[^/]+$/.test(base)
  return `${deployed ? base : `${root}/openai/deployments/${encodeURIComponent(deployment)}`}${endpointPaths[endpoint]}`
}
