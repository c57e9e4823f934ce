/** A certificate authority for tests: X.509 v3 (RFC 5280) in DER (X.690), with keys on P-256. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto"
import { isIP, isIPv4 } from "node:net"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"

/** Certificate and private key in PEM. */
export interface Identity {
  readonly cert: string
  readonly key: string
}

export interface Authority extends Identity {
  readonly issue: (options?: Partial<Wanted>) => Identity
}

interface Wanted {
  readonly name: string
  readonly from: Date
  readonly to: Date
  /** Names and addresses of the host. */
  readonly hosts: ReadonlyArray<string>
}

const element = (tag: number, ...parts: ReadonlyArray<Buffer>): Buffer => {
  const content = Buffer.concat(parts)
  const length = content.length
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...head]), content])
}

const sequence = (...parts: ReadonlyArray<Buffer>) => element(0x30, ...parts)
const integer = (bytes: Buffer) => element(0x02, bytes)
const octets = (content: Buffer) => element(0x04, content)
const bits = (content: Buffer) => element(0x03, Buffer.from([0]), content)
const yes = element(0x01, Buffer.from([0xff]))
const explicit = (number: number, content: Buffer) => element(0xa0 | number, content)

const identifier = (text: string): Buffer => {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number)
  const base128 = (value: number): ReadonlyArray<number> => {
    const bytes = [value & 0x7f]
    for (let left = value >> 7; left > 0; left >>= 7) bytes.unshift((left & 0x7f) | 0x80)
    return bytes
  }
  return element(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

const ecdsaWithSha256 = sequence(identifier("1.2.840.10045.4.3.2"))
const nameOf = (name: string) =>
  sequence(element(0x31, sequence(identifier("2.5.4.3"), element(0x0c, Buffer.from(name)))))

/** GeneralizedTime, `YYYYMMDDHHMMSSZ`. */
const time = (date: Date) => element(0x18, Buffer.from(`${date.toISOString().replaceAll(/[-:T]/g, "").slice(0, 14)}Z`))

const addressBytes = (address: string): Buffer =>
  Buffer.from(
    isIPv4(address)
      ? address.split(".").map(Number)
      : [...Array.from({ length: 15 }, () => 0), Number(address.slice(2))]
  )

const alternatives = (hosts: ReadonlyArray<string>) =>
  sequence(
    ...hosts.map((host) => (isIP(host) === 0 ? element(0x82, Buffer.from(host)) : element(0x87, addressBytes(host))))
  )

const extension = (id: string, critical: boolean, value: Buffer) =>
  critical ? sequence(identifier(id), yes, octets(value)) : sequence(identifier(id), octets(value))

const pem = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${(der.toString("base64").match(/.{1,64}/g) ?? []).join("\n")}\n-----END CERTIFICATE-----\n`

const certificate = (options: {
  readonly issuer: string
  readonly issuerKey: KeyObject
  readonly subject: string
  readonly publicKey: KeyObject
  readonly from: Date
  readonly to: Date
  readonly extensions: ReadonlyArray<Buffer>
}): string => {
  const serial = randomBytes(8)
  serial[0] = 0x01
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(serial),
    ecdsaWithSha256,
    nameOf(options.issuer),
    sequence(time(options.from), time(options.to)),
    nameOf(options.subject),
    options.publicKey.export({ format: "der", type: "spki" }),
    explicit(3, sequence(...options.extensions))
  )
  return pem(sequence(body, ecdsaWithSha256, bits(sign("sha256", body, options.issuerKey))))
}

const pair = () => generateKeyPairSync("ec", { namedCurve: "P-256" })
const pemOf = (key: KeyObject): string => String(key.export({ format: "pem", type: "pkcs8" }))

const always = { from: new Date("2020-01-01T00:00:00Z"), to: new Date("2120-01-01T00:00:00Z") }

/** The hosts that are this machine. */
export const here = ["localhost", "127.0.0.1", "::1"]

export const authority = (name: string): Authority => {
  const { privateKey, publicKey } = pair()
  const cert = certificate({
    ...always,
    issuer: name,
    issuerKey: privateKey,
    subject: name,
    publicKey,
    extensions: [extension("2.5.29.19", true, sequence(yes))]
  })
  return {
    cert,
    key: pemOf(privateKey),
    issue: ({ from = always.from, hosts = here, name: subject = "llmperf agent", to = always.to } = {}) => {
      const own = pair()
      return {
        cert: certificate({
          issuer: name,
          issuerKey: privateKey,
          subject,
          publicKey: own.publicKey,
          from,
          to,
          extensions:
            hosts.length === 0
              ? [extension("2.5.29.19", true, sequence())]
              : [extension("2.5.29.17", false, alternatives(hosts))]
        }),
        key: pemOf(own.privateKey)
      }
    }
  }
}

export const expired = { from: new Date("2020-01-01T00:00:00Z"), to: new Date("2020-01-02T00:00:00Z") }

/** A temporary folder with files in it, for this user only unless another mode is given. Gives their paths. */
export const files = <const Name extends string>(texts: { readonly [name in Name]: string }, mode = 0o600) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "llmperf-fleet-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    ),
    (folder) => {
      const paths = Object.entries<string>(texts).map(([name, text]) => {
        const path = join(folder, name)
        writeFileSync(path, text, { mode })
        return [name, path] as const
      })
      const pathOf = new Map<string, string>(paths)
      return (name: Name): string => pathOf.get(name) ?? ""
    }
  )
