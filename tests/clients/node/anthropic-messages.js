// The `@anthropic-ai/sdk` package.

import Anthropic, { AuthenticationError, NotFoundError } from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";

import { CALL_MAX_MS, TOOLS, cancelled, check, failure, main, png, runLoop, runPair, same }
  from "./cases.js";

const Weather = z.object({ city: z.string(), degrees: z.number().int(), windy: z.boolean() });
const TOOL_LIST = TOOLS.map(({ name, description, schema }) => (
  { name, description, input_schema: schema }
));

function messages(target, apiKey = target.key) {
  const options = { baseURL: target.root, apiKey, maxRetries: 0, timeout: CALL_MAX_MS };
  return new Anthropic(options).messages;
}

function asked(target, model, content) {
  const request = { model: target.models[model], max_tokens: 1000 };
  return { ...request, messages: [{ role: "user", content }] };
}

async function text(target) {
  const prompt = "Say größer and 😀.";
  const answer = await messages(target).create(asked(target, "echo", prompt));
  check(same(answer.content.map(({ type }) => type), ["text"]), "one block", answer.content);
  check(answer.content[0].text === prompt, "the text", answer.content);
  check(answer.stop_reason === "end_turn", "the stop reason", answer.stop_reason);
  const { input_tokens: before, output_tokens: after } = answer.usage;
  check(before > 0 && after > 0, "usage", answer.usage);
  check(answer._request_id, "a request id", answer._request_id);
}

async function streaming(target) {
  const prompt = "Stream this, größer and 😀, please.";
  const kinds = [];
  const raw = await messages(target).create({ ...asked(target, "echo", prompt), stream: true });
  for await (const event of raw) if (event.type !== "ping") kinds.push(event.type);
  const opening = ["message_start", "content_block_start", "content_block_delta"];
  check(same(kinds.slice(0, 3), opening), "the opening", kinds);
  const closing = ["content_block_stop", "message_delta", "message_stop"];
  check(same(kinds.slice(-3), closing), "the end", kinds);
  const stream = messages(target).stream(asked(target, "echo", prompt));
  const pieces = [];
  stream.on("text", (piece) => pieces.push(piece));
  const final = await stream.finalMessage();
  check(pieces.join("") === prompt && pieces.length > 1, "the pieces", pieces);
  check(final.content[0].text === prompt, "the whole", final.content);
  check(final.stop_reason === "end_turn", "the stop reason", final.stop_reason);
  const { input_tokens: before, output_tokens: after } = final.usage;
  check(before > 0 && after > 0, "usage", final.usage);
}

function turn(target, model, streamed) {
  return async (history) => {
    const request = { ...asked(target, model, ""), messages: history, tools: TOOL_LIST };
    const answer = streamed
      ? await messages(target).stream(request).finalMessage()
      : await messages(target).create(request);
    const calls = answer.content.filter(({ type }) => type === "tool_use");
    const expected = calls.length > 0 ? "tool_use" : "end_turn";
    check(answer.stop_reason === expected, "the stop reason", answer.stop_reason);
    const said = answer.content.map((block) => (block.type === "text" ? block.text : ""));
    const result = ({ id, text: content }) => ({ type: "tool_result", tool_use_id: id, content });
    const next = (results) => [
      ...history,
      { role: "assistant", content: answer.content },
      { role: "user", content: results.map(result) },
    ];
    return { calls, text: said.join(""), next };
  };
}

async function tools(target, model, run) {
  for (const streamed of [false, true]) {
    await run([{ role: "user", content: "Paris" }], turn(target, model, streamed));
  }
}

async function image(target) {
  const data = png().toString("base64");
  const content = [
    { type: "image", source: { type: "base64", media_type: "image/png", data } },
    { type: "text", text: "What is this?" },
  ];
  const answer = await messages(target).create(asked(target, "echo", content));
  check(answer.content[0].text.startsWith("What is this?"), "the text beside it", answer.content);
  return png().toString("base64");
}

async function structured(target) {
  const config = { format: zodOutputFormat(Weather) };
  const request = { ...asked(target, "echo", "Paris"), output_config: config };
  const answer = await messages(target).parse(request);
  const parsed = answer.parsed_output;
  check(Weather.safeParse(parsed).success, "an object of the schema", answer.content);
}

async function error(target) {
  for (const stream of [false, true]) {
    const request = { ...asked(target, "unknown", "x"), stream };
    const missing = await failure(() => messages(target).create(request));
    check(missing instanceof NotFoundError, "the package's own exception", `${missing}`);
    const { type, error: inner } = missing.error;
    check(same([type, inner.type], ["error", "not_found_error"]), "the shape", missing.error);
  }
  const stranger = messages(target, "tp-wrong");
  const refused = await failure(() => stranger.create(asked(target, "echo", "x")));
  check(refused instanceof AuthenticationError, "the package's own exception", `${refused}`);
}

async function cancelledStream(target) {
  const stream = messages(target).stream(asked(target, "slow", "Go."));
  async function* texts() {
    for await (const event of stream) yield event.delta?.text;
  }
  await cancelled(texts(), () => stream.abort());
  await text(target);
}

await main(["@anthropic-ai/sdk"], {
  text,
  streaming,
  "tool loop": (target) => tools(target, "agent", runLoop),
  "parallel tools": (target) => tools(target, "pair", runPair),
  image,
  "structured output": structured,
  error,
  "cancelled stream": cancelledStream,
});
