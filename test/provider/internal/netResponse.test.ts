import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { NetError } from "../../../src/provider/internal/netError.ts"
import { maxHeadBytes } from "../../../src/provider/internal/limits.ts"
import { type Headers, ResponseReader } from "../../../src/provider/internal/netResponse.ts"
import { answer, head, lastPiece, piece, streamHead } from "../servers.ts"

interface Read {
  readonly heads: ReadonlyArray<readonly [status: number, headers: Headers]>
  readonly body: string
  readonly isOver: boolean
  /** What is over after the end of the answer. */
  readonly rest: string
  readonly keepsOpen: boolean
  readonly failure: string | undefined
}

/** Reads pieces that all come into the same memory, and then the end of the connection if that is `closed`. */
const read = (pieces: ReadonlyArray<Buffer>, closed = false): Read => {
  const heads: Array<readonly [number, Headers]> = []
  const body: Array<Buffer> = []
  let isOver = false
  const reader = new ResponseReader({
    onHead: (status, headers) => heads.push([status, { ...headers }]),
    onBody: (bytes, start, end) => {
      assert.isBelow(start, end)
      body.push(Buffer.from(bytes.subarray(start, end)))
    },
    onEnd: () => {
      assert.isFalse(isOver)
      isOver = true
    }
  })
  const memory = Buffer.alloc(Math.max(1, ...pieces.map(({ length }) => length)) + 9)
  let failure: string | undefined
  let rest = ""
  try {
    for (const bytes of pieces) {
      memory.fill("x")
      bytes.copy(memory, 5)
      const to = reader.read(memory, 5, 5 + bytes.length, 1)
      assert.isTrue(to === 5 + bytes.length || isOver)
      rest += memory.toString("latin1", to, 5 + bytes.length)
    }
    if (closed) failure = reader.close(1)?.kind
  } catch (error) {
    if (!(error instanceof NetError)) throw error
    failure = error.kind
  }
  return { heads, body: Buffer.concat(body).toString("latin1"), isOver, rest, keepsOpen: reader.keepsOpen, failure }
}

const whole = (bytes: string | Buffer, closed = false): Read => read([Buffer.from(bytes)], closed)

const bodyOf = (bytes: string | Buffer, closed = false) => {
  const { body, failure, isOver } = whole(bytes, closed)
  return failure ?? (isOver ? body : `${body}…`)
}

/** The pieces of `bytes` between these places. */
const cut = (bytes: Buffer, places: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b)
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end))
}

