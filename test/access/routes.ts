import { generateKeyPairSync } from "node:crypto"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/**
 * A way to get at credentials and an API that takes them.
 *
 * - `flags`: of the program, beside the model; `model` when it is not `sim`
 * - `files`: what lies in the home folder, by path; `env`: variables, with the home folder filled in for `~`
 * - `authorization`: how the request to the API must prove itself
 * - `hosts`: who must have been asked, the API last; `direct` ones are never asked through a proxy
 */
export interface Route {
  readonly name: string
  readonly flags: ReadonlyArray<string>
  readonly model?: string
  readonly files?: { readonly [path: string]: string }
  readonly env: { readonly [name: string]: string }
  readonly authorization?: RegExp
  readonly hosts: ReadonlyArray<string>
  readonly direct?: ReadonlyArray<string>
}

const vertex = ["--llm-api", "vertexai", "--vertex-route", "publisher"]
const vertexHost = "us-central1-aiplatform.googleapis.com"
const google = { GCLOUD_PROJECT_ID: "p", GCLOUD_REGION: "us-central1" }
const bedrock = ["--llm-api", "bedrock"]
const bedrockHost = "bedrock-runtime.us-east-1.amazonaws.com"
const aws = { AWS_REGION: "us-east-1" }
const signedBy = (key: string, region = "us-east-1"): RegExp =>
  new RegExp(`^AWS4-HMAC-SHA256 Credential=${key}/\\d{8}/${region}/bedrock/aws4_request`)

const { privateKey } = generateKeyPairSync("rsa", {
  modulusLength: 2_048,
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
  publicKeyEncoding: { type: "spki", format: "pem" }
})

const gcloudFile = ".config/gcloud/application_default_credentials.json"

const authorizedUser = JSON.stringify({
  type: "authorized_user",
  client_id: "id",
  client_secret: "secret",
  refresh_token: "refresh"
})

