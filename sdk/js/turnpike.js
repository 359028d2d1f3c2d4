// The SDK of policies in JavaScript: `turnpike plugin build` puts it around what `policy.js`
// exports. It turns the contract's values into plain ones and back, catches what a policy throws,
// logs it and answers `internal`. It decides nothing, and needs nothing but the language.

// What a policy throws, or gets from `host`, to give no verdict.
class Refusal extends Error {
  constructor(tag, message) {
    super(message ?? tag);
    this.refusal = message === undefined ? { tag } : { tag, val: message };
  }
}

const plain = (value) => (value === null || value === undefined ? undefined : value.val);

function lower(value) {
  switch (typeof value) {
    case "string": return { tag: "text", val: value };
    case "number": return { tag: "number", val: value };
    case "boolean": return { tag: "flag", val: value };
    default: throw new Error(`an attribute is a text, a number or a flag, not ${typeof value}`);
  }
}

const attrsIn = (attrs) => Object.fromEntries(attrs.map(([name, value]) => [name, value.val]));
const attrsOut = (attrs) =>
  Object.entries(attrs ?? {}).map(([name, value]) => [name, lower(value)]);

// The request in hand. Every method asks the host; nothing is copied before.
function requestOf(given) {
  return {
    id: () => given.id(),
    protocol: () => given.protocol(),
    model: () => given.model(),
    streaming: () => given.streaming(),
    inputTokens: () => given.inputTokens(),
    outputTokensLimit: () => given.outputTokensLimit() ?? undefined,
    messages: () => given.messages(),
    messageRole: (index) => given.messageRole(index) ?? undefined,
    messageLength: (index) => given.messageLength(index),
    messageText: (index, offset = 0, length = 65536) => given.messageText(index, offset, length),
    tools: () => given.tools(),
    toolName: (index) => given.toolName(index) ?? undefined,
    toolDescription: (index) => given.toolDescription(index) ?? undefined,
    attr: (name) => plain(given.attr(name)),
    // The end of the last user message, where the question stands.
    lastUserText(bytes = 4096) {
      for (let at = given.messages() - 1; at >= 0; at -= 1) {
        if (given.messageRole(at) === "user") {
          const start = Math.max(0, given.messageLength(at) - bytes);
          return given.messageText(at, start, bytes);
        }
      }
      return "";
    },
  };
}

function candidatesOf(given) {
  return {
    count: () => given.count(),
    offer: (index) => given.offer(index),
    attr: (index, name) => plain(given.attr(index, name)),
  };
}

// Exact decimal US dollars as BigInt of 10^-12: money is never a float.
export const usd = {
  parse(text) {
    const match = /^(\d{1,15})(?:\.(\d{1,12}))?$/.exec(text);
    if (!match) throw new Error(`${text} is no decimal amount of US dollars`);
    return BigInt(match[1]) * 1000000000000n + BigInt((match[2] ?? "").padEnd(12, "0"));
  },
  print(pico) {
    const digits = pico.toString().padStart(13, "0");
    const fraction = digits.slice(-12).replace(/0+$/, "");
    return digits.slice(0, -12) + (fraction === "" ? "" : `.${fraction}`);
  },
  times: (price, count) => usd.print(usd.parse(price) * BigInt(count)),
};

// A policy counts in JavaScript's units, the contract in UTF-8 bytes.
function byteOffsets(text, places) {
  const sorted = [...new Set(places)].sort((one, other) => one - other);
  const found = new Map();
  let bytes = 0;
  let next = 0;
  for (let at = 0; at <= text.length && next < sorted.length; at += 1) {
    if (sorted[next] === at) {
      found.set(at, bytes);
      next += 1;
    }
    const unit = text.charCodeAt(at);
    // Each half of a pair counts two of its four bytes.
    bytes += unit < 0x80 ? 1 : unit < 0x800 ? 2 : unit >= 0xd800 && unit < 0xe000 ? 2 : 3;
  }
  return found;
}

function action(span) {
  const named = typeof span.action === "string" ? { [span.action]: undefined } : span.action;
  const [tag, val] = Object.entries(named)[0];
  return val === undefined ? { tag } : { tag, val };
}

