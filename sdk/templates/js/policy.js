// A route policy: the offers of the vendors that the configuration prefers go first, the cheaper
// ones before the others. Without a configuration it abstains, and the built-in decides.

export const manifest = {
  name: "policy-name",
  version: "0.1.0",
  summary: "prefers the vendors of its configuration, the cheaper offers first",
  configSchema: {
    type: "object",
    additionalProperties: false,
    required: ["prefer"],
    properties: { prefer: { type: "array", minItems: 1, items: { type: "string" } } },
  },
};

// Set by `configure`, once in each fresh instance. Nothing else may be remembered between calls.
let prefer = [];

export function configure(config) {
  prefer = config.prefer;
}

// One score for each candidate, higher is better; a negative one excludes it. Fallbacks keep to
// those of the same whole part while there are any: here the preferred ones.
export function route({ figures, candidates }) {
  if (prefer.length === 0) return null;
  return figures.costUsd.map((cost, row) => {
    const preferred = prefer.includes(candidates.attr(row, "vendor"));
    return (preferred ? 1 : 0) + 1 / (1 + cost * 1000);
  });
}

export function reason() {
  return `preferred vendors: ${prefer.join(", ")}`;
}
