import { type AnyValue, type KeyValue } from "effect/observability/OtlpResource"

/** A number that JSON has too, and that is known. */
const known = (value: number | null | undefined): value is number =>
  value !== null && value !== undefined && Number.isFinite(value)

/** Half a character, as where a text was cut, is no text to others. */
const textValue = (text: string): AnyValue => ({ stringValue: text.toWellFormed() })

/** Attributes in the making; what is not known is left out. */
export const make = () => {
  const all: Array<KeyValue> = []
  const attributes = {
    all,
    text: (key: string, value: string | null | undefined) => {
      if (value !== null && value !== undefined) all.push({ key, value: textValue(value) })
      return attributes
    },
    texts: (key: string, values: ReadonlyArray<string>) => {
      all.push({ key, value: { arrayValue: { values: values.map(textValue) } } })
      return attributes
    },
    /** 64 bits are text in JSON. */
    int: (key: string, value: number | null | undefined) => {
      if (Number.isSafeInteger(value)) all.push({ key, value: { intValue: String(value) } })
      return attributes
    },
    double: (key: string, value: number | null | undefined) => {
      if (known(value)) all.push({ key, value: { doubleValue: value } })
      return attributes
    },
    flag: (key: string, value: boolean) => {
      all.push({ key, value: { boolValue: value } })
      return attributes
    }
  }
  return attributes
}

export type Attributes = ReturnType<typeof make>
