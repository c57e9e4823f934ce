import { type IncomingHttpHeaders } from "node:http"

/** The server takes any key but two words, with which the answers to bad keys can be had. */
export type Standing = "good" | "wrong" | "expired"

const keyHeaders = ["x-api-key", "api-key", "x-goog-api-key"] as const

/** What a request says of who it comes from: a bearer token, a header of keys, or `key` in the query. */
export const standing = (headers: IncomingHttpHeaders, query: URLSearchParams): Standing => {
  const bearer = /^Bearer\s+(.*)$/i.exec(headers.authorization ?? "")?.[1]
  const keys = new Set([bearer, ...keyHeaders.map((name) => headers[name]), query.get("key")])
  if (keys.has("wrong")) return "wrong"
  return keys.has("expired") ? "expired" : "good"
}
