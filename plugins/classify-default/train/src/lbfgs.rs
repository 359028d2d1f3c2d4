//! Minimises a smooth function of many variables: the limited-memory method of Broyden, Fletcher,
//! Goldfarb and Shanno, as in Nocedal and Wright, "Numerical Optimization", algorithm 7.5, with
//! steps that are halved until the function has fallen enough. Knows nothing of what it minimises.

/// Changes that are remembered.
const MEMORY: usize = 8;
/// Halvings of a step before the search ends.
const HALVINGS: usize = 30;
/// The share of the fall that the slope promises which a step must reach.
const ENOUGH: f64 = 1e-4;
/// A slope this small, as a share of the first one, is the minimum.
const FLAT: f64 = 1e-5;

/// How the point and the slope changed in a step, and one by their product.
struct Change {
    point: Vec<f64>,
    slope: Vec<f64>,
    inverse: f64,
}

/// The point with the least value, from the origin in at most so many steps. The function gives
/// its value and writes its slope.
pub(crate) fn minimum(
    variables: usize,
    steps: usize,
    function: impl Fn(&[f64], &mut [f64]) -> f64,
) -> Vec<f64> {
    let mut point = vec![0.0; variables];
    let mut slope = vec![0.0; variables];
    let mut value = function(&point, &mut slope);
    let first = dot(&slope, &slope).sqrt();
    let mut changes: Vec<Change> = Vec::new();
    for _ in 0..steps {
        if dot(&slope, &slope).sqrt() <= FLAT * first {
            break;
        }
        let direction = direction(&slope, &changes);
        let along = dot(&direction, &slope);
        let mut length = if changes.is_empty() { 1.0 / first } else { 1.0 };
        let mut next = Vec::new();
        let mut next_slope = vec![0.0; variables];
        let mut found = None;
        for _ in 0..HALVINGS {
            next = point.iter().zip(&direction).map(|(at, by)| at + length * by).collect();
            let there = function(&next, &mut next_slope);
            if there <= value + ENOUGH * length * along {
                found = Some(there);
                break;
            }
            length /= 2.0;
        }
        let Some(there) = found else { break };
        remember(&mut changes, difference(&next, &point), difference(&next_slope, &slope));
        (point, slope, value) = (next, next_slope, there);
    }
    point
}

/// Down the slope, as the remembered changes of it say that it bends.
fn direction(slope: &[f64], changes: &[Change]) -> Vec<f64> {
    let mut direction: Vec<f64> = slope.iter().map(|it| -it).collect();
    let mut shares = Vec::new();
    for change in changes.iter().rev() {
        let share = change.inverse * dot(&change.point, &direction);
        add(&mut direction, &change.slope, -share);
        shares.push(share);
    }
    if let Some(last) = changes.last() {
        let scale = 1.0 / (last.inverse * dot(&last.slope, &last.slope));
        direction.iter_mut().for_each(|it| *it *= scale);
    }
    for (change, share) in changes.iter().zip(shares.into_iter().rev()) {
        let back = change.inverse * dot(&change.slope, &direction);
        add(&mut direction, &change.point, share - back);
    }
    direction
}

/// Only changes along which the slope rises say something.
fn remember(changes: &mut Vec<Change>, point: Vec<f64>, slope: Vec<f64>) {
    let product = dot(&point, &slope);
    if product > 1e-12 {
        if changes.len() == MEMORY {
            changes.remove(0);
        }
        changes.push(Change { point, slope, inverse: 1.0 / product });
    }
}

fn difference(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter().zip(other).map(|(a, b)| a - b).collect()
}

fn add(to: &mut [f64], what: &[f64], times: f64) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += times * what);
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_of_a_narrow_valley_is_found() {
        let target = [3.0, -2.0, 0.5];
        let stretch = [1.0, 100.0, 0.1];
        let found = minimum(3, 100, |at, slope| {
            let mut value = 0.0;
            for (index, place) in slope.iter_mut().enumerate() {
                let (Some(at), Some(target), Some(stretch)) =
                    (at.get(index), target.get(index), stretch.get(index))
                else {
                    continue;
                };
                let away = at - target;
                *place = stretch * away;
                value += stretch * away * away / 2.0;
            }
            value
        });
        for (found, target) in found.iter().zip(target) {
            assert!((found - target).abs() < 1e-2, "{found} {target}");
        }
    }
}
