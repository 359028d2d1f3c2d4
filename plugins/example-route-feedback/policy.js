// The cheapest model that passed last week's feedback. The configuration holds the week's votes by
// model; a job of the organization writes it anew each week. Models without enough votes, or with
// too few good ones, stay behind as a last resort. When none passed, the built-in decides.

export const manifest = {
  name: "example-route-feedback",
  version: "0.1.0",
  summary: "the cheapest model that passed last week's feedback",
  configSchema: {
    type: "object",
    additionalProperties: false,
    required: ["votes"],
    properties: {
      votes: {
        type: "object",
        description: "model (vendor/model) to its good and bad votes",
        additionalProperties: {
          type: "object",
          additionalProperties: false,
          required: ["good", "bad"],
          properties: {
            good: { type: "integer", minimum: 0 },
            bad: { type: "integer", minimum: 0 },
          },
        },
      },
      pass: { type: "number", minimum: 0, maximum: 1, description: "share of good votes, 0.8" },
      enough: { type: "integer", minimum: 1, description: "votes that count, 20" },
    },
  },
};

let passed = new Map();
let why = [];

export function configure({ votes, pass = 0.8, enough = 20 }) {
  passed = new Map();
  for (const [model, { good, bad }] of Object.entries(votes)) {
    const share = good / Math.max(1, good + bad);
    if (good + bad >= enough && share >= pass) passed.set(model, share);
  }
}

export function route({ figures, candidates }) {
  const rows = figures.costUsd.map((cost, row) => {
    // "vendor/model@provider": who sells it does not matter to the feedback.
    const model = candidates.offer(row).split("@")[0];
    return { cost, share: passed.get(model) };
  });
  const missed = "did not pass last week's feedback";
  const good = (share) => `${Math.round(share * 100)} % good`;
  why = rows.map(({ share }) => (share === undefined ? missed : good(share)));
  if (rows.every(({ share }) => share === undefined)) return null;
  // Cheaper is better; who passed is above all who did not.
  return rows.map(({ cost, share }) => (share === undefined ? 0 : 1) + 1 / (1 + cost * 1000));
}

export function reason(index) {
  return why[index];
}
