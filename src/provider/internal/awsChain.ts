/**
 * The places where AWS's own tools look for credentials. Only this module imports the packages that know them, and only a
 * run without keys or without a region in the environment imports this module.
 */
import type * as Https from "node:https"
import { fromNodeProviderChain } from "@aws-sdk/credential-providers"
import { getProfileName, parseKnownFiles } from "@smithy/core/config"

export interface Identity {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

/**
 * Keeps what it found until shortly before it runs out, unless it is to be fetched anew. `region` is where roles are assumed, unless
 * a profile says otherwise; `agent` connects to AWS.
 */
export const makeChain = (
  region: string,
  agent: Https.Agent | undefined
): ((forceRefresh: boolean) => Promise<Identity>) => {
  const provide = fromNodeProviderChain({
    // Of the parent: single sign-on has a region of its own, which `clientConfig` would go over.
    parentClientConfig: { region: () => Promise.resolve(region) },
    clientConfig: agent === undefined ? {} : { requestHandler: { httpsAgent: agent } }
  })
  return (forceRefresh) => provide({ forceRefresh })
}

/** A profile of AWS's files: which one is used, whether it is there, the region in it, and the names of all there are. */
export interface Profile {
  readonly name: string
  readonly names: ReadonlyArray<string>
  readonly found: boolean
  readonly region: string | undefined
}

/** The profile that `AWS_PROFILE` names, or `default`. */
export const readProfile = (): Promise<Profile> => {
  const name = getProfileName({})
  return parseKnownFiles({}).then((profiles) => ({
    name,
    // Sections of other kinds are named `sso-session.…` and `services.…`
    names: Object.keys(profiles).filter((each) => !/^(sso-session|services)\./.test(each)),
    found: profiles[name] !== undefined,
    region: profiles[name]?.["region"]
  }))
}
