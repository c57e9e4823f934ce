import { type Dialect, type Dialects } from "./dialect.ts"
import { anthropic } from "./dialects/anthropic.ts"
import { bedrock } from "./dialects/bedrock.ts"
import { gemini } from "./dialects/gemini.ts"
import { ollamaChat, ollamaGenerate } from "./dialects/ollama.ts"
import { responses } from "./dialects/responses.ts"
import { sageMaker } from "./dialects/sageMaker.ts"
import { tgi } from "./dialects/tgi.ts"
import { vertexAnthropic, vertexPredict, vertexPublisher, vertexRaw } from "./dialects/vertex.ts"

/** The formats that the server speaks beside OpenAI's completions. The first that matches a request answers it. */
export const dialects: Dialects = [
  anthropic,
  responses,
  ollamaChat,
  ollamaGenerate,
  gemini,
  vertexPredict,
  vertexRaw,
  vertexAnthropic,
  vertexPublisher,
  sageMaker,
  bedrock,
  tgi
]

export const find = (method: string, path: string): Dialect | undefined =>
  dialects.find((dialect) => dialect.matches(method, path))
