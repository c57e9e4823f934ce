import { type Style } from "./style.ts"

/** How much of a whole is done, as a bar; full only when all is. */
export const bar = (
  share: number,
  columns: number,
  options: { readonly unicode: boolean; readonly style: Style }
): string => {
  const { dim, green } = options.style
  const halves = Math.min(2 * columns, Math.max(0, Math.floor(share * 2 * columns)))
  const whole = halves >> 1
  if (!options.unicode) return green("#".repeat(whole)) + dim("-".repeat(columns - whole))
  const half = halves % 2 === 1 ? "╸" : ""
  return green("━".repeat(whole) + half) + dim("─".repeat(columns - whole - half.length))
}
