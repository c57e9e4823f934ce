// The package is CommonJS, of which a bundle gives a dynamic import no names. So this module is imported lazily in its place.
export { GoogleAuth } from "google-auth-library"
