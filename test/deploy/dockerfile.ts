import { textOf } from "./repository.ts"

export const path = "deploy/Dockerfile"

/** A line of the file, such as `COPY --from=package /opt/llmperf /opt/llmperf`. */
export interface Step {
  readonly keyword: string
  readonly words: ReadonlyArray<string>
}

/** Comments go, lines that end in a backslash go on, and words in brackets are JSON. */
const steps = (text: string): ReadonlyArray<Step> =>
  text
    .replaceAll(/^\s*#.*\n/gm, "")
    .replaceAll(/\\\n/g, " ")
    .split("\n")
    .flatMap((line) => {
      const [, keyword, rest = ""] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ?? []
      if (keyword === undefined) return []
      return [{ keyword, words: rest.startsWith("[") ? JSON.parse(rest) : rest.split(/\s+/) }]
    })

/** The stages of the file, each from its `FROM` on. The last one is the image. */
export const stages = (): ReadonlyArray<ReadonlyArray<Step>> => {
  const found: Array<Array<Step>> = []
  for (const step of steps(textOf(path))) {
    if (step.keyword === "FROM") found.push([])
    found.at(-1)?.push(step)
  }
  return found
}

/** The words of the last step of that kind. */
export const last = (stage: ReadonlyArray<Step>, keyword: string): ReadonlyArray<string> =>
  stage.findLast((step) => step.keyword === keyword)?.words ?? []

/** What is copied from the repository. */
export const copied = (stage: ReadonlyArray<Step>): ReadonlyArray<string> =>
  stage.flatMap(({ keyword, words }) =>
    keyword === "COPY" && !words.some((word) => word.startsWith("--from=")) ? words.slice(0, -1) : []
  )
