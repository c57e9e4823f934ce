/**
 * The text that the simulated model writes: English words, each of which is one token of the Llama tokenizer.
 *
 * A word here is one vocabulary entry that begins with the word-start marker, and no Llama entry spans two words, so
 * N words joined by single spaces are N tokens (without special tokens).
 *
 * @since 0.1.0
 */

const list =
  "about above action after against age all almost along already always among and animal answer any arm around " +
  "as ask away back bank bar be beach beautiful became become bed before began behind being best better big " +
  "bird board boat book both boy branch break bridge bring broken brought brown built burn but buy call came " +
  "captain car carry case cat catch center century chair chance chapter check children church city class clear " +
  "clock cloth cloud cold color common company control cook corner cost count country court cross crowd cry cup " +
  "cut dance dark daughter deal dear desert did difference different direct direction doctor does done door " +
  "down dream drive drop dust each earth east eat edge either else end energy evening ever example eye fact " +
  "fair false family farm fast fear feel felt few fifty figure final find finger fire fish five floor flow fly " +
  "follow foot for foreign forest form forward four free friend from fruit full garden gate general get give " +
  "glass gold gone got grand great green ground grow guard hair half hand happen hard has have he health hear " +
  "heat heavy help her high hill his history home hope hot hotel house how hundred husband idea if in inside " +
  "iron is it job journey joy jump just kept key king kitchen know lady land language last late law lay leaf " +
  "learn leave led less let level lie light like list listen live local look lord lot love machine made make " +
  "man map march market master may me measure meet men message might milk mind miss modern money month more " +
  "morning mother mountain move much must my narrow nation near need new news night nine noise none nose not " +
  "now number ocean of offer office oil old once one open or other our over own paid paint paper park party " +
  "pass path pay people perhaps picture piece plain plan play please port position power present pretty price " +
  "problem product pull pure put queen quick quiet race rain ran range reach read real reason red remember " +
  "return rich right rise river rock roll room root round row run safe sail salt sand sat saw say science sea " +
  "seat second see seed seen self send sense serve service seven several shall shape sharp she shop short " +
  "shoulder shout side sign silver simple sing sir sit six skin sky small smile so soft some son soon sort " +
  "south space special speech spirit spoke spread spring stage stand start state stay step stone stood store " +
  "storm straight strange street strong study such sugar summer support sure sweet table take tall taught tell " +
  "ten test than the their then there they thing third this though thought three through to today told too top " +
  "total toward town train travel trip trouble trust truth turn twelve two under unit until upon us usual " +
  "valley very view visit voice walk wall warm was water wave we wear week weight went were what wheel where " +
  "which who whole wide wild win wind winter wish within without wonder wood work world write wrong year yellow " +
  "yesterday yet young"

/**
 * All words, in lower case, each one Llama token; 512 of them.
 *
 * @category constants
 * @since 0.1.0
 */
export const words: ReadonlyArray<string> = list.split(" ")

/**
 * Picks a word by a number drawn uniformly from [0, 1).
 *
 * @category generators
 * @since 0.1.0
 */
export const pick = (uniform: number): string => words[Math.floor(uniform * words.length)] ?? "the"

/**
 * Writes `count` words joined by single spaces: `count` Llama tokens. `uniform` draws from [0, 1), once for each word.
 *
 * @category generators
 * @since 0.1.0
 */
export const text = (count: number, uniform: () => number): string => {
  let written = ""
  for (let i = 0; i < count; i++) written += i === 0 ? pick(uniform()) : " " + pick(uniform())
  return written
}
