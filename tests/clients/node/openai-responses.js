// The `openai` package, Responses, as a stateless caller uses them.

import OpenAI, { BadRequestError, NotFoundError } from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

import { CALL_MAX_MS, TOOLS, cancelled, check, failure, main, png, runLoop, runPair }
  from "./cases.js";

const Weather = z.object({ city: z.string(), degrees: z.number().int(), windy: z.boolean() });
const FUNCTIONS = TOOLS.map(({ name, description, schema }) => (
  { type: "function", name, description, parameters: schema, strict: true }
));

function responses(target) {
  const options = { baseURL: target.v1, apiKey: target.key, maxRetries: 0, timeout: CALL_MAX_MS };
  return new OpenAI(options).responses;
}

function asked(target, model, input) {
  return { model: target.models[model], input, store: false };
}

async function text(target) {
  const prompt = "Say größer and 😀.";
  const answer = await responses(target).create(asked(target, "echo", prompt));
  check(answer.output_text === prompt, "the text", answer.output_text);
  check(answer.status === "completed", "the status", answer.status);
  const { input_tokens: before, output_tokens: after, total_tokens: total } = answer.usage;
  check(total === before + after && total > 0, "usage", answer.usage);
}

async function streaming(target) {
  const prompt = "Stream this, größer and 😀, please.";
  const events = [];
  const stream = await responses(target).create({ ...asked(target, "echo", prompt), stream: true });
  for await (const event of stream) events.push(event);
  const deltas = events.filter(({ type }) => type === "response.output_text.delta");
  const said = deltas.map(({ delta }) => delta).join("");
  check(said === prompt, "the text", said);
  check(deltas.length > 1, "more than one piece", deltas.length);
  const numbers = events.map((event) => event.sequence_number);
  const rising = numbers.every((number, at) => at === 0 || number > numbers[at - 1]);
  check(rising, "rising sequence numbers", numbers);
  const last = events.at(-1);
  check(last.type === "response.completed", "the end", last.type);
  check(last.response.usage.total_tokens > 0, "usage at the end", last.response.usage);
  const helped = responses(target).stream(asked(target, "echo", prompt));
  const whole = await helped.finalResponse();
  check(whole.output_text === prompt, "the helper's whole text", whole.output);
}

function turn(target, model, streamed) {
  return async (items) => {
    const request = { ...asked(target, model, items), tools: FUNCTIONS };
    const answer = streamed
      ? await responses(target).stream(request).finalResponse()
      : await responses(target).create(request);
    const calls = answer.output.filter(({ type }) => type === "function_call");
    const output = answer.output.map(({ parsed_arguments: _, ...item }) => item);
    const next = (results) => [...items, ...output, ...results.map(({ id, text: said }) => (
      { type: "function_call_output", call_id: id, output: said }
    ))];
    return {
      calls: calls.map(({ call_id: id, name, arguments: input }) => ({ id, name, input })),
      text: answer.output_text,
      next,
    };
  };
}

async function tools(target, model, run) {
  for (const streamed of [false, true]) {
    await run([{ role: "user", content: "Paris" }], turn(target, model, streamed));
  }
}

async function image(target) {
  const url = `data:image/png;base64,${png().toString("base64")}`;
  const content = [
    { type: "input_text", text: "What is this?" },
    { type: "input_image", image_url: url, detail: "auto" },
  ];
  const request = asked(target, "echo", [{ role: "user", content }]);
  const answer = await responses(target).create(request);
  check(answer.output_text.startsWith("What is this?"), "the text beside it", answer.output_text);
  return png().toString("base64");
}

async function structured(target) {
  const format = zodTextFormat(Weather, "weather");
  const request = { ...asked(target, "echo", "Paris"), text: { format } };
  const { output_parsed: parsed } = await responses(target).parse(request);
  check(Weather.safeParse(parsed).success, "an object of the schema", parsed);
}

async function error(target) {
  for (const stream of [false, true]) {
    const request = { ...asked(target, "unknown", "x"), stream };
    const missing = await failure(() => responses(target).create(request));
    // OpenAI says 400 here and 404 in Chat, with the same code.
    const known = [BadRequestError, NotFoundError].some((kind) => missing instanceof kind);
    check(known, "the package's own exception", `${missing}`);
    check(missing.code === "model_not_found", "code", missing.error);
  }
}

async function cancelledStream(target) {
  const stream = await responses(target).create({ ...asked(target, "slow", "Go."), stream: true });
  async function* texts() {
    for await (const event of stream) {
      if (event.type === "response.output_text.delta") yield event.delta;
    }
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
