// The `openai` package, Chat Completions.

import OpenAI, { AuthenticationError, NotFoundError } from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

import { CALL_MAX_MS, TOOLS, cancelled, check, failure, main, png, runLoop, runPair, same }
  from "./cases.js";

const Weather = z.object({ city: z.string(), degrees: z.number().int(), windy: z.boolean() });
const FUNCTIONS = TOOLS.map(({ name, description, schema }) => (
  { type: "function", function: { name, description, parameters: schema } }
));

function chat(target, apiKey = target.key) {
  const options = { baseURL: target.v1, apiKey, maxRetries: 0, timeout: CALL_MAX_MS };
  return new OpenAI(options).chat.completions;
}

function asked(target, model, content) {
  return { model: target.models[model], messages: [{ role: "user", content }] };
}

async function text(target) {
  const prompt = "Say größer and 😀.";
  const answer = await chat(target).create(asked(target, "echo", prompt));
  const choice = answer.choices[0];
  check(choice.message.content === prompt, "the text", choice.message.content);
  check(choice.finish_reason === "stop", "the finish reason", choice.finish_reason);
  const { prompt_tokens: before, completion_tokens: after, total_tokens: total } = answer.usage;
  check(total === before + after && total > 0, "usage", answer.usage);
  check(answer._request_id, "a request id", answer._request_id);
}

async function streaming(target) {
  const prompt = "Stream this, größer and 😀, please.";
  const request = { ...asked(target, "echo", prompt), stream: true };
  const chunks = [];
  const options = { include_usage: true };
  const stream = await chat(target).create({ ...request, stream_options: options });
  for await (const chunk of stream) chunks.push(chunk);
  const said = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
  check(said === prompt, "the text", said);
  check(chunks.length > 3, "more than one chunk", chunks.length);
  const finishes = chunks.map((chunk) => chunk.choices[0]?.finish_reason).filter(Boolean);
  check(same(finishes, ["stop"]), "the finish reason comes once", finishes);
  const last = chunks.at(-1);
  check(last.choices.length === 0 && last.usage.total_tokens > 0, "usage comes last", last);
  for await (const chunk of await chat(target).create(request)) {
    check(chunk.choices.length > 0 && !chunk.usage, "no usage when not asked for", chunk);
  }
}

function turn(target, model, streamed) {
  return async (messages) => {
    const request = { ...asked(target, model, ""), messages, tools: FUNCTIONS };
    const answer = streamed
      ? await chat(target).stream(request).finalChatCompletion()
      : await chat(target).create(request);
    const { message } = answer.choices[0];
    const calls = (message.tool_calls ?? []).map((call) => (
      { id: call.id, name: call.function.name, input: call.function.arguments }
    ));
    const expected = calls.length > 0 ? "tool_calls" : "stop";
    const finish = answer.choices[0].finish_reason;
    check(finish === expected, "the finish reason", finish);
    const next = (results) => [...messages, message, ...results.map(({ id, text: content }) => (
      { role: "tool", tool_call_id: id, content }
    ))];
    return { calls, text: message.content, next };
  };
}

async function tools(target, model, run) {
  for (const streamed of [false, true]) {
    await run([{ role: "user", content: "Paris" }], turn(target, model, streamed));
  }
}

async function image(target) {
  const url = `data:image/png;base64,${png().toString("base64")}`;
  const parts = [
    { type: "text", text: "What is this?" },
    { type: "image_url", image_url: { url } },
  ];
  const answer = await chat(target).create(asked(target, "echo", parts));
  const said = answer.choices[0].message.content;
  check(said.startsWith("What is this?"), "the text beside it", said);
  return png().toString("base64");
}

async function structured(target) {
  const format = zodResponseFormat(Weather, "weather");
  const request = { ...asked(target, "echo", "Paris"), response_format: format };
  const answer = await chat(target).parse(request);
  const { parsed } = answer.choices[0].message;
  check(Weather.safeParse(parsed).success, "an object of the schema", parsed);
}

async function error(target) {
  const missing = await failure(() => chat(target).create(asked(target, "unknown", "x")));
  check(missing instanceof NotFoundError, "the package's own exception", `${missing}`);
  check(missing.status === 404 && missing.code === "model_not_found", "code", missing.error);
  const stranger = chat(target, "tp-wrong");
  const refused = await failure(() => stranger.create(asked(target, "echo", "x")));
  check(refused instanceof AuthenticationError, "the package's own exception", `${refused}`);
}

async function cancelledStream(target) {
  const stream = await chat(target).create({ ...asked(target, "slow", "Go."), stream: true });
  async function* texts() {
    for await (const chunk of stream) yield chunk.choices[0]?.delta.content;
  }
  await cancelled(texts(), () => stream.controller.abort());
  await text(target);
}

await main(["openai"], {
  text,
  streaming,
  "tool loop": (target) => tools(target, "agent", runLoop),
  "parallel tools": (target) => tools(target, "pair", runPair),
  image,
  "structured output": structured,
  error,
  "cancelled stream": cancelledStream,
});
