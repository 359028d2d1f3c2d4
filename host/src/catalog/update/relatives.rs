//! From what was measured of some models to a figure for each: whoever was not measured is placed
//! beside the nearest of its maker that was. Newer, larger and same stay newer, larger and same.
//! Never places a model by another maker's.

use std::collections::{BTreeMap, BTreeSet};

use super::benchmarks::Figures;
use super::estimate::{Evidence, Parts, bounded, embedding, off_for_code};
use super::kinship::Spelling;
use super::ranks::{Ranks, Rung};

/// A later generation of a family is this much better than the one that was measured, if time
/// doesn't say more; and none is better than the best measured of its maker by more.
const STEP: i64 = 25;
/// Taken off because nobody measured it: between a known and a hoped-for model of the same
/// standing the known one is chosen.
const DOUBT: i64 = 10;
/// The same where nobody measured any model of the maker.
const DOUBT_OF_A_MAKER: i64 = 20;
/// How far apart two rungs of a ladder are at least.
const RUNG: i64 = 10;

/// How much less a relative says: for each month between them, for another generation's first
/// number, for each word that only one has, for another family.
const APART_PER_MONTH: i64 = 8;
const APART_BY_GENERATION: i64 = 40;
const APART_PER_WORD: i64 = 10;
const APART_BY_FAMILY: i64 = 60;

/// What the sources give for one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Estimate {
    pub(super) general: u16,
    /// Of code, agents and data analysis.
    pub(super) fields: [Option<u16>; 3],
    /// The model that its figures are taken from, if it was not measured itself.
    pub(super) like: Option<String>,
}

/// A model among the others.
struct Model<'a> {
    name: &'a str,
    vendor: &'a str,
    spelling: Spelling,
    rung: Option<Rung>,
    parts: Parts,
    figures: Figures,
    like: Option<&'a str>,
    measured: bool,
}

/// The priors of all models by their catalogue names.
///
/// # Errors
/// When the table of ranks can't be read.
pub(super) fn priors(
    evidence: &BTreeMap<String, Evidence>,
) -> Result<BTreeMap<&str, Estimate>, String> {
    let ranks = Ranks::embedded()?;
    let chat = evidence.iter().filter(|(_, known)| !known.embedding);
    let names: BTreeSet<&str> = chat.map(|(name, _)| name.as_str()).collect();
    let plain = ranks.plain(&names);
    let pooled = pooled(evidence, &plain);
    let mut models: Vec<Model<'_>> =
        pooled.iter().map(|(name, evidence)| Model::new(name, evidence, &ranks)).collect();
    rise(&mut models, |model| model.measured);
    place(&mut models);
    rise(&mut models, |_| true);
    hold_to_ladders(&mut models);
    let estimates: BTreeMap<&str, Estimate> =
        models.iter().map(|model| (model.name, model.estimate())).collect();
    let of = |name: &str, known: &Evidence| {
        let plain = plain.get(name).and_then(|plain| estimates.get(plain)).cloned();
        plain.unwrap_or_else(|| {
            let general = if known.embedding { embedding(name) } else { 0 };
            Estimate { general: permille(general), fields: [None; 3], like: None }
        })
    };
    Ok(evidence.iter().map(|(name, known)| (name.as_str(), of(name, known))).collect())
}

/// What is known of each model under all of its names.
fn pooled<'a>(
    evidence: &BTreeMap<String, Evidence>,
    plain: &BTreeMap<&'a str, &'a str>,
) -> BTreeMap<&'a str, Evidence> {
    let mut pooled: BTreeMap<&str, Evidence> = BTreeMap::new();
    // The plain names first: their dates and prices are the model's.
    let (own, other): (Vec<_>, Vec<_>) = plain.iter().partition(|(name, plain)| name == plain);
    for (name, plain) in own.into_iter().chain(other) {
        let Some(more) = evidence.get(*name) else { continue };
        let Some(known) = pooled.get_mut(plain) else {
            pooled.insert(*plain, more.clone());
            continue;
        };
        known.scores.merge(&more.scores);
        known.reasoning |= more.reasoning;
        known.released = known.released.take().or_else(|| more.released.clone());
    }
    pooled
}

