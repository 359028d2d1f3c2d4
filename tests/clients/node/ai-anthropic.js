// The packages `ai` and `@ai-sdk/anthropic`.

import { createAnthropic } from "@ai-sdk/anthropic";

import { run } from "./ai-cases.js";

await run(["@ai-sdk/anthropic"], (target, model) => (
  createAnthropic({ baseURL: target.v1, apiKey: target.key })(target.models[model])
));
