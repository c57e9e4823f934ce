import { isSecretName } from "../../domain/Secrets.ts"
import { Provider, type Service } from "../Provider.ts"
import { type RequestOptions } from "../RequestOptions.ts"

/** The same service, which says so when it sends neither a key nor a header of the user's that may hold one. */
export const withUnsetKey = (
  service: Service,
  key: unknown,
  variable: string,
  { headers = {} }: Pick<RequestOptions, "headers">
): Service =>
  key !== null || Object.keys(headers).some(isSecretName) ? service : Provider.of({ ...service, unsetKey: variable })