function findings(text, found) {
  const spans = found.spans ?? [];
  const keep = text.length - (found.hold ?? 0);
  const at = byteOffsets(text, [keep, text.length, ...spans.flatMap((it) => [it.start, it.end])]);
  return {
    spans: spans.map((span) => ({
      start: at.get(span.start),
      length: at.get(span.end) - at.get(span.start),
      kind: span.kind,
      action: action(span),
    })),
    hold: at.get(text.length) - at.get(keep),
    dataClass: found.dataClass ?? "",
  };
}

function classification(found) {
  return {
    task: found.task,
    difficulty: found.difficulty ?? 0.5,
    confidence: found.confidence ?? 0.5,
    needs: found.needs ?? [],
    contextTokens: found.contextTokens ?? 0,
    attrs: attrsOut(found.attrs),
  };
}

function line(it) {
  const amount = it.amount ?? usd.times(it.unitPrice, it.count);
  return { item: it.item, count: it.count, unitPrice: it.unitPrice, amount, note: it.note ?? "" };
}

// The state and the network hand over bytes, and QuickJS has no TextDecoder.
const BYTES_AT_A_TIME = 4096;
const utf8 = {
  encode: (text) =>
    Uint8Array.from(unescape(encodeURIComponent(text)), (unit) => unit.charCodeAt(0)),
  // Throws where they are no UTF-8.
  decode(bytes) {
    let units = "";
    for (let at = 0; at < bytes.length; at += BYTES_AT_A_TIME) {
      units += String.fromCharCode(...bytes.slice(at, at + BYTES_AT_A_TIME));
    }
    return decodeURIComponent(escape(units));
  },
};

// The component's exports around a policy's module.
export function host(policy, given) {
  const log = (message, level = "info") => given.log.write(level, String(message));
  const request = requestOf(given.request);
  const candidates = given.candidates && candidatesOf(given.candidates);
  const tools = {
    ...given,
    log,
    usd,
    utf8,
    abstain: () => new Refusal("abstain"),
    invalid: (message) => new Refusal("invalid", String(message)),
  };

  // Runs a decision. Nothing returned is an abstention; anything thrown is a refusal.
  function decide(name, work) {
    let found;
    try {
      found = work();
    } catch (thrown) {
      if (thrown instanceof Refusal) throw thrown.refusal;
      const words = thrown instanceof Error ? `${thrown.message}\n${thrown.stack}` : String(thrown);
      log(`${name}: ${words}`, "error");
      throw { tag: "internal", val: words.slice(0, 512) };
    }
    if (found === null || found === undefined) throw { tag: "abstain" };
    return found;
  }

  return {
    plugin: {
      describe() {
        const { name, version, summary = "", configSchema = "" } = policy.manifest;
        const text = typeof configSchema === "string";
        const schema = text ? configSchema : JSON.stringify(configSchema);
        return { name, version, summary, configSchema: schema };
      },
      configure(config) {
        try {
          policy.configure?.(JSON.parse(config), tools);
        } catch (thrown) {
          throw thrown instanceof Error ? thrown.message : String(thrown);
        }
      },
    },
    classify: {
      classify: () =>
        decide("classify", () => {
          const found = policy.classify(request, tools);
          return found && classification(found);
        }),
    },
    route: {
      score: (task, figures, objective) =>
        decide("route", () => {
          const asked = { ...task, attrs: attrsIn(task.attrs) };
          return policy.route({ task: asked, figures, objective, candidates, request }, tools);
        }),
    },
    routeReasons: {
      reason(index) {
        try {
          return String(policy.reason?.(index, tools) ?? "");
        } catch (thrown) {
          log(`reason: ${thrown}`, "error");
          return "";
        }
      },
    },
    redact: {
      scan: (place, text, last) =>
        decide("redact", () => {
          const found = policy.redact({ place, text, last, request }, tools);
          return found && findings(text, found);
        }),
    },
    bill: {
      price: (call) =>
        decide("bill", () => {
          const lines = policy.bill({ ...call, attrs: attrsIn(call.attrs) }, tools);
          return lines && lines.map(line);
        }),
    },
  };
}