export const routes: ReadonlyArray<Route> = [
  {
    name: "OpenAI's key",
    flags: [],
    env: { OPENAI_API_BASE: "https://api.openai.com/v1", OPENAI_API_KEY: "sk-key" },
    authorization: /^Bearer sk-key$/,
    hosts: ["api.openai.com"]
  },
  {
    name: "Azure's token",
    flags: ["--llm-api", "azure"],
    env: { AZURE_API_BASE: "https://mine.openai.azure.com", AZURE_AD_TOKEN: "entra" },
    authorization: /^Bearer entra$/,
    hosts: ["mine.openai.azure.com"]
  },
  {
    name: "Azure's key",
    flags: ["--llm-api", "azure"],
    env: { AZURE_API_BASE: "https://mine.openai.azure.com", AZURE_API_KEY: "key" },
    hosts: ["mine.openai.azure.com"]
  },
  {
    name: "Anthropic's key",
    flags: ["--llm-api", "anthropic"],
    env: { ANTHROPIC_API_KEY: "key" },
    hosts: ["api.anthropic.com"]
  },
  {
    name: "a token of Hugging Face",
    flags: ["--llm-api", "huggingface"],
    env: { HF_TOKEN: "hf" },
    authorization: /^Bearer hf$/,
    hosts: ["router.huggingface.co"]
  },
  {
    name: "Together AI's key",
    flags: ["--llm-api", "together"],
    env: { TOGETHERAI_API_KEY: "key" },
    authorization: /^Bearer key$/,
    hosts: ["api.together.xyz"]
  },
  {
    name: "a key that LiteLLM's prefix names",
    flags: ["--llm-api", "litellm"],
    model: "groq/sim",
    env: { GROQ_API_KEY: "key" },
    authorization: /^Bearer key$/,
    hosts: ["api.groq.com"]
  },
  {
    name: "Gemini's key",
    flags: ["--llm-api", "gemini"],
    env: { GEMINI_API_KEY: "key" },
    hosts: ["generativelanguage.googleapis.com"]
  },
  {
    name: "Google: an access token",
    flags: vertex,
    env: { ...google, GCLOUD_ACCESS_TOKEN: "given" },
    authorization: /^Bearer given$/,
    hosts: [vertexHost]
  },
  {
    name: "Google: a service account's file",
    flags: vertex,
    files: {
      "account.json": JSON.stringify({
        type: "service_account",
        project_id: "p",
        private_key_id: "k",
        private_key: privateKey,
        client_email: "a@p.iam.gserviceaccount.com",
        client_id: "1",
        token_uri: "https://oauth2.googleapis.com/token"
      })
    },
    env: { ...google, GOOGLE_APPLICATION_CREDENTIALS: "~/account.json" },
    authorization: /^Bearer from-google$/,
    hosts: ["oauth2.googleapis.com", vertexHost]
  },
  {
    name: "Google: an authorized user, from gcloud's file",
    flags: vertex,
    files: { [gcloudFile]: authorizedUser },
    env: google,
    authorization: /^Bearer from-google$/,
    hosts: ["oauth2.googleapis.com", vertexHost]
  },
  {
    name: "Google: workload identity federation",
    flags: vertex,
    files: {
      subject: "subject-token",
      "federation.json": JSON.stringify({
        type: "external_account",
        audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/provider",
        subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
        token_url: "https://sts.googleapis.com/v1/token",
        credential_source: { file: "~/subject" }
      })
    },
    env: { ...google, GOOGLE_APPLICATION_CREDENTIALS: "~/federation.json" },
    authorization: /^Bearer from-google$/,
    hosts: ["sts.googleapis.com", vertexHost]
  },
  {
    name: "Google: the metadata server",
    flags: vertex,
    env: { ...google, METADATA_SERVER_DETECTION: "assume-present" },
    authorization: /^Bearer from-metadata$/,
    hosts: ["169.254.169.254", vertexHost],
    direct: ["169.254.169.254"]
  },
  {
    name: "AWS: keys",
    flags: bedrock,
    env: { ...aws, AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "secret" },
    authorization: signedBy("test"),
    hosts: [bedrockHost]
  },
  {
    name: "AWS: SageMaker with keys",
    flags: ["--llm-api", "sagemaker", "--payload-style", "messages"],
    env: { ...aws, AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "secret" },
    authorization: /Credential=test\/\d{8}\/us-east-1\/sagemaker\//,
    hosts: ["runtime.sagemaker.us-east-1.amazonaws.com"]
  },
  {
    name: "AWS: Bedrock's own key",
    flags: bedrock,
    env: { ...aws, AWS_BEARER_TOKEN_BEDROCK: "bearer" },
    authorization: /^Bearer bearer$/,
    hosts: [bedrockHost]
  },
  {
    name: "AWS: a profile, with its region",
    flags: bedrock,
    files: {
      ".aws/credentials": "[bench]\naws_access_key_id = test\naws_secret_access_key = secret\n",
      ".aws/config": "[profile bench]\nregion = eu-central-1\n"
    },
    env: { AWS_PROFILE: "bench" },
    authorization: signedBy("test", "eu-central-1"),
    hosts: ["bedrock-runtime.eu-central-1.amazonaws.com"]
  },
  {
    name: "AWS: a profile that assumes a role",
    flags: bedrock,
    files: {
      ".aws/config":
        "[profile base]\naws_access_key_id = first\naws_secret_access_key = first\n" +
        "[profile bench]\nsource_profile = base\nrole_arn = arn:aws:iam::1:role/r\nregion = us-east-1\n"
    },
    env: { AWS_PROFILE: "bench" },
    authorization: signedBy("test"),
    hosts: ["sts.us-east-1.amazonaws.com", bedrockHost]
  },
  {
    name: "AWS: single sign-on, in another region",
    flags: bedrock,
    files: {
      // The name of the file is the SHA-1 of the session's name.
      ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json": JSON.stringify({
        accessToken: "sso",
        expiresAt: "2999-01-01T00:00:00Z"
      }),
      ".aws/config":
        "[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.awsapps.com/start\n" +
        "[profile bench]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = r\nregion = us-east-1\n"
    },
    env: { AWS_PROFILE: "bench" },
    authorization: signedBy("test"),
    hosts: ["portal.sso.eu-west-1.amazonaws.com", bedrockHost]
  },
  {
    name: "AWS: web identity",
    flags: bedrock,
    files: { "web-token": "token" },
    env: {
      ...aws,
      AWS_WEB_IDENTITY_TOKEN_FILE: "~/web-token",
      AWS_ROLE_ARN: "arn:aws:iam::1:role/r"
    },
    authorization: signedBy("test"),
    hosts: ["sts.us-east-1.amazonaws.com", bedrockHost]
  },
  {
    name: "AWS: a container's role",
    flags: bedrock,
    env: { ...aws, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: "/container-credentials" },
    authorization: signedBy("test"),
    hosts: ["169.254.170.2", bedrockHost],
    direct: ["169.254.170.2"]
  },
  {
    name: "AWS: a machine's role",
    flags: bedrock,
    env: aws,
    authorization: signedBy("test"),
    hosts: ["169.254.169.254", bedrockHost],
    direct: ["169.254.169.254"]
  }
]

const filled = (text: string, home: string): string => text.replaceAll("~/", `${home}/`)

/** Puts the files of a route into an empty home folder. Returns its environment. */
export const settle = ({ env, files = {} }: Route, home: string): { readonly [name: string]: string } => {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(home, path, ".."), { recursive: true })
    writeFileSync(join(home, path), filled(text, home))
  }
  return { HOME: home, ...Object.fromEntries(Object.entries(env).map(([name, value]) => [name, filled(value, home)])) }
}
