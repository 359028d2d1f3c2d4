//! The report: cross-validated figures of the whole decision, with weights that have not seen what
//! they are asked about. Never writes weights.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use classify_default::training::{self, Entry, Feature, TASKS};

use crate::data::{self, Prompt, Question};
use crate::dice::Dice;
use crate::fit::{self, Example, Measured};
use crate::measure::{Confusion, apgr};
use crate::overlap;
use crate::prompts;

const FOLDS: usize = 5;
const SEED: u64 = 7;
/// Folds of the questions that have no subjects.
const GSM8K_FOLDS: usize = 10;
/// Everyday prompts that a weak model answers as well as a strong one.
const EASY: [&str; 4] = ["chat", "translation", "summarization", "extraction"];
/// Of those one in so many.
const EASY_STEP: usize = 4;
/// How much the prompts of the dev set count, where one of our own counts as one.
const DEV_WEIGHT: f64 = 2.0;
/// A task of which we have far more prompts than are asked in life, and how much each counts.
const RARE: &str = "extraction";
const RARE_WEIGHT: f64 = 0.2;

/// A prompt with its features.
struct Read<'a> {
    prompt: &'a Prompt,
    features: Vec<Feature>,
}

fn read(prompts: &[Prompt]) -> Vec<Read<'_>> {
    prompts
        .iter()
        .map(|prompt| Read { prompt, features: training::features(&prompt.request) })
        .collect()
}

/// The weights of the component: everything learnt from everything.
pub(crate) fn built_in(own: &[Prompt], tasks: &[Prompt], questions: &[Question]) -> Vec<u8> {
    let (own, tasks) = (read(own), read(tasks));
    let entries = learn(&own, tasks.iter());
    let features = question_features(questions);
    training::encode(&entries, &gains(&own, questions, &features, |_| true))
}

/// Of our own prompts and those of the dev set. Among the latter, tasks with few prompts count for
/// more, so that none is given up.
fn learn<'a>(own: &'a [Read<'a>], dev: impl Iterator<Item = &'a Read<'a>>) -> Vec<Entry> {
    let dev: Vec<&Read<'_>> = dev.collect();
    let mut examples = Vec::new();
    for it in own {
        let task = it.prompt.task;
        let rare = TASKS.get(task).is_some_and(|it| *it == RARE);
        let weight = if rare { RARE_WEIGHT } else { 1.0 };
        examples.push(Example {
            pattern: Some(&it.prompt.source),
            features: &it.features,
            task,
            weight,
        });
    }
    let mut counts = [0_u32; TASKS.len()];
    for it in &dev {
        counts.iter_mut().skip(it.prompt.task).take(1).for_each(|count| *count += 1);
    }
    let roots: f64 = counts.iter().map(|count| f64::from(*count).sqrt()).sum();
    for it in &dev {
        let count = counts.get(it.prompt.task).copied().unwrap_or(1);
        let share = dev.len() as f64 / (roots * f64::from(count).sqrt());
        let weight = DEV_WEIGHT * share;
        let task = it.prompt.task;
        examples.push(Example { pattern: None, features: &it.features, task, weight });
    }
    fit::tasks(&examples)
}

fn question_features(questions: &[Question]) -> Vec<Vec<Feature>> {
    questions.iter().map(|it| training::features(&it.request)).collect()
}

