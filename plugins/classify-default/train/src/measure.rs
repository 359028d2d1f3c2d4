//! Figures of merit: the confusion of tasks and what follows from it, and RouteLLM's average share
//! of the gap that is recovered (APGR). Never prints.

use classify_default::training::TASKS;

/// How often each task was taken for which.
#[derive(Default)]
pub(crate) struct Confusion([[u32; TASKS.len()]; TASKS.len()]);

impl Confusion {
    pub(crate) fn count(&mut self, task: usize, found: &str) {
        let found = TASKS.iter().position(|it| *it == found);
        let row = self.0.get_mut(task);
        if let Some(cell) = row.zip(found).and_then(|(row, found)| row.get_mut(found)) {
            *cell += 1;
        }
    }

    /// Precision, recall, F1 and how many there are.
    pub(crate) fn of(&self, task: usize) -> (f64, f64, f64, u32) {
        let row = self.0.get(task).copied().unwrap_or_default();
        let hit = row.get(task).copied().unwrap_or(0);
        let there: u32 = row.iter().sum();
        let said: u32 = self.0.iter().filter_map(|row| row.get(task)).sum();
        let ratio = |a: u32, b: u32| if b == 0 { 0.0 } else { f64::from(a) / f64::from(b) };
        (ratio(hit, said), ratio(hit, there), ratio(2 * hit, there + said), there)
    }

    /// Over the tasks that occur.
    pub(crate) fn macro_f1(&self) -> f64 {
        let there: Vec<f64> =
            (0..TASKS.len()).map(|it| self.of(it)).filter(|it| it.3 > 0).map(|it| it.2).collect();
        there.iter().sum::<f64>() / there.len().max(1) as f64
    }

    pub(crate) fn accuracy(&self) -> f64 {
        let all: u32 = self.0.iter().flatten().sum();
        let right: u32 = self.0.iter().enumerate().filter_map(|(index, row)| row.get(index)).sum();
        f64::from(right) / f64::from(all.max(1))
    }

    pub(crate) fn rows(&self) -> &[[u32; TASKS.len()]] {
        &self.0
    }
}

/// The average, over all shares of calls that go to the strong model, of the share of the gap
/// between weak and strong that is recovered when the calls with the highest scores go there.
/// Equal scores count as in random order. Random scores have 0.5.
pub(crate) fn apgr(scored: &mut [(f64, f64)]) -> f64 {
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let whole: f64 = scored.iter().map(|it| it.1).sum();
    let (mut area, mut recovered) = (0.0, 0.0);
    let mut rest: &[(f64, f64)] = scored;
    while let Some((score, _)) = rest.first() {
        let alike = rest.iter().take_while(|it| it.0.total_cmp(score).is_eq()).count();
        let (equal, others) = rest.split_at(alike);
        let gain: f64 = equal.iter().map(|it| it.1).sum();
        area += alike as f64 * (recovered + gain / 2.0);
        recovered += gain;
        rest = others;
    }
    area / (whole * scored.len().max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apgr_is_a_half_for_no_knowledge_and_near_one_for_a_rare_gain_found() {
        let mut same = [(1.0, 1.0), (1.0, 0.0), (1.0, 0.0), (1.0, 1.0)];
        assert!((apgr(&mut same) - 0.5).abs() < 1e-12);
        let mut known: Vec<(f64, f64)> = (0..100).map(|it| (-f64::from(it), 0.0)).collect();
        if let Some(first) = known.first_mut() {
            first.1 = 1.0;
        }
        assert!(apgr(&mut known) > 0.99);
        known.iter_mut().for_each(|it| it.0 = -it.0);
        assert!(apgr(&mut known) < 0.01);
    }

    #[test]
    fn f1_is_the_harmonic_mean_of_what_was_found_and_what_was_said() {
        let mut confusion = Confusion::default();
        for (task, found) in [(1, "chat"), (1, "code"), (2, "code"), (2, "code")] {
            confusion.count(task, found);
        }
        let (precision, recall, f1, there) = confusion.of(1);
        assert!((precision - 1.0).abs() + (recall - 0.5).abs() < 1e-12 && there == 2);
        assert!((f1 - 2.0 / 3.0).abs() < 1e-12);
        assert!((confusion.macro_f1() - (2.0 / 3.0 + 0.8) / 2.0).abs() < 1e-12);
    }
}
