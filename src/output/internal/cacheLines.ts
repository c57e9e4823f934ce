import type { CacheRemark } from "../CacheText.ts"
import type { Style } from "./style.ts"
import * as Text from "./text.ts"

/** What the server had in its cache, in lines of at most so many columns. */
export const cacheLines = (remark: CacheRemark | null, columns: number, marks: Style): ReadonlyArray<string> => {
  if (remark === null) return []
  return remark.isWarning
    ? Text.hanging("! ", remark.text, columns).map(marks.yellow)
    : Text.hanging("- ", remark.text, columns).map(marks.dim)
}
