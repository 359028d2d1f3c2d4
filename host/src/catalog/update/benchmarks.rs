//! Published benchmarks: which field each speaks for, on which scale, and for how much its source
//! counts. Never runs one; what isn't listed here is not used.

use std::collections::BTreeMap;

use super::source::Benchmark;

/// Figures in thousandths of the best imaginable model: of general work, and of each field that
/// benchmarks measure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) general: i64,
    pub(super) fields: [Option<i64>; FIELDS],
}

/// What benchmarks measure: code, work of agents, data analysis.
const FIELDS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Code,
    Agent,
    Data,
}

/// A benchmark's scale: which scores stand for 450 and for 900 thousandths. Read off where models
/// of known standing score.
struct Scale {
    name: &'static str,
    field: Field,
    at_450: f64,
    at_900: f64,
}

const fn scale(name: &'static str, field: Field, at_450: f64, at_900: f64) -> Scale {
    Scale { name, field, at_450, at_900 }
}

const SCALES: [Scale; 16] = [
    scale("Artificial Analysis Coding Index", Field::Code, 10.0, 45.0),
    scale("SWE-Bench Verified", Field::Code, 25.0, 83.0),
    scale("SWE-Bench Multilingual", Field::Code, 20.0, 80.0),
    scale("SWE-Bench Pro", Field::Code, 4.0, 64.0),
    scale("SWE Bench Pro", Field::Code, 4.0, 64.0),
    scale("SWE-Atlas Refactoring", Field::Code, -21.0, 47.0),
    scale("SWE-Atlas Test Writing", Field::Code, -2.0, 44.0),
    scale("Aider Polyglot", Field::Code, 5.0, 95.0),
    scale("LiveCodeBench", Field::Code, 30.0, 92.0),
    scale("Artificial Analysis Coding Agent Index", Field::Agent, 0.0, 63.0),
    scale("Terminal-Bench", Field::Agent, 20.0, 78.0),
    scale("Terminal-Bench 2.1", Field::Agent, 20.0, 78.0),
    scale("Terminal Bench 2.1", Field::Agent, 20.0, 78.0),
    scale("Terminal-Bench Hard", Field::Agent, 4.0, 45.0),
    scale("SWE-Atlas Codebase QnA", Field::Agent, -29.0, 45.0),
    // Programs for scientific computing: the nearest that there is to work on data.
    scale("SciCode", Field::Data, 20.0, 50.0),
];

/// Who measures models of others. What a maker says of its own counts for half: it chooses what to
/// publish, and how the model is run.
const INDEPENDENT: [&str; 5] = [
    "aider.chat",
    "artificialanalysis.ai",
    "labs.scale.com",
    // Passes on what Artificial Analysis measures.
    "openrouter.ai",
    "swebench.com",
];
const BY_OTHERS: f64 = 2.0;
const BY_ITS_MAKER: f64 = 1.0;
/// What price, age and size say beside them: a single score depends much on who ran it.
const BY_SIGHT: f64 = 2.0;

/// A page whose index is made of the other benchmarks that it lists, on harder tasks than those
/// have under the same names elsewhere.
const MADE_INTO_AN_INDEX: (&str, &str) =
    ("artificialanalysis.ai/agents", "Artificial Analysis Coding Agent Index");

/// The best scores published for one model, by benchmark.
#[derive(Debug, Clone, Default)]
pub(super) struct Scores(BTreeMap<String, Score>);

#[derive(Debug, Clone, Copy)]
struct Score {
    best: f64,
    weight: f64,
}

// === impl Scores ===

impl Scores {
    pub(super) fn add(&mut self, benchmark: &Benchmark) {
        let source = benchmark.source.as_deref().unwrap_or_default();
        let (page, index) = MADE_INTO_AN_INDEX;
        if source.contains(page) && benchmark.name != index {
            return;
        }
        let independent = INDEPENDENT.iter().any(|known| source.contains(known));
        let weight = if independent { BY_OTHERS } else { BY_ITS_MAKER };
        let score = Score { best: benchmark.score, weight };
        let known = self.0.entry(benchmark.name.clone()).or_insert(score);
        if score.best > known.best {
            *known = score;
        }
    }

    /// Takes over what is known of the same model under another name.
    pub(super) fn merge(&mut self, other: &Self) {
        for (name, score) in &other.0 {
            let known = self.0.entry(name.clone()).or_insert(*score);
            if score.best > known.best {
                *known = *score;
            }
        }
    }

