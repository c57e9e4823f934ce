/**
 * The colours of the report, for both themes. The series colours keep the order of Okabe and Ito's palette, which readers with
 * a colour vision deficiency can tell apart, with lightness moved so that each has a contrast of 3 : 1 with the surface.
 */
export interface Palette {
  readonly page: string
  readonly surface: string
  readonly ink: string
  readonly muted: string
  readonly line: string
  readonly soft: string
  readonly accent: string
  readonly good: string
  readonly warn: string
  readonly bad: string
  readonly series: ReadonlyArray<string>
}

export const light: Palette = {
  page: "#f5f6f8",
  surface: "#ffffff",
  ink: "#1a2027",
  muted: "#57616d",
  line: "#dfe3e8",
  soft: "#eef1f4",
  accent: "#005fa3",
  good: "#00694d",
  warn: "#8a5300",
  bad: "#b3261e",
  series: ["#0072b2", "#d55e00", "#00916a", "#b4508e", "#665000", "#3b3f8f", "#6b7785"]
}

export const dark: Palette = {
  page: "#0e1217",
  surface: "#161b22",
  ink: "#e7ebf0",
  muted: "#9ba7b4",
  line: "#2b333d",
  soft: "#1e252e",
  accent: "#6cb8f2",
  good: "#4fcfa3",
  warn: "#f0b35a",
  bad: "#ff8a80",
  series: ["#56b4e9", "#ff8f3f", "#2ec796", "#e28fc4", "#e6cf4f", "#9aa2ff", "#a7b3c0"]
}

/** As custom properties of CSS. */
export const properties = ({ series, ...colors }: Palette): string =>
  [
    ...Object.entries(colors).map(([name, value]) => `--${name}:${value}`),
    ...series.map((value, index) => `--series-${index + 1}:${value}`)
  ].join(";")
