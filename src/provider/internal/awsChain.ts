/**
 * The places where AWS's own tools look for credentials. Only this module imports the package that knows them, and only a
 * run without keys in the environment imports this module.
 */
import { fromNodeProviderChain } from "@aws-sdk/credential-providers"

export interface Identity {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

/** Keeps what it found until shortly before it runs out. `region` is where roles are taken on. */
export const makeChain = (region: string): (() => Promise<Identity>) => {
  const provide = fromNodeProviderChain({ clientConfig: { region } })
  return () => provide()
}
