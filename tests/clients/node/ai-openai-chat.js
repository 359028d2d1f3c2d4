// The packages `ai` and `@ai-sdk/openai`, Chat Completions.

import { createOpenAI } from "@ai-sdk/openai";

import { run } from "./ai-cases.js";

await run(["@ai-sdk/openai"], (target, model) => (
  createOpenAI({ baseURL: target.v1, apiKey: target.key }).chat(target.models[model])
));
