import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import { fileURLToPath } from "node:url"
import * as HttpFront from "../../src/simulator/HttpFront.ts"
import { tls } from "../provider/certificates.ts"

/** A request that came: to which host, and what proved who sent it. */
export interface Seen {
  readonly host: string
  readonly path: string
  readonly authorization: string | undefined
}

/**
 * - `seen`: what came, in its order
 * - `tunnels`: the hosts that the proxy was asked to connect to
 * - `env(mode)`: what a program needs in its environment to meet this cloud in place of the Internet; in mode `proxy` only the
 *   proxy leads there
 */
export interface Cloud {
  readonly seen: ReadonlyArray<Seen>
  readonly tunnels: ReadonlyArray<string>
  readonly env: (mode: "direct" | "proxy") => { readonly [name: string]: string }
}

const inAnHour = (): string => new Date(Date.now() + 3_600_000).toISOString()

/** The account whose signatures the simulated server checks. */
const awsKeys = () => ({
  AccessKeyId: "test",
  SecretAccessKey: "secret",
  Token: "session",
  Expiration: inAnHour()
})

const stsAnswer = (
  action: string
): string => `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result>
<AssumedRoleUser><AssumedRoleId>a:b</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/r/b</Arn></AssumedRoleUser>
<Credentials><AccessKeyId>test</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken>
<Expiration>${inAnHour()}</Expiration></Credentials></${action}Result></${action}Response>`

interface Answer {
  readonly type?: string
  readonly headers?: { readonly [name: string]: string }
  readonly body: unknown
}

/** What those say that hand out credentials; `undefined` for every other host, which is an API of models. */
const issued = (host: string, path: string, body: string): Answer | undefined => {
  if (host === "oauth2.googleapis.com" || host === "sts.googleapis.com") {
    return {
      body: {
        access_token: "from-google",
        expires_in: 3_600,
        token_type: "Bearer",
        issued_token_type: "urn:ietf:params:oauth:token-type:access_token"
      }
    }
  }
  if (path.startsWith("/computeMetadata/")) {
    return {
      headers: { "metadata-flavor": "Google" },
      body: path.includes("/token") ? { access_token: "from-metadata", expires_in: 3_600, token_type: "Bearer" } : "{}"
    }
  }
  if (/^sts(\.[\w-]+)?\.amazonaws\.com$/.test(host)) {
    return { type: "text/xml", body: stsAnswer(new URLSearchParams(body).get("Action") ?? "") }
  }
  if (host === "portal.sso.eu-west-1.amazonaws.com") {
    return {
      body: {
        roleCredentials: {
          accessKeyId: "test",
          secretAccessKey: "secret",
          sessionToken: "session",
          expiration: Date.now() + 3_600_000
        }
      }
    }
  }
  if (path === "/latest/api/token") {
    return { type: "text/plain", headers: { "x-aws-ec2-metadata-token-ttl-seconds": "21600" }, body: "imds" }
  }
  if (path === "/latest/meta-data/iam/security-credentials/") return { type: "text/plain", body: "role" }
  if (path === "/latest/meta-data/iam/security-credentials/role") return { body: { Code: "Success", ...awsKeys() } }
  if (path === "/container-credentials") return { body: awsKeys() }
  return undefined
}

const listening = <S extends Net.Server>(server: S, port = 0): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(port, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    }),
    () =>
      Effect.sync(() => {
        server.close()
        if (server instanceof Http.Server || server instanceof Https.Server) server.closeAllConnections()
      })
  )

/**
 * Clouds on loopback, until the scope closes: everything that hands out credentials, and the simulated server in the place of
 * every API of models, behind TLS and without; and a proxy that leads there.
 */
export const cloud: Effect.Effect<Cloud, never, Scope.Scope | HttpFront.HttpFront> = Effect.gen(function* () {
  const { port: models } = yield* HttpFront.HttpFront
  const seen: Array<Seen> = []
  const tunnels: Array<string> = []

  const onRequest: Http.RequestListener = (request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const host = (request.headers.host ?? "").replace(/:\d+$/, "")
      const path = request.url ?? ""
      const body = Buffer.concat(chunks)
      const { headers, method } = request
      seen.push({ host, path, authorization: headers.authorization })
      const answer = issued(host, path, body.toString())
      if (answer !== undefined) {
        const type = answer.type ?? "application/json"
        response.writeHead(200, { "content-type": type, ...answer.headers })
        return void response.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body))
      }
      const onward = Http.request({ host: "127.0.0.1", port: models, path, method, headers }, (from) => {
        response.writeHead(from.statusCode ?? 502, from.headers)
        from.pipe(response)
      })
      onward.on("error", () => response.destroy())
      onward.end(body)
    })
  }

  const secure = yield* listening(Https.createServer(tls("server"), onRequest))
  const plain = yield* listening(Http.createServer(onRequest))
  const sockets = new Set<Net.Socket>()
  const proxyServer = Http.createServer((_request, response) => response.writeHead(501).end())
  proxyServer.on("connect", (request, client: Net.Socket, first: Buffer) => {
    tunnels.push(request.url ?? "")
    const onward = Net.connect(request.url?.endsWith(":443") === true ? secure : plain, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n")
      onward.write(first)
      onward.pipe(client)
      client.pipe(onward)
    })
    for (const socket of [client, onward]) {
      sockets.add(socket)
      socket.on("error", () => {})
    }
    client.once("close", () => onward.destroy())
  })
  const proxy = yield* listening(proxyServer)
  yield* Effect.addFinalizer(() => Effect.sync(() => sockets.forEach((socket) => socket.destroy())))

  return {
    seen,
    tunnels,
    env: (mode) => ({
      NODE_OPTIONS: `--import=${fileURLToPath(new URL("toLoopback.mjs", import.meta.url))}`,
      // The certificate is for none of the hosts.
      NODE_TLS_REJECT_UNAUTHORIZED: "0",
      NODE_NO_WARNINGS: "1",
      TO_LOOPBACK: JSON.stringify(
        mode === "proxy" ? { "link-local": plain } : { 443: secure, 80: plain, "link-local": plain }
      ),
      ...(mode === "proxy" ? { HTTPS_PROXY: `http://127.0.0.1:${proxy}` } : {})
    })
  }
})