    /// What they come to, each field with the guess as one more opinion; `None` where nothing was
    /// measured.
    pub(super) fn figures(&self, guessed: i64) -> Option<Figures> {
        let fields = [Field::Code, Field::Agent, Field::Data].map(|it| self.field(it, guessed));
        let [code, agent, data] = fields;
        let known: Vec<i64> = match (code, agent) {
            (None, None) => data.into_iter().collect(),
            _ => code.into_iter().chain(agent).collect(),
        };
        let count = i64::try_from(known.len()).ok().filter(|count| *count > 0)?;
        let mean = known.iter().sum::<i64>().checked_div(count)?;
        // They say as much about the rest as price, age and size do.
        let general = mean.saturating_add(guessed) / 2;
        Some(Figures { general, fields })
    }

    fn field(&self, field: Field, guessed: i64) -> Option<i64> {
        let scales = SCALES.iter().filter(|scale| scale.field == field);
        let known = scales.filter_map(|scale| Some((scale, self.0.get(scale.name)?)));
        let (sum, weight) = known.fold((0.0, 0.0), |(sum, weight), (scale, score)| {
            (sum + scale.place(score.best) * score.weight, weight + score.weight)
        });
        // Thousandths: far within what an integer holds.
        let with_guess = (sum + guessed as f64 * BY_SIGHT) / (weight + BY_SIGHT);
        (weight > 0.0).then(|| with_guess.round().clamp(0.0, 1000.0) as i64)
    }
}

// === impl Scale ===

impl Scale {
    /// Where a score stands, in thousandths, on a straight line through the two anchors.
    fn place(&self, score: f64) -> f64 {
        let span = self.at_900 - self.at_450;
        450.0 + (score - self.at_450) / span * 450.0
    }
}

// === impl Figures ===

impl Figures {
    /// The same with every figure changed, if it is known.
    pub(super) fn map(self, change: impl Fn(i64) -> i64) -> Self {
        let fields = self.fields.map(|field| field.map(&change));
        Self { general: change(self.general), fields }
    }

    /// The same with every figure of the other's changed by it; those of one alone as they are.
    pub(super) fn with(self, other: &Self, change: impl Fn(i64, i64) -> i64) -> Self {
        let mut fields = self.fields;
        for (own, other) in fields.iter_mut().zip(other.fields) {
            *own = own.map(|own| other.map_or(own, |other| change(own, other)));
        }
        Self { general: change(self.general, other.general), fields }
    }

    /// The higher of both, figure by figure; what only one has is kept.
    pub(super) fn best_of(self, other: &Self) -> Self {
        let mut fields = self.fields;
        for (own, other) in fields.iter_mut().zip(other.fields) {
            *own = (*own).max(other);
        }
        Self { general: self.general.max(other.general), fields }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(published: &[(&str, f64, &str)]) -> Scores {
        let mut scores = Scores::default();
        for (name, score, source) in published {
            let source = Some((*source).to_owned());
            scores.add(&Benchmark { name: (*name).to_owned(), score: *score, source });
        }
        scores
    }

    #[test]
    fn what_others_measured_counts_for_more_than_a_makers_word() {
        let by = |source| scores(&[("SWE-Bench Verified", 83.0, source)]).figures(600).unwrap();
        let (others, maker) = (by("https://www.swebench.com/"), by("https://maker.example/new"));
        assert_eq!(others.fields, [Some(750), None, None], "as much as the guess");
        assert_eq!(maker.fields, [Some(700), None, None]);
        assert!(others.general > maker.general && maker.general > 600);
    }

    #[test]
    fn each_benchmark_speaks_for_its_field() {
        let agent = ("Terminal-Bench", 78.0, "https://www.swebench.com");
        let data = ("SciCode", 50.0, "https://openrouter.ai/a");
        let figures = scores(&[agent, data]).figures(600).unwrap();
        assert_eq!(figures.fields, [None, Some(750), Some(750)]);
        assert_eq!(scores(&[("A benchmark of tomorrow", 99.0, "")]).figures(600), None);
    }

    #[test]
    fn what_an_index_is_made_of_does_not_count_again() {
        let page = "https://artificialanalysis.ai/agents/coding-agents";
        let index = ("Artificial Analysis Coding Agent Index", 63.0, page);
        let part = ("SWE-Bench Pro", 11.8, page);
        let figures = scores(&[index, part]).figures(900).unwrap();
        assert_eq!(figures.fields, [None, Some(900), None]);
    }
}
