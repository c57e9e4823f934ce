/** Prints what is said of each module whose path is an argument, as a list of JSON: modules are found by Node itself here. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as OwnProvider from "../../src/cli/internal/ownProvider.ts"
import * as Transport from "../../src/provider/Transport.ts"

const said = await Effect.forEach(process.argv.slice(2), (path) =>
  Layer.build(OwnProvider.load(path, { model: "m" })).pipe(
    Effect.match({ onFailure: ({ message }) => message, onSuccess: () => "" }),
    Effect.scoped
  )
).pipe(Effect.provide([Transport.layer(), NodeServices.layer]), Effect.runPromise)
process.stdout.write(JSON.stringify(said))