/// Along each line of a maker, a later generation is at least what the one before was: what speaks
/// against it is mostly who measured.
fn rise(models: &mut [Model<'_>], counts: impl Fn(&Model<'_>) -> bool) {
    let mut lines: BTreeMap<_, Vec<(u32, usize)>> = BTreeMap::new();
    for (index, model) in models.iter().enumerate().filter(|(_, model)| counts(model)) {
        if model.spelling.generation > 0 {
            let line = lines.entry(model.line()).or_default();
            line.push((model.spelling.generation, index));
        }
    }
    for mut line in lines.into_values() {
        line.sort_unstable();
        let mut best: Option<Figures> = None;
        for generation in line.chunk_by(|(one, _), (other, _)| one == other) {
            let before = best;
            for (_, index) in generation {
                let Some(model) = models.get_mut(*index) else { continue };
                if let Some(before) = &before {
                    model.figures = model.figures.with(before, i64::max);
                }
                best = Some(best.map_or(model.figures, |best| best.best_of(&model.figures)));
            }
        }
    }
}

/// Gives every model that was not measured the figures of its nearest relative, changed by what
/// they differ in.
fn place(models: &mut [Model<'_>]) {
    let mut best: BTreeMap<&str, Figures> = BTreeMap::new();
    for model in models.iter().filter(|model| model.measured) {
        let known = best.entry(model.vendor).or_insert(model.figures);
        *known = known.best_of(&model.figures);
    }
    let known = &*models;
    let placed: Vec<Option<(Figures, &str)>> = known
        .iter()
        .map(|model| {
            let relative = model.nearest(known)?;
            let most = best.get(model.vendor)?;
            Some((model.placed(relative, most), relative.name))
        })
        .collect();
    for (model, placed) in models.iter_mut().zip(placed) {
        match placed {
            Some((figures, like)) => (model.figures, model.like) = (figures, Some(like)),
            None if !model.measured => {
                model.figures = model.figures.map(|it| it.saturating_sub(DOUBT_OF_A_MAKER));
            }
            None => {}
        }
    }
}

/// Of one generation, a smaller model is worse than a larger one. A larger one that nobody measured
/// is better than a smaller one that somebody did; else it is the smaller one that gives way.
fn hold_to_ladders(models: &mut [Model<'_>]) {
    let mut ladders: BTreeMap<(usize, u32), Vec<(usize, usize)>> = BTreeMap::new();
    for (index, model) in models.iter().enumerate() {
        // A name without a number moves on with the generations.
        if let Some(rung) = model.rung.filter(|_| model.spelling.generation > 0) {
            let ladder = ladders.entry((rung.ladder, model.spelling.generation)).or_default();
            ladder.push((rung.below_top, index));
        }
    }
    for mut ladder in ladders.into_values() {
        ladder.sort_unstable();
        let pairs = ladder.iter().flat_map(|high| ladder.iter().map(move |low| (*high, *low)));
        let pairs = pairs.filter(|(high, low)| high.0 < low.0);
        let pairs: Vec<(usize, usize)> = pairs.map(|(high, low)| (high.1, low.1)).collect();
        for (high, low) in pairs.iter().copied() {
            if !is_measured(models, high) && is_measured(models, low) {
                let least = figures(models, low).map(|it| it.saturating_add(RUNG));
                change(models, high, |own| own.with(&least, i64::max));
            }
        }
        for (high, low) in pairs {
            let most = figures(models, high).map(|it| it.saturating_sub(RUNG));
            change(models, low, |own| own.with(&most, i64::min));
        }
    }
}

fn is_measured(models: &[Model<'_>], index: usize) -> bool {
    models.get(index).is_some_and(|model| model.measured)
}

fn figures(models: &[Model<'_>], index: usize) -> Figures {
    models.get(index).map(|model| model.figures).unwrap_or_default()
}

fn change(models: &mut [Model<'_>], index: usize, to: impl Fn(Figures) -> Figures) {
    if let Some(model) = models.get_mut(index) {
        model.figures = to(model.figures);
    }
}

fn permille(figure: i64) -> u16 {
    u16::try_from(bounded(figure)).unwrap_or(0)
}

// === impl Model ===

impl<'a> Model<'a> {
    fn new(name: &'a str, evidence: &Evidence, ranks: &Ranks) -> Self {
        let vendor = name.split('/').next().unwrap_or_default();
        let spelling = Spelling::of(name);
        let rung = ranks.rung(vendor, &spelling);
        let parts = Parts::of(name, evidence);
        let guess = parts.guess();
        let figures = evidence.scores.figures(guess);
        Self {
            name,
            vendor,
            spelling,
            rung,
            parts,
            measured: figures.is_some(),
            figures: figures.unwrap_or(Figures { general: guess, ..Figures::default() }),
            like: None,
        }
    }

    /// What its generations have in common: the rung on its ladder, else its words.
    fn line(&self) -> (&'a str, Option<Rung>, Vec<String>) {
        let words = if self.rung.is_some() { Vec::new() } else { self.spelling.words.clone() };
        (self.vendor, self.rung, words)
    }

    fn is_of_family(&self, other: &Self) -> bool {
        self.spelling.words.first() == other.spelling.words.first()
    }

    /// The measured model of the same maker that says most about this one.
    fn nearest<'b>(&self, models: &'b [Self]) -> Option<&'b Self> {
        if self.measured {
            return None;
        }
        let own = models.iter().filter(|it| it.measured && it.vendor == self.vendor);
        own.min_by_key(|it| (self.apart(it), it.name))
    }

    fn apart(&self, other: &Self) -> i64 {
        let months = self.parts.months.abs_diff(other.parts.months);
        let months = i64::try_from(months).unwrap_or(i64::MAX).saturating_mul(APART_PER_MONTH);
        let first = |model: &Self| model.spelling.generation / 1000;
        let generation = if first(self) == first(other) { 0 } else { APART_BY_GENERATION };
        let words = if self.line() == other.line() {
            0
        } else if self.is_of_family(other) {
            self.words_apart(other).saturating_mul(APART_PER_WORD).min(APART_BY_FAMILY)
        } else {
            APART_BY_FAMILY
        };
        let (own, its) = (&self.parts, &other.parts);
        let price = own.price.saturating_sub(its.price).saturating_abs() / 2;
        let size = own.size.saturating_sub(its.size).saturating_abs();
        let thinking = own.thinking.saturating_sub(its.thinking).saturating_abs();
        let worth = price.saturating_add(size).saturating_add(thinking) / 3;
        months.saturating_add(generation).saturating_add(words).saturating_add(worth)
    }

    fn words_apart(&self, other: &Self) -> i64 {
        let only = |one: &Self, two: &Self| {
            one.spelling.words.iter().filter(|word| !two.spelling.words.contains(word)).count()
        };
        let apart = only(self, other).saturating_add(only(other, self));
        i64::try_from(apart).unwrap_or(i64::MAX)
    }

    /// Its figures beside those of a relative: by half of what time and price say, since both are
    /// weak witnesses, and by all that size and thinking do.
    fn placed(&self, relative: &Self, most: &Figures) -> Figures {
        let (own, its) = (&self.parts, &relative.parts);
        let mut time = own.frontier.saturating_sub(its.frontier) / 2;
        let mut price = its.price.saturating_sub(own.price) / 2;
        if self.is_of_family(relative) {
            if self.spelling.generation > relative.spelling.generation {
                time = time.max(STEP);
            } else if own.months < its.months {
                // An older one isn't better for being dearer.
                price = price.min(0);
            }
        }
        let size = its.size.saturating_sub(own.size);
        let thinking = own.thinking.saturating_sub(its.thinking);
        let by = time.saturating_add(price).saturating_add(size).saturating_add(thinking);
        let beside = relative.figures.map(|it| it.saturating_add(by));
        beside.with(most, |own, most| own.min(most.saturating_add(STEP)).saturating_sub(DOUBT))
    }

    fn estimate(&self) -> Estimate {
        let general = self.figures.general.saturating_sub(off_for_code(self.name));
        Estimate {
            general: permille(general),
            fields: self.figures.fields.map(|field| field.map(permille)),
            like: self.like.map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests;
