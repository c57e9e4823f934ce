import { assert, describe, it } from "@effect/vitest"
import { RpcClientDefect } from "effect/rpc/RpcClientError"
import * as Socket from "effect/socket/Socket"
import { socketProblem } from "../../../src/fleet/internal/socketProblem.ts"

const withCode = (code: string, message = "what OpenSSL says"): Error => Object.assign(new Error(message), { code })

const open = (cause: unknown, kind: "Unknown" | "Timeout" = "Unknown") => new Socket.SocketOpenError({ kind, cause })
const read = (cause: unknown) => new Socket.SocketReadError({ cause })
const closed = new Socket.SocketCloseError({ code: 1_000 })

const first = { port: 7_070, isSecure: false, isFirst: true }

describe("what is wrong with a connection", () => {
  it.each([
    [open(withCode("ECONNREFUSED")), /nobody listens there.*--listen …:7070/],
    [open(new AggregateError([withCode("ECONNREFUSED"), withCode("ECONNREFUSED")])), /nobody listens there/],
    [open(Object.assign(new AggregateError([]), { code: "ECONNREFUSED" })), /nobody listens there/],
    [open(withCode("ENOTFOUND")), /no such host/],
    [open(withCode("EHOSTUNREACH")), /no way leads to that machine/],
    [open(withCode("ETIMEDOUT")), /firewall/],
    [open(new Error("Connection timed out"), "Timeout"), /does not answer.*firewall/],
    [open(withCode("SELF_SIGNED_CERT_IN_CHAIN")), /not signed by the CA in --tls-ca/],
    [open(withCode("CERT_HAS_EXPIRED")), /certificate has expired/],
    [open(withCode("CERT_NOT_YET_VALID")), /not valid yet/],
    [
      open(
        withCode(
          "ERR_TLS_CERT_ALTNAME_INVALID",
          "Hostname/IP does not match certificate's altnames: Host: node-8. is not in the cert's altnames: DNS:node-7"
        )
      ),
      /for another host \(Host: node-8\. is not in the cert's altnames: DNS:node-7\)\./
    ],
    [
      open(withCode("INVALID_PURPOSE", "unsuitable certificate purpose")),
      /not made for this \(unsuitable certificate purpose\)/
    ],
    [open(withCode("ERR_SSL_WRONG_VERSION_NUMBER")), /does not speak TLS/],
    [open(withCode("ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION")), /another version of TLS/],
    [read(withCode("ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED")), /does not accept our certificate/],
    [read(withCode("ERR_SSL_TLSV1_ALERT_UNKNOWN_CA")), /does not accept our certificate/],
    [read(withCode("ERR_SSL_SOMETHING_NEW", "something new")), /^TLS failed: something new$/],
    [closed, /Either it wants TLS/],
    [read(withCode("ECONNRESET")), /Either it wants TLS/],
    [open(withCode("EMFILE", "too many open files")), /^no connection: too many open files$/],
    [new RpcClientDefect({ message: "Error decoding message", cause: new Error("bad") }), /not understood/]
  ] as const)("is told at first with what helps: %#", (reason, told) => {
    const text = socketProblem(reason, first)
    assert.match(text, told)
    assert.notMatch(text, /undefined|\[object|\.$/)
  })

  it("may be our certificate when there is TLS", () => {
    assert.match(socketProblem(closed, { ...first, isSecure: true }), /Either it does not accept our certificate/)
  })

  it("is told in short when it has worked before", () => {
    const later = { ...first, isFirst: false }
    assert.strictEqual(socketProblem(closed, later), "the connection was closed at its side")
    assert.strictEqual(socketProblem(read(withCode("ECONNRESET")), later), "the connection was closed at its side")
    assert.strictEqual(socketProblem(read(new Error("ping timeout")), later), "nothing is heard of it any more")
    assert.strictEqual(socketProblem(read(new Error("odd\nstack")), later), "the connection failed: odd")
  })
})
