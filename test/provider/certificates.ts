import { readFileSync } from "node:fs"

const folder = new URL("../fixtures/provider/tls/", import.meta.url)

/** The path of a file beside the certificates. */
export const pathOf = (name: string): string => new URL(name, folder).pathname

export const pem = (name: string): string => readFileSync(new URL(`${name}.pem`, folder), "utf8")

/**
 * Certificate and key. A CA of our own has signed them all: `server` is for localhost, 127.0.0.1, ::1 and llm.test, `other` for
 * another host, `expired` for the same in 2020, `client` is for a client.
 */
export const tls = (name: "server" | "other" | "expired" | "client") => ({ cert: pem(name), key: pem(`${name}.key`) })