describe("ResponseReader", () => {
  it("an answer of known length, and what comes after it", () => {
    assert.deepStrictEqual(whole(`${answer("200 OK", "hello", { "X-A": "b  " }).toString()}HTTP`), {
      heads: [[200, { "content-length": "5", "x-a": "b" }]],
      body: "hello",
      isOver: true,
      rest: "HTTP",
      keepsOpen: true,
      failure: undefined
    })
  })

  it("pieces, with extensions and trailers", () => {
    assert.strictEqual(bodyOf(`${streamHead}5\r\nhello\r\n${lastPiece}`), "hello")
    assert.strictEqual(
      bodyOf(`${streamHead}005 ;a=b;c="d"\r\nhello\r\n1\r\n!\r\n0;z\r\nx-sum: 7\r\ny: z\r\n\r\n`),
      "hello!"
    )
    assert.strictEqual(bodyOf(`${streamHead}A\r\n0123456789\r\n0\r\n\r\n`), "0123456789")
  })

  it("a body that ends with the connection", () => {
    assert.strictEqual(bodyOf(`${head("200 OK")}hello`), "hello…")
    assert.strictEqual(bodyOf(`${head("200 OK")}hello`, true), "hello")
    assert.isFalse(whole(`${head("200 OK")}hello`, true).keepsOpen)
  })

  it("answers without a body", () => {
    for (const bytes of [head("204 No Content"), head("304 Not Modified"), answer("200 OK", "")]) {
      assert.deepInclude(whole(bytes), { body: "", isOver: true, keepsOpen: true })
    }
    // What may follow all the same is no answer.
    assert.isFalse(whole(head("204 No Content", { "content-length": "3" })).keepsOpen)
  })

  it("informational answers before the real one", () => {
    const { heads, body } = whole(
      `${head("100 Continue")}${head("103 Early", { link: "x" })}${answer("200 OK", "a").toString()}`
    )
    assert.deepStrictEqual(
      heads.map(([status]) => status),
      [100, 103, 200]
    )
    assert.strictEqual(body, "a")
    assert.strictEqual(whole(head("100 Continue").repeat(100)).failure, "not-http")
    assert.strictEqual(whole(head("101 Switching Protocols", { upgrade: "x" })).failure, "not-http")
  })

  it("headers that come several times, without a value, or with letters of Latin", () => {
    const { heads } = whole(
      `HTTP/1.1 200 Très bien\r\na: 1\r\nB:\r\na:2\r\nc: é\t;\r\n__proto__: x\r\ncontent-length: 0\r\n\r\n`
    )
    assert.deepStrictEqual(Object.entries(heads[0]?.[1] ?? {}), [
      ["a", ["1", "2"]],
      ["b", ""],
      ["c", Buffer.from("é").toString("latin1") + "\t;"],
      ["__proto__", "x"],
      ["content-length", "0"]
    ])
  })

  it.each([
    ["1.1", {}, true],
    ["1.1", { connection: "Keep-Alive" }, true],
    ["1.1", { connection: "x, CLOSE" }, false],
    ["1.0", {}, false],
    ["1.0", { connection: "keep-alive" }, true]
  ] as const)("HTTP/%s with %j keeps the connection: %s", (version, headers, keepsOpen) => {
    const bytes = answer("200 OK", "a", headers).toString().replace("1.1", version)
    assert.strictEqual(whole(bytes).keepsOpen, keepsOpen)
  })

  it.each([
    ["another protocol", "SSH-2.0-OpenSSH_9.6\r\n"],
    ["TLS", "\u0015\u0003\u0001\u0000\u0002\u0002\u0016"],
    ["another version", "HTTP/2.0 200 OK\r\n\r\n"],
    ["a status that is none", "HTTP/1.1 20 OK\r\n\r\n"],
    ["a status line with more before it", " HTTP/1.1 200 OK\r\n\r\n"],
    ["a line end without CR", "HTTP/1.1 200 OK\n\n"],
    ["CR within a line", "HTTP/1.1 200 OK\rx\r\n\r\n"],
    ["a header without a colon", "HTTP/1.1 200 OK\r\nabc\r\n\r\n"],
    ["a blank before a colon", "HTTP/1.1 200 OK\r\ncontent-length : 5\r\n\r\n"],
    ["a folded header", "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n"],
    ["a zero in a header", "HTTP/1.1 200 OK\r\na: \u0000\r\n\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n"],
    ["a length that is none", "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\n"],
    ["a length in hexadecimal", "HTTP/1.1 200 OK\r\ncontent-length: 0x5\r\n\r\n"],
    ["a length and pieces", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n"],
    ["a coding nobody knows", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n"],
    ["pieces twice", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n"],
    ["a size that is none", `${streamHead}zz\r\n`],
    ["a negative size", `${streamHead}-1\r\n`],
    ["no size", `${streamHead}\r\n`],
    ["a size without a line end", `${streamHead}5\rhello\r\n`],
    ["a size that is too large", `${streamHead}fffffffffffffffff\r\n`],
    ["a piece that is longer than it says", `${streamHead}3\r\nhello\r\n`],
    ["a piece without its line end", `${streamHead}5\r\nhello5\r\n`],
    ["a line end without CR after a piece", `${streamHead}5\r\nhello\n0\r\n\r\n`],
    ["a line end without CR after an extension", `${streamHead}5;a\nhello\r\n`]
  ] as const)("no HTTP: %s", (_name, bytes) => {
    assert.strictEqual(whole(bytes).failure, "not-http")
  })

  it("more bytes around the content than is taken", () => {
    const long = "y".repeat(maxHeadBytes + 1)
    for (const bytes of [
      `HTTP/1.1 200 OK\r\nx: ${long}`,
      `HTTP/1.1 200 OK\r\n${"a: b\r\n".repeat(maxHeadBytes / 4)}`,
      `${streamHead}5;${long}`,
      `${streamHead}0\r\n${"a: b\r\n".repeat(maxHeadBytes / 4)}`,
      `${streamHead}${`1;${"y".repeat(1_000)}\r\na\r\n`.repeat(20)}`
    ]) {
      assert.strictEqual(whole(bytes).failure, "too-large")
    }
  })

  it("the connection is closed too early", () => {
    for (const bytes of ["", "HTTP/1.1 200 OK\r\ncontent-ty", head("100 Continue")]) {
      assert.strictEqual(whole(bytes, true).failure, "closed")
    }
    for (const bytes of [streamHead, `${streamHead}5\r\nhel`, `${streamHead}5\r\nhello\r\n0\r\n`]) {
      assert.strictEqual(whole(bytes, true).failure, "cut-off")
    }
    assert.strictEqual(whole(`${head("200 OK", { "content-length": "5" })}hell`, true).failure, "cut-off")
  })

  it("nothing is read any more after it was stopped in the middle", () => {
    const seen: Array<string> = []
    const reader: ResponseReader = new ResponseReader({
      onHead: () => seen.push("head"),
      onBody: () => {
        seen.push("body")
        reader.stop()
      },
      onEnd: () => seen.push("end")
    })
    const bytes = Buffer.concat([Buffer.from(streamHead), piece("a"), piece("b"), Buffer.from(lastPiece)])
    reader.read(bytes, 0, bytes.length, 1)
    assert.deepStrictEqual(seen, ["head", "body"])
  })

  const size = fc.tuple(fc.string({ unit: "binary-ascii", maxLength: 30 }), fc.constantFrom("", ";a", ' ; b="c"'))
  const chunked = fc.array(size, { maxLength: 6 }).map((pieces) => ({
    body: pieces.map(([data]) => data).join(""),
    bytes: `${streamHead}${pieces
      .flatMap(([data, more]) => (data === "" ? [] : [`${data.length.toString(16)}${more}\r\n${data}\r\n`]))
      .join("")}0\r\nx: y\r\n\r\n`
  }))
  const known = fc
    .string({ unit: "binary-ascii", maxLength: 60 })
    .map((body) => ({ body, bytes: answer("200 OK", body).toString("latin1") }))
  const informed = fc.tuple(fc.boolean(), fc.oneof(chunked, known)).map(([isInformed, { body, bytes }]) => ({
    body,
    bytes: Buffer.from(`${isInformed ? head("102 Processing") : ""}${bytes}`, "latin1")
  }))
  const places = fc.oneof(
    fc.array(fc.nat(10_000), { maxLength: 8 }),
    fc.constant(Array.from({ length: 300 }, (_, i) => i))
  )

  it("bytes that are cut anywhere give the same", () => {
    fc.assert(
      fc.property(informed, places, ({ body, bytes }, at) => {
        const result = read(cut(bytes, at))
        assert.deepStrictEqual(result, whole(bytes))
        assert.strictEqual(result.body, body)
        assert.isTrue(result.isOver)
        assert.isUndefined(result.failure)
      }),
      { numRuns: 150 }
    )
  })

  it("neither throws anything else nor says more than it was told, whatever comes, cut anywhere", () => {
    const scrap = fc.constantFrom(
      "HTTP/1.1 200 OK\r\n",
      "HTTP/1.0 204 \r\n",
      "content-length: 3\r\n",
      "transfer-encoding: chunked\r\n",
      "\r\n",
      "\n",
      "\r",
      "3",
      "3\r\nabc\r\n",
      "0\r\n",
      "ffff",
      ";",
      ":",
      " ",
      "HTTP/",
      "\u0000",
      "é",
      "connection: close\r\n",
      "HTTP/1.1 100 \r\n\r\n"
    )
    const rubbish = fc.array(
      fc.oneof({ weight: 4, arbitrary: scrap }, fc.string({ unit: "binary-ascii", maxLength: 5 })),
      { maxLength: 14 }
    )
    fc.assert(
      fc.property(rubbish, fc.boolean(), places, (parts, begins, at) => {
        const bytes = Buffer.from(`${begins ? "HTTP/1.1 200 OK\r\n" : ""}${parts.join("")}`, "latin1")
        const together = read([bytes], true)
        const apart = read(cut(bytes, at), true)
        assert.deepStrictEqual(apart, together)
        assert.isAtMost(together.body.length, bytes.length)
        assert.isTrue(together.isOver !== (together.failure !== undefined))
      }),
      { numRuns: 300 }
    )
  })
})
