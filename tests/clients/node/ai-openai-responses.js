// The packages `ai` and `@ai-sdk/openai`, Responses, which is their default.

import { createOpenAI } from "@ai-sdk/openai";

import { run } from "./ai-cases.js";

await run(["@ai-sdk/openai"], (target, model) => (
  createOpenAI({ baseURL: target.v1, apiKey: target.key })(target.models[model])
));
