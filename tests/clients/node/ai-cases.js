// What the AI SDK's cases have in common, whichever provider's package the model comes from.

import { APICallError, Output, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

import { CALL_MAX_MS, TOOLS, callTool, cancelled, check, checkLoop, checkPair, failure, main, png }
  from "./cases.js";

const Weather = z.object({ city: z.string(), degrees: z.number().int(), windy: z.boolean() });

const TOOL_SET = Object.fromEntries(TOOLS.map(({ name, description, schema }) => [
  name,
  tool({
    description,
    inputSchema: jsonSchema(schema),
    execute: async (input) => callTool(name, input),
  }),
]));

/** The cases, with the models that `make(target, model)` makes. */
export async function run(packages, make) {
  const options = (target, model, more) => ({
    model: make(target, model),
    maxRetries: 0,
    abortSignal: AbortSignal.timeout(CALL_MAX_MS),
    ...more,
  });

  async function text(target) {
    const prompt = "Say größer and 😀.";
    const more = { instructions: "Be brief.", prompt };
    const answer = await generateText(options(target, "echo", more));
    check(answer.text === prompt, "the text", answer.text);
    check(answer.finishReason === "stop", "the finish reason", answer.finishReason);
    const { inputTokens: before, outputTokens: after } = answer.usage;
    check(before > 0 && after > 0, "usage", answer.usage);
  }

  async function streaming(target) {
    const prompt = "Stream this, größer and 😀, please.";
    const answer = streamText(options(target, "echo", { prompt, onError: () => {} }));
    const pieces = [];
    for await (const piece of answer.textStream) pieces.push(piece);
    check(pieces.join("") === prompt && pieces.length > 1, "the text", pieces);
    const finish = await answer.finishReason;
    check(finish === "stop", "the finish reason", finish);
    const { inputTokens: before, outputTokens: after } = await answer.usage;
    check(before > 0 && after > 0, "usage", await answer.usage);
  }

  async function tools(target, model, judge) {
    const more = { prompt: "Paris", tools: TOOL_SET, stopWhen: stepCountIs(5) };
    for (const streamed of [false, true]) {
      const asked = options(target, model, { ...more, ...(streamed && { onError: () => {} }) });
      const answer = streamed ? streamText(asked) : await generateText(asked);
      if (streamed) await answer.consumeStream();
      const steps = await answer.steps;
      const turns = steps.map(({ toolCalls }) => toolCalls).filter((calls) => calls.length > 0);
      judge({
        calls: turns.flat().map(({ toolName, input }) => [toolName, input]),
        turns: turns.map((calls) => calls.map(({ toolCallId }) => toolCallId)),
        text: await answer.text,
      });
    }
  }

  async function image(target) {
    const content = [
      { type: "text", text: "What is this?" },
      { type: "file", data: png(), mediaType: "image/png" },
    ];
    const more = { messages: [{ role: "user", content }] };
    const answer = await generateText(options(target, "echo", more));
    check(answer.text.startsWith("What is this?"), "the text beside it", answer.text);
    return png().toString("base64");
  }

  async function structured(target) {
    const output = Output.object({ schema: Weather });
    const answer = await generateText(options(target, "echo", { prompt: "Paris", output }));
    check(Weather.safeParse(answer.output).success, "an object of the schema", answer.text);
  }

  async function error(target) {
    const asked = () => options(target, "unknown", { prompt: "x" });
    const whole = await failure(() => generateText(asked()));
    check(APICallError.isInstance(whole), "the package's own exception", `${whole}`);
    // OpenAI says 400 in Responses and 404 in Chat.
    check([400, 404].includes(whole.statusCode), "status", whole.statusCode);
    let streamed;
    const answer = streamText({ ...asked(), onError: ({ error: seen }) => { streamed = seen; } });
    await answer.consumeStream();
    check(APICallError.isInstance(streamed), "the package's own exception", `${streamed}`);
    check([400, 404].includes(streamed.statusCode), "status", streamed.statusCode);
  }

  async function cancelledStream(target) {
    const controller = new AbortController();
    const more = { prompt: "Go.", abortSignal: controller.signal, onError: () => {} };
    const answer = streamText(options(target, "slow", more));
    await cancelled(answer.textStream, () => controller.abort());
    await text(target);
  }

  await main(["ai", ...packages], {
    text,
    streaming,
    "tool loop": (target) => tools(target, "agent", checkLoop),
    "parallel tools": (target) => tools(target, "pair", checkPair),
    image,
    "structured output": structured,
    error,
    "cancelled stream": cancelledStream,
  });
}