fn gains(
    own: &[Read<'_>],
    questions: &[Question],
    features: &[Vec<Feature>],
    with: impl Fn(usize) -> bool,
) -> Vec<f64> {
    let easy = own
        .iter()
        .filter(|it| TASKS.get(it.prompt.task).is_some_and(|task| EASY.contains(task)))
        .step_by(EASY_STEP);
    let mut measured: Vec<Measured<'_>> =
        easy.map(|it| Measured { features: &it.features, figure: 0.0 }).collect();
    for (index, (question, features)) in questions.iter().zip(features).enumerate() {
        if with(index) {
            measured.push(Measured { features, figure: question.gain() });
        }
    }
    fit::gain(&measured)
}

/// Prints everything, with `mistakes` also each prompt of the dev set that is taken for another.
pub(crate) fn print(folder: &Path, mistakes: bool, out: &mut dyn Write) -> Result<(), String> {
    let own = prompts::all()?;
    let tasks = data::tasks(folder)?;
    let questions = data::questions(folder)?;
    overlap::none(&own, &tasks)?;
    overlap::none(&own, &data::held_out()?)?;
    let mut text = String::new();
    task_report(&mut text, &own, &tasks, mistakes).map_err(|it| it.to_string())?;
    difficulty_report(&mut text, &own, &tasks, &questions).map_err(|it| it.to_string())?;
    out.write_all(text.as_bytes()).map_err(|it| it.to_string())
}

fn task_report(
    text: &mut String,
    own: &[Prompt],
    tasks: &[Prompt],
    mistakes: bool,
) -> std::fmt::Result {
    let (own, tasks) = (read(own), read(tasks));
    writeln!(text, "{} prompts of our own, {} of the dev set\n", own.len(), tasks.len())?;
    let folds = folds(&tasks);
    let mut whole = Confusion::default();
    let learnt = parallel(FOLDS, |fold| {
        let seen = tasks.iter().zip(&folds).filter(|it| *it.1 != fold).map(|it| it.0);
        training::encode(&learn(&own, seen), &[])
    });
    for (fold, weights) in learnt.iter().enumerate() {
        for (held, _) in tasks.iter().zip(&folds).filter(|it| *it.1 == fold) {
            let found = training::decide(weights, &held.prompt.request);
            let task = TASKS.get(held.prompt.task).copied().unwrap_or_default();
            if mistakes && task != found.task {
                let line = held.prompt.text.replace('\n', " ");
                writeln!(
                    text,
                    "{task}, not {} ({:.2}): {line:.120}",
                    found.task, found.confidence
                )?;
            }
            whole.count(held.prompt.task, &found.task);
        }
    }
    writeln!(
        text,
        "Tasks: {FOLDS} folds; what has a source of its own (subtask, file) stays together"
    )?;
    table(text, &whole)?;
    let weights = training::encode(&learn(&own, std::iter::empty()), &[]);
    let mut blind = Confusion::default();
    for it in &tasks {
        blind.count(it.prompt.task, &training::decide(&weights, &it.prompt.request).task);
    }
    writeln!(text, "\nWith our own prompts alone, no prompt of the dev set learnt")?;
    table(text, &blind)?;
    by_source(text, &own, &tasks)?;
    everyday(text, &own, &tasks)
}

/// Everyday prompts, never learnt from, by the weights of the component.
fn everyday(text: &mut String, own: &[Read<'_>], tasks: &[Read<'_>]) -> std::fmt::Result {
    let held = data::held_out().map_err(|_| std::fmt::Error)?;
    let weights = training::encode(&learn(own, tasks.iter()), &[]);
    for (set, heading) in [
        ("everyday", "Everyday prompts in fourteen languages that are never learnt from"),
        ("ordinary", "Ordinary prompts, never learnt from, by who then wrote many of our own"),
        ("borders", "Prompts near the borders between tasks, never learnt from"),
    ] {
        let mut confusion = Confusion::default();
        for it in held.iter().filter(|it| it.source == set) {
            confusion.count(it.task, &training::decide(&weights, &it.request).task);
        }
        writeln!(text, "\n{heading}")?;
        table(text, &confusion)?;
    }
    Ok(())
}

/// What the job gives for each number below `count`, in order, on as many threads as there are
/// processors: each job computes the same wherever it runs.
fn parallel<T: Send>(count: usize, job: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let run = || {
        let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        let mine = numbers.take_while(|number| *number < count);
        mine.map(|number| (number, job(number))).collect::<Vec<_>>()
    };
    let others = thread::available_parallelism().map_or(0, |it| it.get() - 1);
    let mut done = thread::scope(|scope| {
        let handles: Vec<_> = (0..others.min(count)).map(|_| scope.spawn(run)).collect();
        let mut done = run();
        for handle in handles {
            match handle.join() {
                Ok(theirs) => done.extend(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|it| it.0);
    done.into_iter().map(|it| it.1).collect()
}

/// What shares a subtask or a file is learnt or asked about together.
fn folds(tasks: &[Read<'_>]) -> Vec<usize> {
    let group = |it: &Read<'_>| {
        let text = &it.prompt.text;
        if it.prompt.source.contains(':') {
            it.prompt.source.clone()
        } else if let Some((file, _)) = text.split_once(".csv") {
            file.to_owned()
        } else {
            text.clone()
        }
    };
    let mut groups: Vec<String> = tasks.iter().map(group).collect();
    let names = groups.clone();
    groups.sort_unstable();
    groups.dedup();
    Dice::new(SEED).shuffle(&mut groups);
    let fold_of: BTreeMap<&String, usize> =
        groups.iter().enumerate().map(|(index, name)| (name, index % FOLDS)).collect();
    names.iter().map(|name| fold_of.get(name).copied().unwrap_or(0)).collect()
}

fn table(text: &mut String, confusion: &Confusion) -> std::fmt::Result {
    writeln!(text, "{:14} {:>9} {:>7} {:>7} {:>4}", "task", "precision", "recall", "F1", "n")?;
    for (index, task) in TASKS.iter().enumerate() {
        let (precision, recall, f1, there) = confusion.of(index);
        if there > 0 {
            writeln!(text, "{task:14} {precision:9.3} {recall:7.3} {f1:7.3} {there:4}")?;
        }
    }
    writeln!(
        text,
        "macro-F1 {:.3}, accuracy {:.3}\n\nConfusion (rows: what it is; columns: what was said)",
        confusion.macro_f1(),
        confusion.accuracy()
    )?;
    let heads: String = TASKS.iter().map(|task| format!(" {task:>7.7}")).collect();
    writeln!(text, "{:14}{heads}", "")?;
    for (task, row) in TASKS.iter().zip(confusion.rows()) {
        let cells: String = row.iter().map(|cell| format!(" {cell:7}")).collect();
        writeln!(text, "{task:14}{cells}")?;
    }
    Ok(())
}

/// Each source in turn is unknown.
fn by_source(text: &mut String, own: &[Read<'_>], tasks: &[Read<'_>]) -> std::fmt::Result {
    let name = |it: &Read<'_>| it.prompt.source.split(':').next().unwrap_or_default().to_owned();
    let mut sources: Vec<String> = tasks.iter().map(name).collect();
    sources.sort_unstable();
    sources.dedup();
    writeln!(text, "\nEach source in turn wholly unknown: accuracy on it")?;
    let learnt = parallel(sources.len(), |number| {
        let seen = tasks.iter().filter(|it| sources.get(number) != Some(&name(it)));
        training::encode(&learn(own, seen), &[])
    });
    for (source, weights) in sources.iter().zip(&learnt) {
        let mut confusion = Confusion::default();
        for held in tasks.iter().filter(|it| name(it) == *source) {
            let found = training::decide(weights, &held.prompt.request);
            confusion.count(held.prompt.task, &found.task);
        }
        writeln!(text, "{source:20} {:.3}", confusion.accuracy())?;
    }
    Ok(())
}

fn difficulty_report(
    text: &mut String,
    own: &[Prompt],
    tasks: &[Prompt],
    questions: &[Question],
) -> std::fmt::Result {
    let (own, tasks) = (read(own), read(tasks));
    let entries = learn(&own, tasks.iter());
    let features = question_features(questions);
    let mut subjects: Vec<&str> = questions.iter().map(|it| it.source.as_str()).collect();
    subjects.sort_unstable();
    subjects.dedup();
    let mut dice = Dice::new(SEED);
    let random: Vec<usize> = questions.iter().map(|_| dice.below(GSM8K_FOLDS)).collect();
    let gsm8k = |index: usize| questions.get(index).is_some_and(|it| it.source == "gsm8k");
    let mut pooled: Vec<(f64, f64)> = Vec::new();
    for subject in subjects.iter().filter(|it| **it != "gsm8k") {
        let held = |index: usize| questions.get(index).is_some_and(|it| it.source == *subject);
        let gains = gains(&own, questions, &features, |it| !held(it));
        pooled.extend(scored(&training::encode(&entries, &gains), questions, held));
    }
    let (mut mixed, mut of_gsm8k) = (Vec::new(), Vec::new());
    for fold in 0..GSM8K_FOLDS {
        let held = |index: usize| random.get(index) == Some(&fold);
        let gains = gains(&own, questions, &features, |it| !held(it));
        let weights = training::encode(&entries, &gains);
        of_gsm8k.extend(scored(&weights, questions, |it| held(it) && gsm8k(it)));
        mixed.extend(scored(&weights, questions, |it| held(it) && !gsm8k(it)));
    }
    writeln!(text, "\nDifficulty: APGR (random 0.5) on {} questions", questions.len())?;
    for (name, scored) in [
        ("GSM8K, ten folds", &mut of_gsm8k),
        ("MMLU, each subject in turn unknown", &mut pooled),
        ("MMLU, ten folds through all subjects", &mut mixed),
    ] {
        let spread = spread(scored);
        writeln!(text, "{name:38} {:.3} ± {spread:.3}", apgr(scored))?;
    }
    Ok(())
}

fn scored(weights: &[u8], questions: &[Question], held: impl Fn(usize) -> bool) -> Vec<(f64, f64)> {
    let held = questions.iter().enumerate().filter(|(index, _)| held(*index));
    held.map(|(_, it)| (training::decide(weights, &it.request).difficulty, it.gain())).collect()
}

/// The standard deviation over random draws with replacement.
fn spread(scored: &[(f64, f64)]) -> f64 {
    const DRAWS: usize = 100;
    let mut dice = Dice::new(SEED);
    let figures: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let draw = |_| dice.choice(scored).copied().unwrap_or_default();
            apgr(&mut (0..scored.len()).map(draw).collect::<Vec<_>>())
        })
        .collect();
    let mean = figures.iter().sum::<f64>() / DRAWS as f64;
    (figures.iter().map(|it| (it - mean) * (it - mean)).sum::<f64>() / DRAWS as f64).sqrt()
}
